//! What helps after an error: the library's hint, with the program's commands and options for it.
//!
//! Decided by the error's variant, its cause or its field, never by its text.

use std::borrow::Cow;

use crate::{
    cluster::{ClusterError, ExecError},
    context::ContextError,
    domain::{BuildCause, Cause, Diagnosis, Invalid, PodStatus},
    error::Error,
    ingress::{RoutingStep, Rung, StepState},
    manifest::{DockerfileTemplateError, ManifestError},
    store::PodRecord,
};

/// For a refused value, by its field.
const FIELDS: &[(&str, &str)] = &[
    ("owner", "--project-id"),
    ("AWS profile", "--profile"),
    ("DEPLOYMENT_DOMAIN", "--hostname NAME, --no-ingress"),
    ("Dockerfile", "--builder buildkit"),
    ("Dockerfile path", "--dockerfile"),
    ("builder argument", "--builder-arg=--FLAG=VALUE"),
    ("git token", "--git-token-file, --git-token-stdin"),
];

/// For a pod that does not run.
const CAUSES: &[(Cause, &str)] = &[
    (Cause::Slow, "`berth status`"),
    (Cause::Replaced, "`berth revisions`"),
];

/// For a build without an image.
const BUILD_CAUSES: &[(BuildCause, &str)] = &[
    (BuildCause::Dockerfile, "--dockerfile, --builder buildkit"),
    (BuildCause::Credentials, "`berth setup-builder`"),
    (BuildCause::NoBuilder, "`berth setup-builder`"),
    (BuildCause::Architecture, "--platform"),
    (BuildCause::Deadline, "`berth build --timeout`"),
];

/// For a step of the route to a deployment.
const STEPS: &[((Rung, StepState), &str)] = &[
    (
        (Rung::Ingress, StepState::Fail),
        "`berth list-alb-ingresses`",
    ),
    ((Rung::Path, StepState::Fail), "--path"),
    ((Rung::Endpoints, StepState::Fail), "`berth list-instances`"),
    ((Rung::Controller, StepState::Fail), "`berth alb-status`"),
    ((Rung::Address, StepState::Fail), "`berth alb-status`"),
    ((Rung::Answer, StepState::Warn), "--path"),
    ((Rung::AnswerByDns, StepState::Warn), "--path"),
];

