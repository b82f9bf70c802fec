//! Any objects: command lines that find them and delete them.

use std::time::Duration;

use berth_core::Namespace;
use berth_ssh::{Command, Script};

use super::{super::Query, KubectlSettings, writes::seconds};
use crate::{MANAGER, Resource};

/// The answers of several questions after one another; the first failure ends it.
const IN_TURN: [&str; 5] = [
    "",
    "exec {} </dev/null",
    "{} </dev/null && exec {} </dev/null",
    "{} </dev/null && {} </dev/null && exec {} </dev/null",
    "{} </dev/null && {} </dev/null && {} </dev/null && exec {} </dev/null",
];

/// Has kubectl print who has set which field.
pub(super) const SHOW_MANAGERS: &str = "--show-managed-fields";

/// The most queries that one command takes.
pub(super) const QUERIES_MAX: usize = IN_TURN.len() - 1;

/// Prints what at most [`QUERIES_MAX`] queries find, one JSON document a query.
pub(super) fn find(settings: &KubectlSettings, queries: &[Query]) -> Script {
    let commands: Vec<_> = queries.iter().map(|query| get(settings, query)).collect();
    match commands.as_slice() {
        [first, second] => Script::both(first.clone(), second.clone()),
        all => {
            let template = IN_TURN.get(all.len()).copied().unwrap_or_default();
            let all: Vec<_> = all.iter().collect();
            Script::from_template(template, &all)
        }
    }
}

pub(super) fn get(settings: &KubectlSettings, query: &Query) -> Command {
    let command = select(settings.kubectl(["get"]), query).args(["-o", "json"]);
    if query.managers {
        return command.arg(SHOW_MANAGERS);
    }
    command
}

/// Changes one object by the JSON patch on stdin.
///
/// kubectl opens its stdin a second time, by name. That fails for the socket that sshd gives to a command,
/// and, where sudo runs kubectl as another user than root, for a pipe that only its owner may read.
pub(super) fn patch(
    settings: &KubectlSettings,
    resource: Resource,
    namespace: &Namespace,
    name: &str,
) -> Script {
    let manager = format!("--field-manager={MANAGER}");
    let patch = settings
        .kubectl(["patch", &resource.name(), name, "-n", namespace.as_str()])
        .args([
            "--type=json",
            "--patch-file=/dev/stdin",
            &manager,
            "-o",
            "name",
        ]);
    Script::from_template(
        "cat | { chmod a+r /dev/stdin 2>/dev/null; exec {}; }",
        &[&patch],
    )
}

/// Deletes what the query finds, and waits until it is gone; see [`gone`].
pub(super) fn delete(settings: &KubectlSettings, query: &Query, at_most: Duration) -> Script {
    gone(
        &delete_command(settings, query, at_most),
        &get(settings, query),
    )
}

/// Deletes what the query finds, and waits until it is gone. Names what it deleted, a line each.
pub(super) fn delete_command(
    settings: &KubectlSettings,
    query: &Query,
    at_most: Duration,
) -> Command {
    select(settings.kubectl(["delete"]), query).args([
        "--ignore-not-found".to_owned(),
        "--wait=true".to_owned(),
        format!("--timeout={}s", seconds(at_most)),
        "-o".to_owned(),
        "name".to_owned(),
    ])
}

/// Waits until nothing is left of what the query finds; see [`gone`].
pub(super) fn wait_until_gone(
    settings: &KubectlSettings,
    query: &Query,
    at_most: Duration,
) -> Script {
    let wait = select(settings.kubectl(["wait"]), query)
        .arg("--for=delete")
        .arg(format!("--timeout={}s", seconds(at_most)));
    // Newer versions of kubectl print nothing when there is no such object.
    gone(&wait, &get(settings, query))
}

/// What `act` prints, which deletes objects or waits for their end. When it names none of them, the list of
/// those that exist: only this shows that there is nothing, and that the output was not lost.
pub(super) fn gone(act: &Command, list: &Command) -> Script {
    Script::from_template(
        "berth_gone=$({} </dev/null) || exit; case $berth_gone in \
         ''|'No resources found') exec {} </dev/null;; *) printf '%s\\n' \"$berth_gone\";; esac",
        &[act, list],
    )
}

fn select(command: Command, query: &Query) -> Command {
    let names: Vec<_> = query.resources.iter().map(Resource::name).collect();
    let mut command = command.arg(names.join(","));
    command = match &query.namespace {
        Some(namespace) => command.args(["-n", namespace.as_str()]),
        None if query.resources.iter().all(|it| !it.is_namespaced) => command,
        None => command.arg("--all-namespaces"),
    };
    if let Some(selector) = &query.labels {
        command = command.arg(format!("--selector={selector}"));
    }
    if let Some(selector) = &query.fields {
        command = command.arg(format!("--field-selector={selector}"));
    }
    command
}

