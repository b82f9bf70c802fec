//! `resource.Quantity`: parsing, comparing and the canonical text, in exact integers.

/// The recorded complaint about a text that is no quantity.
pub const FORMAT_ERROR: &str = "quantities must match the regular expression \
     '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

/// A number of billionths, and which family of suffixes it was written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quantity {
    nano: i128,
    binary: bool,
}

const NANO: i128 = 1_000_000_000;
const BINARY: &[(&str, u32)] = &[
    ("Ki", 10),
    ("Mi", 20),
    ("Gi", 30),
    ("Ti", 40),
    ("Pi", 50),
    ("Ei", 60),
];
const DECIMAL: &[(&str, i32)] = &[
    ("n", -9),
    ("u", -6),
    ("m", -3),
    ("", 0),
    ("k", 3),
    ("M", 6),
    ("G", 9),
    ("T", 12),
    ("P", 15),
    ("E", 18),
];

impl Quantity {
    /// Nothing.
    pub const ZERO: Self = Self {
        nano: 0,
        binary: false,
    };

    /// A whole number.
    pub fn whole(number: i64) -> Self {
        Self {
            nano: i128::from(number) * NANO,
            binary: false,
        }
    }

    /// Reads a quantity; digits finer than a billionth are rounded up as the real parser does.
    pub fn parse(text: &str) -> Option<Self> {
        let split = text
            .char_indices()
            .find(|&(at, c)| {
                !(c.is_ascii_digit() || c == '.' || (at == 0 && (c == '+' || c == '-')))
            })
            .map_or(text.len(), |(at, _)| at);
        let (number, suffix) = text.split_at_checked(split)?;
        let (negative, digits) = match number.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, number.strip_prefix('+').unwrap_or(number)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return None;
        }
        let mantissa: i128 = format!("0{whole}{fraction}").parse().ok()?;
        let places = i32::try_from(fraction.len()).ok()?;
        let (nano, binary) = if let Some((_, bits)) = BINARY.iter().find(|(s, _)| *s == suffix) {
            (scale(mantissa.checked_mul(1 << bits)?, 9 - places)?, true)
        } else {
            let exponent = match DECIMAL.iter().find(|(s, _)| *s == suffix) {
                Some((_, exponent)) => *exponent,
                None => suffix.strip_prefix(['e', 'E'])?.parse().ok()?,
            };
            (scale(mantissa, 9 - places + exponent)?, false)
        };
        Some(Self {
            nano: if negative { -nano } else { nano },
            binary,
        })
    }

    /// The sum, in the left side's family of suffixes (unless that is zero).
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let binary = if self.nano == 0 {
            other.binary
        } else {
            self.binary
        };
        Self {
            nano: self.nano.saturating_add(other.nano),
            binary,
        }
    }

    /// The larger one.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        if other.nano > self.nano { other } else { self }
    }

    /// The value as a whole number, rounded up; zero if it is below zero or beyond counting.
    pub fn rounded_up(self) -> u64 {
        u64::try_from((self.nano + NANO - 1) / NANO).unwrap_or(0)
    }

    /// The same with the other sign.
    #[must_use]
    pub fn negated(self) -> Self {
        Self {
            nano: -self.nano,
            ..self
        }
    }

    /// Whether it is below zero.
    pub fn negative(self) -> bool {
        self.nano < 0
    }

    /// Whether it is a whole number.
    pub fn is_whole(self) -> bool {
        self.nano % NANO == 0
    }
}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        self.nano.partial_cmp(&other.nano)
    }
}

impl std::fmt::Display for Quantity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.nano == 0 {
            return f.write_str("0");
        }
        if self.binary && self.is_whole() && (self.nano / NANO).abs() >= 1024 {
            let mut number = self.nano / NANO;
            let mut suffix = "";
            for (name, _) in BINARY {
                if number % 1024 != 0 {
                    break;
                }
                number /= 1024;
                suffix = name;
            }
            return write!(f, "{number}{suffix}");
        }
        let mut number = self.nano;
        let mut suffix = "n";
        for (name, _) in DECIMAL.iter().skip(1) {
            if number % 1000 != 0 {
                break;
            }
            number /= 1000;
            suffix = name;
        }
        write!(f, "{number}{suffix}")
    }
}

fn scale(number: i128, exponent: i32) -> Option<i128> {
    if exponent >= 0 {
        return number.checked_mul(10_i128.checked_pow(u32::try_from(exponent).ok()?)?);
    }
    let divisor = 10_i128.checked_pow(u32::try_from(-exponent).ok()?)?;
    Some((number + divisor - 1) / divisor)
}

#[cfg(test)]
mod tests {
    use super::Quantity;

    #[test]
    fn quantities_are_written_canonically() {
        for (text, canonical) in [
            ("100m", "100m"),
            ("1000m", "1"),
            ("0.5", "500m"),
            ("1024Mi", "1Gi"),
            ("1.5Gi", "1536Mi"),
            ("1500M", "1500M"),
            ("1e3", "1k"),
            ("0", "0"),
            ("2", "2"),
            ("512", "512"),
        ] {
            let read = Quantity::parse(text).map(|q| q.to_string());
            assert_eq!(read.as_deref(), Some(canonical), "{text}");
        }
        for bad in ["10Zz", "", "Mi", "1.2.3", "1 Gi", "1KiB", "--1"] {
            assert!(Quantity::parse(bad).is_none(), "{bad}");
        }
    }
}
