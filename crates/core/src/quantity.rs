//! Amounts as Kubernetes writes them, compared exactly.
//!
//! Follows
//! <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/>.

use std::str::FromStr;

use super::Invalid;

/// The finest amount that Kubernetes keeps: a thousand-millionth of the unit.
const NANOS: u128 = 1_000_000_000;
/// The largest amount that Kubernetes can count, in its unit: 2⁶³ - 1.
const LARGEST: u128 = i64::MAX as u128;

/// An amount of anything, such as `200m`, `0.3Gi` or `1e3`. Equal amounts are equal, however they are
/// written. What is finer than Kubernetes keeps is rounded up, as Kubernetes does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quantity {
    nanos: u128,
}

impl Quantity {
    /// The amount in units, rounded up.
    pub(super) fn units(self) -> u64 {
        whole(self.nanos.div_ceil(NANOS))
    }

    /// The amount in thousandths of the unit, rounded up.
    pub(super) fn thousandths(self) -> u64 {
        whole(self.nanos.div_ceil(NANOS / 1000))
    }

    /// Whether it is less than this many units.
    pub(super) fn is_below(self, units: u64) -> bool {
        self.nanos < u128::from(units) * NANOS
    }

    /// The amount of this text, or what is wrong with it.
    pub(super) fn new(text: &str) -> Result<Self, &'static str> {
        const NONE: &str = "is not a quantity";
        let digits = text
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(text.len());
        let (number, suffix) = text.split_at_checked(digits).ok_or(NONE)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if fraction.contains('.') || (whole.is_empty() && fraction.is_empty()) {
            return Err(NONE);
        }
        let scale = scale(suffix).ok_or(NONE)?;
        scaled(whole, fraction, scale)
            .filter(|nanos| *nanos <= LARGEST * NANOS)
            .map(|nanos| Self { nanos })
            .ok_or("is out of range")
    }
}

impl FromStr for Quantity {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::new(text).map_err(|problem| {
            Invalid::new(
                "quantity",
                text,
                problem,
                "use an amount such as 200m or 1Gi",
            )
        })
    }
}

/// What a suffix multiplies by.
#[derive(Clone, Copy)]
enum Scale {
    /// This many nanos.
    Nanos(u128),
    /// A power of ten.
    Ten(i8),
}

fn scale(suffix: &str) -> Option<Scale> {
    let binary = |power: u32| Scale::Nanos(1024_u128.pow(power) * NANOS);
    Some(match suffix {
        "n" => Scale::Ten(-9),
        "u" => Scale::Ten(-6),
        "m" => Scale::Ten(-3),
        "" => Scale::Ten(0),
        "k" => Scale::Ten(3),
        "M" => Scale::Ten(6),
        "G" => Scale::Ten(9),
        "T" => Scale::Ten(12),
        "P" => Scale::Ten(15),
        "E" => Scale::Ten(18),
        "Ki" => binary(1),
        "Mi" => binary(2),
        "Gi" => binary(3),
        "Ti" => binary(4),
        "Pi" => binary(5),
        "Ei" => binary(6),
        exponent => Scale::Ten(exponent.strip_prefix(['e', 'E'])?.parse().ok()?),
    })
}

/// `whole.fraction` by the scale in nanos, rounded up; none when it can't be counted.
fn scaled(whole: &str, fraction: &str, scale: Scale) -> Option<u128> {
    let digit = |c: char| c.to_digit(10).map(u128::from);
    let (nanos, shift) = match scale {
        Scale::Nanos(nanos) => (nanos, 0),
        Scale::Ten(power) => (NANOS, i32::from(power)),
    };
    // A power of ten moves the point.
    let digits: Vec<u128> = (whole.chars().chain(fraction.chars()))
        .map(digit)
        .collect::<Option<_>>()?;
    let point = i32::try_from(whole.len()).ok()?.checked_add(shift)?;
    let at = |place: i32| -> u128 {
        let place = usize::try_from(place).ok();
        place
            .and_then(|place| digits.get(place).copied())
            .unwrap_or(0)
    };
    let mut units: u128 = 0;
    for place in 0..point {
        units = units.checked_mul(10)?.checked_add(at(place))?;
        // No more digits, and none that counted: `0e99`.
        if units == 0 && place > i32::try_from(digits.len()).ok()? {
            break;
        }
    }
    // From the last digit: each step divides by ten, and what falls off only makes it round up.
    let mut part: u128 = 0;
    let mut is_inexact = false;
    let last = i32::try_from(digits.len()).ok()?;
    for place in (point..last.max(point)).rev() {
        part += at(place).checked_mul(nanos)?;
        is_inexact |= !part.is_multiple_of(10);
        part /= 10;
    }
    let sum = units.checked_mul(nanos)?.checked_add(part)?;
    sum.checked_add(is_inexact.into())
}

fn whole(amount: u128) -> u64 {
    u64::try_from(amount).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quantity(text: &str) -> Quantity {
        text.parse().unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn equal_amounts_are_equal_however_they_are_written() {
        for (one, other) in [
            ("0.3Gi", "322122547200m"),
            ("0.1Gi", "107374182400m"),
            ("1.1", "1100m"),
            ("0.0005", "500u"),
            ("1e3", "1k"),
            ("1E3", "1000"),
            ("1E", "1000P"),
            ("1e-3", "1m"),
            (".5", "500m"),
            ("5.", "5"),
            ("0.1000000000000000000000000000000", "100m"),
            ("0.5Ei", "512Pi"),
            ("0e99", "0"),
            ("0.00000e7", "0"),
            ("12345e-2", "123450m"),
            ("0.012e3", "12"),
            // Finer than a nano: rounded up.
            ("0.1n", "1n"),
            ("1.0000000001", "1000000001n"),
        ] {
            assert_eq!(quantity(one), quantity(other), "{one} {other}");
        }
    }

    #[test]
    fn amounts_that_differ_by_the_least_are_not_equal() {
        for (less, more) in [
            ("0.3Gi", "322122547201m"),
            ("9007199254740992", "9007199254740993"),
            ("999999999n", "1"),
            ("7.999999999999Ei", "9223372036854775807"),
        ] {
            assert!(quantity(less) < quantity(more), "{less} {more}");
        }
    }

    #[test]
    fn what_is_none_or_too_large_is_refused() {
        for bad in [
            "",
            ".",
            "m",
            "-1",
            "+1",
            "10Zz",
            "1 ",
            "1.2.3",
            "0x10",
            "1e",
            "e3",
            "Mi",
            "NaN",
            "1ki",
            "1e99",
            "8Ei",
            "9.3E",
            "1e127",
            "99999999999999999999999999999999999999999",
            "١",
        ] {
            assert!(bad.parse::<Quantity>().is_err(), "{bad:?}");
        }
        assert_eq!(quantity("9223372036854775807").units(), i64::MAX as u64);
    }

    #[test]
    fn parts_of_a_unit_are_rounded_up() {
        assert_eq!(quantity("322122547200m").units(), 322_122_548);
        assert_eq!(quantity("100u").thousandths(), 1);
        assert_eq!(quantity("0").thousandths(), 0);
        assert!(quantity("999999999n").is_below(1) && !quantity("1000m").is_below(1));
    }
}