/// What the program says.
enum Help {
    /// In place of the library's hint.
    Instead(Cow<'static, str>),
    /// After the library's hint, in parentheses.
    By(&'static str),
}

/// Returns the hint that the program prints.
pub(super) fn hint(error: &Error) -> Option<String> {
    match help(error) {
        Some(Help::Instead(text)) => Some(text.into_owned()),
        Some(Help::By(by)) => error.hint().map(|hint| with(&hint, Some(by))),
        None => error.hint(),
    }
}

/// Returns what to do about a refused value.
pub(super) fn of_invalid(refused: &Invalid) -> String {
    with(refused.remedy(), row(FIELDS, &refused.field()))
}

/// Returns what to do about a pod as it was last seen.
pub(super) fn of_pod(record: &PodRecord) -> Option<String> {
    let of = |it: &Diagnosis| with(it.hint(), row(CAUSES, &it.cause));
    let stopped = || "`berth create` starts it".to_owned();
    let failing = record.diagnosis.as_ref().map(of);
    failing.or_else(|| (record.status == PodStatus::Stopped).then(stopped))
}

/// Returns what to do about a step of the route to a deployment.
pub(super) fn of_step(step: &RoutingStep) -> Option<String> {
    let by = row(STEPS, &(step.step, step.state));
    step.remedy.as_deref().map(|it| with(it, by))
}

fn row<K: PartialEq>(table: &[(K, &'static str)], key: &K) -> Option<&'static str> {
    table
        .iter()
        .find(|(it, _)| it == key)
        .map(|(_, text)| *text)
}

fn with(hint: &str, by: Option<&str>) -> String {
    by.map_or_else(|| hint.to_owned(), |by| format!("{hint} ({by})"))
}

fn help(error: &Error) -> Option<Help> {
    let by = |by: Option<&'static str>| by.map(Help::By);
    let instead = |text: String| Some(Help::Instead(text.into()));
    let text = match error {
        Error::Invalid(refused) => return by(row(FIELDS, &refused.field())),
        Error::Replaced { .. } => return by(row(CAUSES, &Cause::Replaced)),
        Error::PodFailed { diagnosis, .. } | Error::ImageNotPulled { diagnosis, .. } => {
            return by(row(CAUSES, &diagnosis.cause));
        }
        Error::BuildFailed { failure, .. } => return by(row(BUILD_CAUSES, &failure.cause)),
        Error::Context(ContextError::NoDockerfile { .. } | ContextError::BadDockerfile { .. }) => {
            return Some(Help::By("--dockerfile, --template"));
        }
        Error::Manifest(ManifestError::Unreadable { .. })
        | Error::DockerfileTemplate(DockerfileTemplateError::Unreadable { .. }) => {
            return Some(Help::By("--templates"));
        }
        Error::SpecUnknown => return Some(Help::By("`berth deploy --fresh`")),
        Error::Cluster(error) | Error::Exec(ExecError::Cluster(error)) => {
            return by(match error {
                ClusterError::KubeconfigMissing { .. } => Some("`berth setup-kubeconfig`"),
                ClusterError::NotRunning { .. } => Some("`berth status`"),
                _ => None,
            });
        }
        Error::DeployFailed { diagnosis, .. } => match diagnosis.cause {
            Cause::NotReady => {
                "check that the container answers on its port and the health path; \
                 --start-period gives it more time"
            }
            Cause::Slow => {
                "`berth list-instances` shows how far it has come; --timeout allows more time"
            }
            cause => return by(row(CAUSES, &cause)),
        },
        Error::SecretInUse { .. } => "deploy again without it first, or take it away with --force",
        Error::SecretNotSet { name } => {
            return instead(format!(
                "set it with `berth secret set {name}`, or leave it out"
            ));
        }
        Error::BuildUnfinished { id, .. } => {
            return instead(format!(
                "`berth build attach {id}` waits for its end, `berth build cancel {id}` ends it"
            ));
        }
        Error::NoBuild { .. } => "`berth build list` shows what there is",
        Error::NoBuilder { .. } => {
            "`berth setup-builder` makes it, with the registry's credentials"
        }
        Error::NoNamespace { namespace } => {
            return instead(format!(
                "a project is named by --project-id, and has a namespace of its own; to deploy into \
                 this one, create it with `kubectl create namespace {namespace}`"
            ));
        }
        Error::NoDeployment { .. } | Error::NotThere { .. } => {
            "`berth list-instances` shows what there is"
        }
        Error::HostTaken { .. } => {
            "choose another name with --hostname, or stop the deployment that has it"
        }
        Error::GroupConflict { setting, .. } => {
            return instead(format!(
                "use the group's {setting}, or a load balancer of its own with --dedicated-alb"
            ));
        }
        Error::NoPod { .. } => "`berth create` makes one",
        Error::ForeignNamespace { .. } => {
            "name another with BUILDER_NAMESPACE, or use it all the same with --adopt"
        }
        Error::OtherHost { recorded, .. } => {
            return instead(format!(
                "use the settings of {recorded}; or, if that host is no more, forget the pod: \
                 `berth delete` with --forget"
            ));
        }
        Error::Exec(ExecError::PodGone { .. }) => "`berth create` makes the pod again",
        Error::Exec(ExecError::NotRunning { .. }) => {
            "`berth status` says why; `berth create` starts it again"
        }
        Error::Exec(ExecError::TimedOut { ended_in_pod, .. }) => {
            if *ended_in_pod {
                "the command was ended; allow more time with --timeout"
            } else {
                "the command may still be running in the pod; allow more time with --timeout"
            }
        }
        _ => return None,
    };
    Some(Help::Instead(text.into()))
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, path::Path, sync::Arc};

    use super::*;
    use crate::{
        builds::{BuildDryRun, BuildRequest, BuildSource},
        config::Config,
        deployments::{DeployRequest, dry_run},
        domain::{BuildFailure, BuildId, GitSource, Owner, Silent},
        setup::{AwsCredentials, AwsFiles},
    };

    /// Whether a text names a command or an option of the program.
    fn is_the_programs(text: &str) -> bool {
        let is_option = |word: &str| word.trim_start_matches(['`', '(']).starts_with("--");
        text.contains("`berth ") || text.split(' ').any(is_option)
    }

    #[test]
    fn commands_and_options_are_the_programs_alone() {
        let owner = Owner::project("shop").unwrap();
        let id: BuildId = "web-1".parse().unwrap();
        let text = String::new;
        for error in [
            Error::NoPod {
                owner: owner.clone(),
            },
            Error::NoBuild { id: id.clone() },
            Error::BuildUnfinished {
                id: id.clone(),
                source: Box::new(ClusterError::AwsMissing),
            },
            Error::SecretNotSet { name: text() },
            Error::SpecUnknown,
            Error::NoBuilder { namespace: text() },
            Error::BuildFailed {
                id,
                image: "web".parse().unwrap(),
                failure: Box::new(BuildFailure::new(BuildCause::Credentials, "")),
            },
            Error::Replaced {
                what: text(),
                by: "",
            },
            Error::Context(ContextError::NoDockerfile {
                path: "Dockerfile".into(),
                similar: Vec::new(),
            }),
            Error::NoNamespace { namespace: text() },
            Error::NoDeployment {
                namespace: text(),
                name: text(),
            },
            Error::HostTaken {
                host: text(),
                by: text(),
            },
            Error::ForeignNamespace { namespace: text() },
            Error::SecretInUse {
                name: text(),
                by: Vec::new(),
            },
            Error::OtherHost {
                owner,
                recorded: text(),
                host: text(),
            },
        ] {
            let (library, program) = (error.hint().unwrap(), hint(&error).unwrap());
            assert!(!is_the_programs(&library), "{library}");
            assert!(is_the_programs(&program), "{program}");
        }
    }

    #[test]
    fn each_row_names_the_program() {
        let rows = FIELDS.iter().map(|row| row.1);
        let rows = rows.chain(CAUSES.iter().map(|row| row.1));
        let rows = rows.chain(BUILD_CAUSES.iter().map(|row| row.1));
        for text in rows.chain(STEPS.iter().map(|row| row.1)) {
            assert!(is_the_programs(text), "{text}");
        }
    }

    /// The fields that the library has given to values of which there are rows.
    async fn fields() -> BTreeSet<&'static str> {
        let scratch = tempfile::tempdir().unwrap();
        std::fs::write(
            scratch.path().join("Dockerfile"),
            "FROM a\nRUN cat <<EOF\na\nEOF\n",
        )
        .unwrap();
        let config = Config::from_vars(|name| match name {
            "K8S_SSH_HOST" | "IMAGE_REGISTRY" => Some("host.invalid".to_owned()),
            "K8S_SSH_KEY_FILE" | "HOME" => Some("/nonexistent".to_owned()),
            _ => None,
        });
        let config = config.unwrap();
        let folder = BuildRequest::folder("web", scratch.path()).unwrap();
        let git = BuildSource::Git {
            source: "https://git.invalid/a.git".parse().unwrap(),
            dockerfile: "../Dockerfile".to_owned(),
            token: None,
        };
        let mut refused = vec![
            Owner::from_ids(None, None).unwrap_err(),
            "https://u:p@git.invalid/a.git"
                .parse::<GitSource>()
                .unwrap_err(),
            AwsCredentials::of_profile(&AwsFiles::new(Path::new("/nonexistent"), None, None), "x")
                .err()
                .unwrap(),
        ];
        let exposed = DeployRequest::project("shop", "web").unwrap();
        let Err(Error::Invalid(unexposed)) = dry_run(&config, &exposed) else {
            panic!("there is no domain");
        };
        refused.push(unexposed);
        for request in [
            folder.clone(),
            folder.builder_arg("verbose"),
            BuildRequest::new("web", git).unwrap(),
        ] {
            match BuildDryRun::new(&config, &request, Arc::new(Silent)).await {
                Err(Error::Invalid(it)) => refused.push(it),
                other => panic!("{other:?}"),
            }
        }
        refused.iter().map(Invalid::field).collect()
    }

    #[tokio::test]
    async fn each_field_of_the_table_is_one_of_the_library() {
        let table: BTreeSet<_> = FIELDS.iter().map(|row| row.0).collect();
        assert_eq!(table, fields().await);
    }
}
