//! CPU and memory of a container.
//!
//! Quantities follow
//! <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/>.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{Invalid, Quantity};

/// An amount of CPU, such as `200m` or `1.5`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cpu {
    text: String,
    amount: Quantity,
}

/// An amount of memory, such as `200Mi` or `1G`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Memory {
    text: String,
    amount: Quantity,
}

impl Cpu {
    /// The amount in thousandths of a core, rounded up.
    #[must_use]
    pub fn millicores(&self) -> u64 {
        self.amount.thousandths()
    }
}

impl Memory {
    /// The amount in bytes, rounded up.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.amount.units()
    }
}

impl FromStr for Cpu {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let amount = amount(text, "cpu", "use an amount such as 200m or 1.5")?;
        Ok(Self {
            text: text.to_owned(),
            amount,
        })
    }
}

impl FromStr for Memory {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let remedy = "use an amount such as 200Mi or 1Gi";
        let amount = amount(text, "memory", remedy)?;
        // `200m` is 0.2 bytes to Kubernetes: always a slip, and the pod would never start.
        if amount.is_below(1) {
            let problem = "is less than any program needs";
            return Err(Invalid::new("memory", text, problem, remedy));
        }
        Ok(Self {
            text: text.to_owned(),
            amount,
        })
    }
}

fn amount(text: &str, field: &'static str, remedy: &str) -> Result<Quantity, Invalid> {
    Quantity::new(text).map_err(|problem| Invalid::new(field, text, problem, remedy))
}

macro_rules! quantity_text {
    ($quantity:ident) => {
        impl TryFrom<String> for $quantity {
            type Error = Invalid;

            fn try_from(text: String) -> Result<Self, Invalid> {
                text.parse()
            }
        }

        impl From<$quantity> for String {
            fn from(quantity: $quantity) -> Self {
                quantity.text
            }
        }

        impl fmt::Display for $quantity {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.text)
            }
        }

        /// Equal amounts are equal, however they are written.
        impl PartialEq for $quantity {
            fn eq(&self, other: &Self) -> bool {
                self.amount == other.amount
            }
        }

        impl Eq for $quantity {}
    };
}

quantity_text!(Cpu);
quantity_text!(Memory);

/// The least memory limit in bytes. Below it the container runtime itself does not fit: the sandbox of
/// the pod fails again and again. It is Docker's minimum
/// (<https://docs.docker.com/engine/containers/resource_constraints/>).
const LEAST_MEMORY_LIMIT: u64 = 6 * 1024 * 1024;

/// What a container is given: what the scheduler sets aside (requests) and what it may use (limits).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// The most CPU the container may use.
    pub cpu_limit: Cpu,
    /// The most memory the container may use; beyond it the container is killed.
    pub memory_limit: Memory,
    /// The CPU that is set aside for the container.
    pub cpu_request: Cpu,
    /// The memory that is set aside for the container.
    pub memory_request: Memory,
}

impl Resources {
    /// Resources whose requests are not above their limits.
    ///
    /// # Errors
    /// When a request is above its limit, which no cluster accepts, the CPU limit is zero, or the memory
    /// limit is below 6 MiB.
    pub fn new(
        cpu_limit: Cpu,
        memory_limit: Memory,
        cpu_request: Cpu,
        memory_request: Memory,
    ) -> Result<Self, Invalid> {
        if cpu_limit.millicores() == 0 {
            return Err(Invalid::new(
                "cpu limit",
                &cpu_limit.text,
                "is zero",
                "give at least 1m",
            ));
        }
        if memory_limit.bytes() < LEAST_MEMORY_LIMIT {
            return Err(Invalid::new(
                "memory limit",
                &memory_limit.text,
                "is less than a container needs to start",
                "give at least 6Mi; a number without a unit is in bytes",
            ));
        }
        let above = |field, request: &str, limit: &str| {
            Err(Invalid::new(
                field,
                request,
                format!("is more than the limit {limit}"),
                "raise the limit or lower the request",
            ))
        };
        if cpu_request.amount > cpu_limit.amount {
            return above("cpu request", &cpu_request.text, &cpu_limit.text);
        }
        if memory_request.amount > memory_limit.amount {
            return above("memory request", &memory_request.text, &memory_limit.text);
        }
        Ok(Self {
            cpu_limit,
            memory_limit,
            cpu_request,
            memory_request,
        })
    }
}

/// Resources that are asked for; what is left open stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResourceChanges {
    /// The most CPU.
    pub cpu_limit: Option<Cpu>,
    /// The most memory.
    pub memory_limit: Option<Memory>,
    /// The CPU that is set aside.
    pub cpu_request: Option<Cpu>,
    /// The memory that is set aside.
    pub memory_request: Option<Memory>,
}