/// The path in the API of the query's resource; none when it has several, or none.
pub(super) fn path(query: &Query) -> Option<String> {
    let [resource] = *query.resources else {
        return None;
    };
    let namespace = query.namespace.as_ref().map(Namespace::as_str);
    Some(resource.path(namespace))
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write as _,
        os::{fd::OwnedFd, unix::net::UnixStream},
        process,
    };

    use super::*;

    #[test]
    fn several_questions_are_one_command() {
        let settings = KubectlSettings::default();
        let namespace = "shop".parse().unwrap();
        let query = Query::in_namespace([Resource::DEPLOYMENTS, Resource::INGRESSES], &namespace)
            .labelled("a=b; reboot")
            .named("$(x)");
        insta::assert_snapshot!(get(&settings, &query), @r#"kubectl get deployments.apps,ingresses.networking.k8s.io -n shop '--selector=a=b; reboot' '--field-selector=metadata.name=$(x)' -o json"#);
        insta::assert_snapshot!(delete_command(&settings, &query, Duration::from_secs(5)), @r#"kubectl delete deployments.apps,ingresses.networking.k8s.io -n shop '--selector=a=b; reboot' '--field-selector=metadata.name=$(x)' --ignore-not-found --wait=true --timeout=5s -o name"#);
        let namespaces = Query::namespace(&namespace).labelled("a=b");
        insta::assert_snapshot!(wait_until_gone(&settings, &namespaces, Duration::ZERO), @r#"berth_gone=$(kubectl wait namespaces --selector=a=b --field-selector=metadata.name=shop --for=delete --timeout=1s </dev/null) || exit; case $berth_gone in ''|'No resources found') exec kubectl get namespaces --selector=a=b --field-selector=metadata.name=shop -o json </dev/null;; *) printf '%s\n' "$berth_gone";; esac"#);
        let claims = Query::in_namespace([Resource::PERSISTENT_VOLUME_CLAIMS], &namespace);
        insta::assert_snapshot!(delete(&settings, &claims, Duration::from_millis(1500)), @r#"berth_gone=$(kubectl delete persistentvolumeclaims -n shop --ignore-not-found --wait=true --timeout=2s -o name </dev/null) || exit; case $berth_gone in ''|'No resources found') exec kubectl get persistentvolumeclaims -n shop -o json </dev/null;; *) printf '%s\n' "$berth_gone";; esac"#);
        let everywhere = Query::everywhere([Resource::NAMESPACES]);
        insta::assert_snapshot!(find(&settings, &[everywhere.clone(), query.clone(), everywhere.clone()]), @r#"kubectl get namespaces -o json </dev/null && kubectl get deployments.apps,ingresses.networking.k8s.io -n shop '--selector=a=b; reboot' '--field-selector=metadata.name=$(x)' -o json </dev/null && exec kubectl get namespaces -o json </dev/null"#);
        let managers = Query::in_namespace([Resource::SERVICES], &namespace).with_managers();
        insta::assert_snapshot!(get(&settings, &managers), @"kubectl get services -n shop -o json --show-managed-fields");
        insta::assert_snapshot!(patch(&settings, Resource::DEPLOYMENTS, &namespace, "$(id)"), @"cat | { chmod a+r /dev/stdin 2>/dev/null; exec kubectl patch deployments.apps '$(id)' -n shop --type=json --patch-file=/dev/stdin --field-manager=berth -o name; }");
        let many = vec![everywhere; QUERIES_MAX];
        for script in (1..=QUERIES_MAX).map(|count| find(&settings, &many[..count])) {
            script.check().unwrap();
        }
    }

    /// sshd gives a command a socket or a pipe, as it was built.
    #[test]
    fn a_patch_is_read_from_a_socket_too() {
        let words = ["/bin/sh", "-c", "cat /dev/stdin", "kubectl"];
        let settings = KubectlSettings {
            program: words.map(str::to_owned).to_vec(),
            ..KubectlSettings::default()
        };
        let namespace = "shop".parse().unwrap();
        let script = patch(&settings, Resource::DEPLOYMENTS, &namespace, "web");
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        ours.write_all(b"[]").unwrap();
        drop(ours);
        let output = process::Command::new("/bin/sh")
            .args(["-c", &script.to_string()])
            .stdin(OwnedFd::from(theirs))
            .output()
            .unwrap();
        assert_eq!(output.stdout, b"[]", "{output:?}");
    }

    #[test]
    fn a_query_of_several_resources_has_no_path() {
        let namespace = "shop".parse().unwrap();
        let pods = Query::in_namespace([Resource::PODS], &namespace);
        assert_eq!(path(&pods).unwrap(), "/api/v1/namespaces/shop/pods");
        let two = Query::in_namespace([Resource::PODS, Resource::JOBS], &namespace);
        assert_eq!(path(&two), None);
    }
}
