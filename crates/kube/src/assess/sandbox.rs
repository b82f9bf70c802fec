//! Why a node can't set up a pod, which the pod's status does not say.

use berth_core::{Cause, Diagnosis};

/// What trying again does not help: the limit leaves no room for the runtime's own process.
const HOPELESS: [&str; 2] = ["memory limit too low", "set memory limit"];

/// What a namespace's warnings say of a pod whose sandbox failed more than once, or can't succeed.
#[must_use]
pub fn sandbox_failure(pod: &str, warnings: &[String]) -> Option<Diagnosis> {
    let about = format!("FailedCreatePodSandBox (pod {pod}): ");
    let last = warnings
        .iter()
        .rev()
        .find_map(|it| it.strip_prefix(&about))?;
    let is_repeated = last.ends_with(" times)");
    let is_hopeless = HOPELESS.iter().any(|words| last.contains(words));
    (is_repeated || is_hopeless).then(|| Diagnosis::new(Cause::Sandbox, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sandbox_that_fails_again_or_for_good_is_a_diagnosis() {
        let failed = |rest: &str| {
            let warnings = [
                format!("FailedCreatePodSandBox (pod web-1): Failed to create pod sandbox: {rest}"),
                "FailedScheduling (pod web-1): no room (9 times)".to_owned(),
                "FailedCreatePodSandBox (pod web-2): another's (9 times)".to_owned(),
            ];
            sandbox_failure("web-1", &warnings)
        };
        assert_eq!(failed("no network"), None);
        let repeated = failed("no network (2 times)").unwrap();
        assert_eq!(repeated.cause, Cause::Sandbox);
        assert_eq!(
            repeated.message,
            "Failed to create pod sandbox: no network (2 times)"
        );
        assert!(failed("container init was OOM-killed (memory limit too low?)").is_some());
        assert_eq!(sandbox_failure("web-1", &[]), None);
    }
}
