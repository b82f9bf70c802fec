//! A registry of Amazon ECR, as its host name tells it, and the names of AWS regions.

use super::Invalid;

/// The registry of an AWS account in a region.
///
/// Follows <https://docs.aws.amazon.com/AmazonECR/latest/userguide/Registries.html>:
/// `ACCOUNT.dkr.ecr.REGION.amazonaws.com`, with `ecr-fips` for FIPS endpoints and `.cn` in China.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EcrRegistry {
    /// The account's number: 12 digits.
    pub account: String,
    /// The region, such as `eu-west-1`.
    pub region: String,
}

impl EcrRegistry {
    /// The registry behind this host name; none when it is not one of ECR.
    #[must_use]
    pub fn of_host(host: &str) -> Option<Self> {
        let name = host
            .strip_suffix(".amazonaws.com")
            .or_else(|| host.strip_suffix(".amazonaws.com.cn"))?;
        let (account, rest) = name.split_once(".dkr.")?;
        let region = rest
            .strip_prefix("ecr.")
            .or_else(|| rest.strip_prefix("ecr-fips."))?;
        let is_account = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
        (is_account && is_region(region)).then(|| Self {
            account: account.to_owned(),
            region: region.to_owned(),
        })
    }
}

fn is_region(text: &str) -> bool {
    text.contains('-')
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// Checks the name of an AWS region, such as `eu-west-1`.
///
/// # Errors
/// When it is none. The field is `AWS_DEFAULT_REGION`.
pub fn aws_region(text: &str) -> Result<(), Invalid> {
    if is_region(text) {
        return Ok(());
    }
    Err(Invalid::new(
        "AWS_DEFAULT_REGION",
        text,
        "is not the name of an AWS region",
        "use a name such as eu-west-1",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_are_names_with_dashes() {
        for region in ["eu-west-1", "us-gov-west-1", "cn-north-1"] {
            assert_eq!(aws_region(region), Ok(()));
        }
        for text in [
            "",
            "Frankfurt",
            "eu west 1",
            "EU-WEST-1",
            "eu-west-1\n",
            "$(id)-1",
        ] {
            assert!(aws_region(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn account_and_region_are_read_off_the_host() {
        for (host, region) in [
            ("123456789012.dkr.ecr.eu-west-1.amazonaws.com", "eu-west-1"),
            (
                "123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com",
                "us-gov-west-1",
            ),
            (
                "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn",
                "cn-north-1",
            ),
        ] {
            let registry = EcrRegistry::of_host(host).unwrap();
            assert_eq!(registry.account, "123456789012");
            assert_eq!(registry.region, region);
        }
        for host in [
            "public.ecr.aws",
            "12.dkr.ecr.eu-west-1.amazonaws.com",
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com.example.com",
            "123456789012.dkr.ecr.$(id).amazonaws.com",
            "localhost:5000",
        ] {
            assert_eq!(EcrRegistry::of_host(host), None, "{host}");
        }
    }
}
