//! Watches of the objects of one or two queries.

mod events;

use std::time::Duration;

use berth_ssh::{Command, Script};

pub(super) use self::events::stream;
use super::{
    super::{ClusterError, Query},
    KubectlSettings, objects,
    reads::unexpected,
    writes::seconds,
};

/// The longest that one watch lasts. Then it ends by itself, and so does a kubectl that runs under sudo
/// and that the SSH user may not end.
const WINDOW: Duration = Duration::from_mins(1);

/// Watches what one or two queries find: the first on stdout, the second on stderr; when one ends the other
/// is ended. They end at the latest after [`WINDOW`].
///
/// # Errors
/// When there are more queries, or one is of several resources.
pub(super) fn watch(
    settings: &KubectlSettings,
    queries: &[Query],
    at_most: Duration,
) -> Result<Script, ClusterError> {
    let commands = queries
        .iter()
        .map(|query| command(settings, query, at_most));
    match commands.collect::<Option<Vec<_>>>().as_deref() {
        Some([one]) => Ok(Script::until_stdin_ends(one.clone())),
        Some([main, beside]) => Ok(Script::beside_until_stdin_ends(
            beside.clone(),
            main.clone(),
        )),
        _ => Err(unexpected(
            "watch",
            "it takes one or two queries of one resource each".to_owned(),
        )),
    }
}

pub(super) fn command(
    settings: &KubectlSettings,
    query: &Query,
    at_most: Duration,
) -> Option<Command> {
    let seconds = seconds(at_most.min(WINDOW));
    let path = objects::path(query)?;
    let mut words = vec![format!("{path}?watch=1&timeoutSeconds={seconds}")];
    for (parameter, selector) in [
        ("labelSelector", &query.labels),
        ("fieldSelector", &query.fields),
    ] {
        if let Some(selector) = selector {
            words.push(format!("{parameter}={}", percent_encoded(selector)));
        }
    }
    Some(settings.kubectl(["get", "--raw", &words.join("&")]))
}

/// A query's value (RFC 3986, 3.4): everything but unreserved characters is encoded.
fn percent_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Resource;

    #[test]
    fn any_two_queries_are_watched_in_one_command() {
        let namespace = "builder".parse().unwrap();
        let queries = [
            Query::in_namespace([Resource::JOBS], &namespace).named("build-1"),
            Query::in_namespace([Resource::PODS], &namespace).labelled("berth.dev/build=build-1"),
        ];
        let script = watch(&KubectlSettings::default(), &queries, WINDOW).unwrap();
        let line = script.to_string();
        for path in [
            "'/apis/batch/v1/namespaces/builder/jobs?watch=1&timeoutSeconds=60&fieldSelector=metadata.name%3Dbuild-1'",
            "'/api/v1/namespaces/builder/pods?watch=1&timeoutSeconds=60&labelSelector=berth.dev%2Fbuild%3Dbuild-1'",
        ] {
            assert!(line.contains(path), "{line}");
        }
    }
}
