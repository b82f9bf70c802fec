//! What helps after an error, with the program's commands and options where the library names none.

use crate::{cluster::ExecError, domain::Cause, error::Error};

/// Returns the hint that the program prints.
pub(super) fn hint(error: &Error) -> Option<String> {
    let hint = match error {
        Error::DeployFailed { diagnosis, .. } => match diagnosis.cause {
            Cause::NotReady => {
                "check that the container answers on its port and the health path; \
                 --start-period gives it more time"
            }
            Cause::Slow => {
                "`berth list-instances` shows how far it has come; --timeout allows more time"
            }
            _ => return error.hint(),
        },
        Error::SecretInUse { .. } => "deploy again without it first, or take it away with --force",
        Error::BuildUnfinished { id, .. } => {
            return Some(format!(
                "`berth build attach {id}` waits for its end, `berth build cancel {id}` ends it"
            ));
        }
        Error::NoBuild { .. } => "`berth build list` shows what there is",
        Error::NoBuilder { .. } => {
            "`berth setup-builder` makes it, with the registry's credentials"
        }
        Error::NoNamespace { namespace } => {
            return Some(format!(
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
            return Some(format!(
                "use the group's {setting}, or a load balancer of its own with --dedicated-alb"
            ));
        }
        Error::NoPod { .. } => "`berth create` makes one",
        Error::ForeignNamespace { .. } => {
            "name another with BUILDER_NAMESPACE, or use it all the same with --adopt"
        }
        Error::OtherHost { recorded, .. } => {
            return Some(format!(
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
        _ => return error.hint(),
    };
    Some(hint.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{BuildId, Owner};

    /// Whether a text names a command or an option of the program.
    fn is_the_programs(text: &str) -> bool {
        let is_option = |word: &str| word.starts_with("--");
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
            Error::NoBuild { id },
            Error::NoBuilder { namespace: text() },
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
}
