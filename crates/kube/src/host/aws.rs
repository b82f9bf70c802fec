//! The host's `aws`: its command lines, and what its words mean.

use berth_core::{Digest, EcrRegistry};
use berth_ssh::{Command, Output, RunLimits, Script};
use bytes::Bytes;
use serde::Deserialize;

use super::{EcrOutcome, LoadBalancer, SshHost};
use crate::{ClusterError, Reply};

/// The exit status of a shell for a program that is not there.
const NO_PROGRAM: u32 = 127;

/// The longest list of load balancers that is read, in bytes: an entry has about 1 KiB.
const LISTING: usize = 4 * 1024 * 1024;

/// Makes the repository when it is not there.
pub(super) async fn ensure_repository(
    host: &SshHost,
    registry: &EcrRegistry,
    repository: &str,
) -> Result<EcrOutcome, ClusterError> {
    let found = host
        .run(&describe_repository(registry, repository), Bytes::new())
        .await?;
    if found.status.success() {
        return Ok(EcrOutcome::Existed);
    }
    let failed = reply("find the repository", &found);
    if !lacks_the_repository(&failed.text) {
        return match aws_failure(failed) {
            ClusterError::AwsMissing => Ok(EcrOutcome::NoAws),
            error => Err(error),
        };
    }
    let created = host
        .run(&create_repository(registry, repository), Bytes::new())
        .await?;
    let failed = reply("create the repository", &created);
    if created.status.success() || has_the_repository(&failed.text) {
        return Ok(EcrOutcome::Created);
    }
    Err(aws_failure(failed))
}

/// The digest of a tag, when there is one.
pub(super) async fn digest(
    host: &SshHost,
    registry: &EcrRegistry,
    repository: &str,
    tag: &str,
) -> Result<Option<Digest>, ClusterError> {
    const ACT: &str = "find the image";
    let found = host
        .run(&describe_image(registry, repository, tag), Bytes::new())
        .await?;
    let failed = reply(ACT, &found);
    if !found.status.success() {
        return if failed.text.contains("(ImageNotFoundException)") {
            Ok(None)
        } else {
            Err(aws_failure(failed))
        };
    }
    let digest: Result<Digest, _> = serde_json::from_slice(&found.stdout.bytes);
    digest.map(Some).map_err(|error| ClusterError::Unexpected {
        act: ACT.to_owned(),
        problem: error.to_string(),
    })
}

/// The load balancers of a region; none when there is no `aws`.
pub(super) async fn load_balancers(
    host: &SshHost,
    region: Option<&str>,
) -> Result<Option<Vec<LoadBalancer>>, ClusterError> {
    let limits = RunLimits {
        keep_stdout: Some(LISTING),
        ..RunLimits::within(host.kubectl.call_limit)
    };
    let script = describe_load_balancers(region);
    let found = host.ssh.run(&script, Bytes::new(), limits).await?;
    let reply = reply("list the load balancers", &found);
    if !found.status.success() {
        return match aws_failure(reply) {
            ClusterError::AwsMissing => Ok(None),
            error => Err(error),
        };
    }
    match serde_json::from_slice::<Described>(&found.stdout.bytes) {
        Ok(described) => Ok(Some(described.load_balancers())),
        Err(error) => Err(ClusterError::Aws {
            words: format!("its answer is not the expected JSON: {error}"),
            reply: Box::new(reply),
        }),
    }
}

