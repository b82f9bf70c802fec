//! The ARN of an IAM role.

use std::{fmt, str::FromStr};

use super::Invalid;

/// The ARN of an IAM role, such as `arn:aws:iam::123456789012:role/builder`.
///
/// Follows <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html>.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleArn(String);

impl RoleArn {
    /// The ARN.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RoleArn {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let parts: Vec<_> = text.splitn(6, ':').collect();
        let is_arn = match parts.as_slice() {
            ["arn", partition, "iam", "", account, resource] => {
                let name = resource.strip_prefix("role/").unwrap_or_default();
                partition.starts_with("aws")
                    && account.len() == 12
                    && account.bytes().all(|b| b.is_ascii_digit())
                    && !name.is_empty()
                    && !name.ends_with('/')
                    && name
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || b"+=,.@_/-".contains(&b))
            }
            _ => false,
        };
        if is_arn {
            return Ok(Self(text.to_owned()));
        }
        Err(Invalid::new(
            "role ARN",
            text,
            "is not the ARN of an IAM role",
            "use arn:aws:iam::ACCOUNT:role/NAME",
        ))
    }
}

impl fmt::Display for RoleArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_arn_of_a_role_is_one() {
        for text in [
            "arn:aws:iam::123456789012:role/builder",
            "arn:aws-cn:iam::123456789012:role/path/to/builder+=,.@_-",
        ] {
            assert_eq!(text.parse::<RoleArn>().unwrap().as_str(), text);
        }
        for text in [
            "",
            "builder",
            "arn:aws:iam::123456789012:user/builder",
            "arn:aws:iam::12:role/builder",
            "arn:aws:iam:eu-west-1:123456789012:role/builder",
            "arn:aws:iam::123456789012:role/",
            "arn:aws:iam::123456789012:role/a b",
            "arn:aws:sts::123456789012:assumed-role/builder/x",
        ] {
            let refused = text.parse::<RoleArn>().unwrap_err();
            assert!(refused.remedy().contains("role/NAME"), "{text}");
        }
    }
}
