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

/// The rest of the hint for a refused value, by its field.
const FIELDS: &[(&str, &str)] = &[
    ("owner", "--project-id names a project"),
    ("AWS profile", "--profile names another"),
    (
        "DEPLOYMENT_DOMAIN",
        "--hostname NAME or --no-ingress does so",
    ),
    ("Dockerfile", "--builder buildkit chooses it"),
    ("Dockerfile path", "--dockerfile names it"),
    ("builder argument", "--builder-arg=--FLAG=VALUE passes one"),
    (
        "git token",
        "--git-token-file or --git-token-stdin passes it",
    ),
];

/// The rest of the hint for a pod that does not run.
const CAUSES: &[(Cause, &str)] = &[
    (Cause::Slow, "`berth status` shows it"),
    (Cause::Replaced, "`berth revisions` lists them"),
];

/// The rest of the hint for a build without an image.
const BUILD_CAUSES: &[(BuildCause, &str)] = &[
    (
        BuildCause::Dockerfile,
        "--dockerfile names it, --builder buildkit builds what Kaniko skips",
    ),
    (BuildCause::Credentials, "`berth setup-builder` does so"),
    (BuildCause::NoBuilder, "`berth setup-builder` does so"),
    (BuildCause::Architecture, "--platform chooses the image's"),
    (BuildCause::Deadline, "`berth build --timeout` sets it"),
];

/// The rest of the remedy for a step of the route to a deployment.
const STEPS: &[((Rung, StepState), &str)] = &[
    (
        (Rung::Ingress, StepState::Fail),
        "`berth list-alb-ingresses` lists the Ingresses",
    ),
    ((Rung::Path, StepState::Fail), "--path requests another"),
    (
        (Rung::Endpoints, StepState::Fail),
        "`berth list-instances` lists the pods",
    ),
    (
        (Rung::Controller, StepState::Fail),
        "`berth alb-status` shows the controller",
    ),
    (
        (Rung::Address, StepState::Fail),
        "`berth alb-status` shows the controller",
    ),
    (
        (Rung::Answer, StepState::Warn),
        "--path requests another path",
    ),
    (
        (Rung::AnswerByDns, StepState::Warn),
        "--path requests another path",
    ),
];

/// What the program says.
enum Help {
    /// In place of the library's hint.
    Instead(Cow<'static, str>),
    /// After the library's hint.
    Rest(&'static str),
}

/// Returns the hint that the program prints.
pub(super) fn hint(error: &Error) -> Option<String> {
    match help(error) {
        Some(Help::Instead(text)) => Some(text.into_owned()),
        Some(Help::Rest(rest)) => error.hint().map(|hint| with_rest(&hint, Some(rest))),
        None => error.hint(),
    }
}

/// Returns what to do about a refused value.
pub(super) fn of_invalid(refused: &Invalid) -> String {
    with_rest(refused.remedy(), row(FIELDS, &refused.field()))
}

/// Returns what to do about a pod as it was last seen.
pub(super) fn of_pod(record: &PodRecord) -> Option<String> {
    let of = |it: &Diagnosis| with_rest(it.hint(), row(CAUSES, &it.cause));
    let stopped = || "`berth create` starts it".to_owned();
    let failing = record.diagnosis.as_ref().map(of);
    failing.or_else(|| (record.status == PodStatus::Stopped).then(stopped))
}

/// Returns what to do about a step of the route to a deployment.
pub(super) fn of_step(step: &RoutingStep) -> Option<String> {
    let rest = row(STEPS, &(step.step, step.state));
    step.remedy.as_deref().map(|it| with_rest(it, rest))
}

fn row<K: PartialEq>(table: &[(K, &'static str)], key: &K) -> Option<&'static str> {
    table
        .iter()
        .find(|(it, _)| it == key)
        .map(|(_, text)| *text)
}

fn with_rest(hint: &str, rest: Option<&str>) -> String {
    rest.map_or_else(|| hint.to_owned(), |rest| format!("{hint}; {rest}"))
}

fn help(error: &Error) -> Option<Help> {
    let rest = |rest: Option<&'static str>| rest.map(Help::Rest);
    let instead = |text: String| Some(Help::Instead(text.into()));
    let text = match error {
        Error::Invalid(refused) => return rest(row(FIELDS, &refused.field())),
        Error::Replaced { .. } => return rest(row(CAUSES, &Cause::Replaced)),
        Error::PodFailed { diagnosis, .. } | Error::ImageNotPulled { diagnosis, .. } => {
            return rest(row(CAUSES, &diagnosis.cause));
        }
        Error::BuildFailed { failure, .. } => return rest(row(BUILD_CAUSES, &failure.cause)),
        Error::Context(ContextError::NoDockerfile { .. } | ContextError::BadDockerfile { .. }) => {
            return Some(Help::Rest(
                "--dockerfile names one, --template chooses a template",
            ));
        }
        Error::Manifest(ManifestError::Unreadable { .. })
        | Error::DockerfileTemplate(DockerfileTemplateError::Unreadable { .. }) => {
            return Some(Help::Rest("--templates names it as well"));
        }
        Error::SpecUnknown => return Some(Help::Rest("`berth deploy --fresh` does so")),
        Error::Cluster(error) | Error::Exec(ExecError::Cluster(error)) => {
            return rest(match error {
                ClusterError::KubeconfigMissing { .. } => Some("`berth setup-kubeconfig` does so"),
                ClusterError::NotRunning { .. } => Some("`berth status` shows it"),
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
            cause => return rest(row(CAUSES, &cause)),
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
        let is_option = |word: &str| word.trim_start_matches('`').starts_with("--");
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
            "K8S_SSH_KEY_FILE" => Some("/nonexistent".to_owned()),
            "HOME" => Some("/nonexistent".to_owned()),
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