/// The answer of `aws elbv2 describe-load-balancers`
/// (<https://docs.aws.amazon.com/cli/latest/reference/elbv2/describe-load-balancers.html>).
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Described {
    load_balancers: Vec<DescribedOne>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DescribedOne {
    load_balancer_name: String,
    /// A gateway load balancer has none.
    #[serde(rename = "DNSName", default)]
    dns_name: String,
    #[serde(default)]
    state: DescribedState,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct DescribedState {
    code: String,
    reason: Option<String>,
}

impl Described {
    fn load_balancers(self) -> Vec<LoadBalancer> {
        let each = self.load_balancers.into_iter();
        each.map(|one| LoadBalancer {
            name: one.load_balancer_name,
            dns_name: one.dns_name,
            state: one.state.code,
            reason: one.state.reason.filter(|reason| !reason.is_empty()),
        })
        .collect()
    }
}

/// What a failed command of the host's said.
pub(super) fn reply(act: &str, output: &Output) -> Reply {
    Reply {
        act: act.to_owned(),
        exit: output.status.code(),
        text: output.stderr.text(),
        ..Reply::default()
    }
}

fn describe_repository(registry: &EcrRegistry, repository: &str) -> Script {
    ecr("describe-repositories", registry)
        .args(["--repository-names", repository])
        .into()
}

fn create_repository(registry: &EcrRegistry, repository: &str) -> Script {
    ecr("create-repository", registry)
        .args(["--repository-name", repository])
        .into()
}

fn describe_image(registry: &EcrRegistry, repository: &str, tag: &str) -> Script {
    let tag = format!("imageTag={tag}");
    ecr("describe-images", registry)
        .args(["--repository-name", repository, "--image-ids", &tag])
        .args(["--query", "imageDetails[0].imageDigest"])
        .into()
}

fn describe_load_balancers(region: Option<&str>) -> Script {
    let words = ["aws", "elbv2", "describe-load-balancers"];
    let region = region.map_or(vec![], |region| vec!["--region", region]);
    Command::new(words)
        .args(region)
        .args(["--output", "json", "--no-cli-pager"])
        .into()
}

fn ecr(act: &str, registry: &EcrRegistry) -> Command {
    Command::new([
        "aws",
        "ecr",
        act,
        "--region",
        &registry.region,
        "--registry-id",
        &registry.account,
        "--output",
        "json",
        "--no-cli-pager",
    ])
}

/// Whether `aws` says that there is no such repository.
fn lacks_the_repository(stderr: &str) -> bool {
    stderr.contains("(RepositoryNotFoundException)")
}

/// Whether somebody else has made it meanwhile.
fn has_the_repository(stderr: &str) -> bool {
    stderr.contains("(RepositoryAlreadyExistsException)")
}

/// What a failure of `aws` means.
pub(super) fn aws_failure(reply: Reply) -> ClusterError {
    if reply.exit == Some(NO_PROGRAM) {
        return ClusterError::AwsMissing;
    }
    let said = reply
        .text
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty() && !line.starts_with("usage:"));
    let words = match (said, reply.exit) {
        (Some(said), _) => said.to_owned(),
        (None, Some(code)) => format!("exit code {code} and no output"),
        (None, None) => "it was ended by a signal".to_owned(),
    };
    ClusterError::Aws {
        words,
        reply: Box::new(reply),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry() -> EcrRegistry {
        EcrRegistry::of_host("123456789012.dkr.ecr.eu-west-1.amazonaws.com").unwrap()
    }

    fn failed(exit: u32, stderr: &str) -> ClusterError {
        aws_failure(Reply {
            act: "create the repository".into(),
            exit: Some(exit),
            text: stderr.into(),
            ..Reply::default()
        })
    }

    #[test]
    fn names_are_words() {
        insta::assert_snapshot!(describe_repository(&registry(), "a; reboot"), @"aws ecr describe-repositories --region eu-west-1 --registry-id 123456789012 --output json --no-cli-pager --repository-names 'a; reboot'");
        insta::assert_snapshot!(describe_image(&registry(), "a", "$(id)"), @"aws ecr describe-images --region eu-west-1 --registry-id 123456789012 --output json --no-cli-pager --repository-name a --image-ids 'imageTag=$(id)' --query 'imageDetails[0].imageDigest'");
        insta::assert_snapshot!(create_repository(&registry(), "$(id)"), @"aws ecr create-repository --region eu-west-1 --registry-id 123456789012 --output json --no-cli-pager --repository-name '$(id)'");
    }

    #[test]
    fn load_balancers_are_read_as_aws_prints_them() {
        insta::assert_snapshot!(describe_load_balancers(Some("$(id)")), @"aws elbv2 describe-load-balancers --region '$(id)' --output json --no-cli-pager");
        insta::assert_snapshot!(describe_load_balancers(None), @"aws elbv2 describe-load-balancers --output json --no-cli-pager");
        let answer = r#"{"LoadBalancers": [
            {"LoadBalancerArn": "arn:aws:elasticloadbalancing:eu-west-1:1:loadbalancer/app/k8s-a/1",
             "DNSName": "k8s-a-1.eu-west-1.elb.amazonaws.com", "LoadBalancerName": "k8s-a",
             "Scheme": "internet-facing", "State": {"Code": "failed", "Reason": "no addresses"},
             "Type": "application", "AvailabilityZones": []},
            {"LoadBalancerName": "gateway", "State": {"Code": "active"}, "Type": "gateway"}]}"#;
        let described: Described = serde_json::from_str(answer).unwrap();
        let [first, second] = &described.load_balancers()[..] else {
            panic!("two of them");
        };
        assert_eq!(first.dns_name, "k8s-a-1.eu-west-1.elb.amazonaws.com");
        assert_eq!(
            (first.state.as_str(), first.reason.as_deref()),
            ("failed", Some("no addresses"))
        );
        assert_eq!((second.name.as_str(), &second.reason), ("gateway", &None));
    }

    #[test]
    fn what_aws_says_is_told_with_a_remedy() {
        assert!(matches!(
            failed(127, "/bin/sh: 1: aws: not found"),
            ClusterError::AwsMissing
        ));
        for words in [
            "An error occurred (AccessDeniedException) when calling the CreateRepository operation: User: x is not authorized",
            "An error occurred (ExpiredTokenException) when calling the CreateRepository operation: The security token included in the request is expired",
            "Unable to locate credentials. You can configure credentials by running \"aws configure\".",
        ] {
            let error = failed(254, &format!("\n{words}\n"));
            assert!(error.to_string().ends_with(words), "{error}");
            assert!(error.hint().is_some(), "{error}");
        }
        insta::assert_snapshot!(failed(255, ""), @"aws on the host could not create the repository: exit code 255 and no output");
    }
}