impl ResourceChanges {
    /// Whether they agree with themselves, before anything is known of what there is.
    ///
    /// # Errors
    /// When no resources could have them all.
    pub fn check(&self) -> Result<(), Invalid> {
        // What is left open agrees with what is said.
        let (cpu, memory): (Cpu, Memory) = ("1".parse()?, "1Gi".parse()?);
        let cpu_limit = self.cpu_limit.as_ref().or(self.cpu_request.as_ref());
        let cpu_request = self.cpu_request.as_ref().or(self.cpu_limit.as_ref());
        let memory_limit = self.memory_limit.as_ref().or(self.memory_request.as_ref());
        let memory_request = self.memory_request.as_ref().or(self.memory_limit.as_ref());
        Resources::new(
            cpu_limit.unwrap_or(&cpu).clone(),
            memory_limit.unwrap_or(&memory).clone(),
            cpu_request.unwrap_or(&cpu).clone(),
            memory_request.unwrap_or(&memory).clone(),
        )
        .map(|_| ())
    }

    /// What comes of it on top of these. A request that is left open gives way to a limit that is asked
    /// for below it.
    ///
    /// # Errors
    /// As [`Resources::new`].
    pub fn onto(&self, base: &Resources) -> Result<Resources, Invalid> {
        let cpu_limit = self.cpu_limit.as_ref().unwrap_or(&base.cpu_limit);
        let memory_limit = self.memory_limit.as_ref().unwrap_or(&base.memory_limit);
        let kept_cpu = if base.cpu_request.amount > cpu_limit.amount {
            cpu_limit
        } else {
            &base.cpu_request
        };
        let kept_memory = if base.memory_request.amount > memory_limit.amount {
            memory_limit
        } else {
            &base.memory_request
        };
        Resources::new(
            cpu_limit.clone(),
            memory_limit.clone(),
            self.cpu_request.as_ref().unwrap_or(kept_cpu).clone(),
            self.memory_request.as_ref().unwrap_or(kept_memory).clone(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_as_kubernetes_reads_them() {
        let cpu = |text: &str| text.parse::<Cpu>().map(|cpu| cpu.millicores()).ok();
        assert_eq!(cpu("200m"), Some(200));
        assert_eq!(cpu("1.5"), Some(1500));
        assert_eq!(cpu(".5"), Some(500));
        assert_eq!(cpu("2"), Some(2000));
        assert_eq!(cpu("100u"), Some(1));
        let memory = |text: &str| text.parse::<Memory>().map(|memory| memory.bytes()).ok();
        assert_eq!(memory("200Mi"), Some(209_715_200));
        assert_eq!(memory("1G"), Some(1_000_000_000));
        assert_eq!(memory("1e9"), Some(1_000_000_000));
        assert_eq!(memory("128974848"), Some(128_974_848));
    }

    #[test]
    fn what_is_not_a_quantity_is_refused() {
        for bad in [
            "", "m", "-1", "10Zz", "1 ", "1.2.3", "0x10", "1e", "Mi", "NaN", "inf", "1E99",
        ] {
            assert!(bad.parse::<Memory>().is_err(), "{bad}");
        }
        assert!("200m".parse::<Memory>().is_err());
        // Parts of a byte come of decimals: 0.3Gi, as the cluster writes it.
        assert!("322122547200m".parse::<Memory>().is_ok());
        assert!("abc".parse::<Cpu>().is_err());
    }

    #[test]
    fn a_memory_limit_in_which_nothing_can_start_is_refused() {
        let with_limit = |limit: &str| {
            let changes = ResourceChanges {
                memory_limit: Some(limit.parse().unwrap()),
                ..ResourceChanges::default()
            };
            changes.check()
        };
        for tiny in ["10", "256", "64k", "5Mi", "6291455"] {
            assert_eq!(with_limit(tiny).unwrap_err().field(), "memory limit");
        }
        for enough in ["6Mi", "6291456", "0.1Gi"] {
            with_limit(enough).unwrap();
        }
    }

    #[test]
    fn a_request_above_its_limit_is_refused() {
        let with_requests = |cpu: &str, memory: &str| {
            Resources::new(
                "200m".parse().unwrap(),
                "200Mi".parse().unwrap(),
                cpu.parse().unwrap(),
                memory.parse().unwrap(),
            )
        };
        assert!(with_requests("200m", "200Mi").is_ok());
        assert_eq!(
            with_requests("201m", "1Mi").unwrap_err().field(),
            "cpu request"
        );
        assert_eq!(
            with_requests("1m", "1Gi").unwrap_err().field(),
            "memory request"
        );
    }
}
