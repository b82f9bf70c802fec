//! CPU and memory of a container.
//!
//! Quantities follow
//! <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/>.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::Invalid;

/// An amount of CPU, such as `200m` or `1.5`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cpu {
    text: String,
    millicores: u64,
}

/// An amount of memory, such as `200Mi` or `1G`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Memory {
    text: String,
    bytes: u64,
}

impl Cpu {
    /// The amount in thousandths of a core, rounded up.
    #[must_use]
    pub fn millicores(&self) -> u64 {
        self.millicores
    }
}

impl Memory {
    /// The amount in bytes, rounded up.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl FromStr for Cpu {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let remedy = "use an amount such as 200m or 1.5";
        let refuse = |problem: &str| Invalid::new("cpu", text, problem, remedy);
        let cores = parse_quantity(text).ok_or_else(|| refuse("is not a quantity"))?;
        let millicores = whole(cores * 1000.0).ok_or_else(|| refuse("is out of range"))?;
        Ok(Self {
            text: text.to_owned(),
            millicores,
        })
    }
}

impl FromStr for Memory {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let remedy = "use an amount such as 200Mi or 1Gi";
        let refuse = |problem: &str| Invalid::new("memory", text, problem, remedy);
        let bytes = parse_quantity(text).ok_or_else(|| refuse("is not a quantity"))?;
        // `200m` is 0.2 bytes to Kubernetes: always a slip, and the pod would never start.
        if bytes < 1.0 || text.ends_with('m') {
            return Err(refuse("is less than any program needs"));
        }
        let bytes = whole(bytes).ok_or_else(|| refuse("is out of range"))?;
        Ok(Self {
            text: text.to_owned(),
            bytes,
        })
    }
}

macro_rules! quantity_text {
    ($quantity:ident, $measure:ident) => {
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
                self.$measure == other.$measure
            }
        }

        impl Eq for $quantity {}
    };
}

quantity_text!(Cpu, millicores);
quantity_text!(Memory, bytes);

/// The number that a quantity's text stands for, in its base unit.
fn parse_quantity(text: &str) -> Option<f64> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at_checked(digits)?;
    if number.matches('.').count() > 1 || !number.bytes().any(|b| b.is_ascii_digit()) {
        return None;
    }
    let number: f64 = number.parse().ok()?;
    let scale = match suffix {
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "" => 1.0,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => 1024.0,
        "Mi" => 1_048_576.0,
        "Gi" => 1_073_741_824.0,
        "Ti" => 1_099_511_627_776.0,
        "Pi" => 1_125_899_906_842_624.0,
        "Ei" => 1_152_921_504_606_846_976.0,
        exponent => {
            let power = exponent.strip_prefix(['e', 'E'])?;
            10f64.powi(power.parse::<i8>().ok()?.into())
        }
    };
    Some(number * scale)
}

/// The next whole number, when it is one that Kubernetes can count (below 2⁶³).
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the range is checked first"
)]
fn whole(amount: f64) -> Option<u64> {
    let amount = (amount - 1e-6).ceil();
    (amount.is_finite() && (0.0..9.2e18).contains(&amount)).then_some(amount as u64)
}

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
    /// When a request is above its limit, which no cluster accepts, or a limit is zero.
    pub fn new(
        cpu_limit: Cpu,
        memory_limit: Memory,
        cpu_request: Cpu,
        memory_request: Memory,
    ) -> Result<Self, Invalid> {
        if cpu_limit.millicores == 0 {
            return Err(Invalid::new(
                "cpu limit",
                &cpu_limit.text,
                "is zero",
                "give at least 1m",
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
        if cpu_request.millicores > cpu_limit.millicores {
            return above("cpu request", &cpu_request.text, &cpu_limit.text);
        }
        if memory_request.bytes > memory_limit.bytes {
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
        let kept_cpu = if base.cpu_request.millicores > cpu_limit.millicores {
            cpu_limit
        } else {
            &base.cpu_request
        };
        let kept_memory = if base.memory_request.bytes > memory_limit.bytes {
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
        assert!("abc".parse::<Cpu>().is_err());
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
