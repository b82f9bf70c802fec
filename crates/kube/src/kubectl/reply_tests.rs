use std::fmt::Write as _;

use super::{super::recorded, *};

fn variant(error: &ClusterError) -> String {
    let debug = format!("{error:?}");
    debug.split([' ', '(', '{']).next().unwrap().to_owned()
}

fn classified(exit: u32, stderr: &str) -> ClusterError {
    classify(Reply {
        act: "get".into(),
        exit: Some(exit),
        text: stderr.into(),
        ..Reply::default()
    })
}

fn shown(exit: u32, stderr: &str) -> String {
    let error = classified(exit, stderr);
    assert_eq!(error.reply().unwrap().text, stderr, "kept in full");
    format!("{}: {error}", variant(&error))
}

/// A recording that is not in the snapshot makes it differ. Commands in pods have a test of their own.
#[test]
fn every_recorded_failure_is_understood() {
    let mut said = String::new();
    for recorded in recorded::all() {
        if recorded.exit == 0 || recorded.name.starts_with("exec-") {
            continue;
        }
        let shown: String = shown(recorded.exit, &recorded.stderr)
            .chars()
            .take(160)
            .collect();
        writeln!(said, "{}: {shown}", recorded.name).unwrap();
    }
    insta::assert_snapshot!(said, @r#"
apiserver-badca: ApiUntrusted: the API server's certificate is not trusted: Unable to connect to the server: tls: failed to verify certificate: x509: certificate signed by unkno
apiserver-refused: ApiUnreachable: the host can't reach the API server: The connection to the server 127.0.0.1:1 was refused - did you specify the right host or port?
apply-bad-yaml: BadYaml: kubectl can't read the manifests: error converting YAML to JSON: yaml: line 2: did not find expected node content
apply-configmap-too-big: TooLarge: too large for the cluster: failed to create configmap: ConfigMap "big" is invalid: []: Too long: may not be more than 1048576 bytes
apply-immutable-selector: Immutable: Deployment "running" can't be changed in place: spec.selector: Invalid value: {"matchLabels":{"app":"x"}}: field is immutable
apply-invalid-quantity: Invalid: Pod is invalid: quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'
apply-invalid-value: Invalid: Pod "Bad_Name" is invalid: metadata.name: Invalid value: "Bad_Name": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters,
apply-missing-ns: NotFound: not found: namespaces "nosuch"
apply-nodeport-taken: NodePortTaken: node port 31074 is taken by another Service
apply-pod-security: PodSecurity: Pod Security forbids it: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false (container "c" must set securityContext.allowP
apply-quota-exceeded: Quota: the namespace's quota leaves no room: exceeded quota: q, requested: requests.cpu=2, used: requests.cpu=0, limited: requests.cpu=1
apply-quota-needs-requests: Quota: the namespace's quota leaves no room: failed quota: q: must specify requests.cpu for: c
apply-ssa-conflict: Conflict: fields of the object are managed by other
apply-terminating-ns: Terminating: namespace term is being deleted
apply-unknown-field-ssa: UnknownField: the cluster does not know the field spec.containerz
apply-unknown-field: UnknownField: the cluster does not know the field spec.containerz
cani-no: Kubectl: kubectl get failed: exit code 1 and no output
context-missing: ContextMissing: the kubeconfig on the host has no context "nosuch"
delete-notfound: NotFound: not found: deployments.apps "nosuch"
delete-ns-wait-timeout: TimedOut: timed out waiting for the condition on namespaces/term
forbidden-create: Forbidden: the cluster forbids it: User "system:serviceaccount:rec:viewer" cannot get resource "namespaces" in API group "" in the namespace "zz"
forbidden-exec: Forbidden: the cluster forbids it: User "system:serviceaccount:rec:viewer" cannot get resource "pods" in API group "" in the namespace "rec"
forbidden-list: Forbidden: the cluster forbids it: User "system:serviceaccount:rec:viewer" cannot list resource "pods" in API group "" in the namespace "rec"
get-notfound: NotFound: not found: pods "nosuch"
get-ns-notfound: NotFound: not found: namespaces "nosuch"
kubeconfig-missing: KubeconfigMissing: the kubeconfig /no/such/file can't be read on the host: no such file or directory
kubectl-missing: KubectlMissing: kubectl was not found on the host: bash: line 1: kubectl-nosuch: command not found
logs-waiting: NotRunning: the container does not run: trying and failing to pull image
rollout-stuck: TimedOut: timed out waiting for the condition
unauthorized: Unauthorized: the API server does not accept the kubeconfig's credentials
wait-notfound: NotFound: not found: pods "nosuch"
wait-timeout: TimedOut: timed out waiting for the condition on pods/notready
"#);
}

/// What a host may print before kubectl's own words.
const NOISE: &str = "sudo: unable to resolve host node-1: Name or service not known\n\
    bash: warning: setlocale: LC_ALL: cannot change locale (de_DE.UTF-8)\n\
    WARN[0000] Unable to read /etc/rancher/k3s/k3s.yaml, please start server with --write-kubeconfig-mode\n\
    INFO[0000] x\n\
    time=\"2026-11-21T01:28:30Z\" level=warning msg=\"permission denied\"\n\
    I1121 01:28:30.920335    7749 x.go:1] not found\n\
    Warning: v1 Endpoints is deprecated\n\
    WARNING: Kubernetes configuration file is group-readable.\n\
    Flag --x has been deprecated, not found\n";

#[test]
fn noise_before_the_words_changes_nothing() {
    for recorded in recorded::all() {
        if recorded.exit == 0 {
            continue;
        }
        let noisy = format!("{NOISE}{}", recorded.stderr);
        assert_eq!(
            shown(recorded.exit, &noisy),
            shown(recorded.exit, &recorded.stderr),
            "{}",
            recorded.name
        );
    }
    // Lines that nobody knows are passed over where kubectl's own follow.
    let unknown =
        "motd: welcome\nUnable to connect to the server: dial tcp: lookup a: no such host\n";
    insta::assert_snapshot!(shown(1, unknown), @"ApiUnreachable: the host can't reach the API server: Unable to connect to the server: dial tcp: lookup a: no such host");
}

#[test]
fn a_kubectl_that_is_not_there_is_noticed_in_every_shells_words() {
    for (exit, stderr) in [
        (127, "sh: 1: kubectl: not found\n"),
        (127, "/bin/sh: kubectl: not found\n"),
        (127, "bash: line 1: exec: kubectl: not found\n"),
        (127, "sh: line 0: exec: kubectl: not found\n"),
        (127, "zsh:1: command not found: kubectl\n"),
        (127, "/bin/sh: 1: exec: /opt/bin/kubectl: not found\n"),
        (127, "env: 'kubectl': No such file or directory\n"),
        (127, ""),
    ] {
        assert!(
            matches!(
                classified(exit, stderr),
                ClusterError::KubectlMissing { .. }
            ),
            "{stderr:?}: {:?}",
            classified(exit, stderr)
        );
    }
    // sudo is there, and asks.
    for stderr in [
        "sudo: a password is required\n",
        "sudo: a terminal is required to read the password; either use the -S option to read from standard input or configure an askpass helper\nsudo: a password is required\n",
    ] {
        assert!(matches!(
            classified(1, stderr),
            ClusterError::SudoPassword { .. }
        ));
    }
}

#[test]
fn what_keeps_the_host_from_running_kubectl_is_told_with_its_words() {
    insta::assert_snapshot!(
        shown(1, "sudo: unable to resolve host vm: Name or service not known\nsudo: sorry, you must have a tty to run sudo\n"),
        @"HostSetup: sudo on the host requires a terminal (requiretty): sudo: sorry, you must have a tty to run sudo"
    );
    insta::assert_snapshot!(
        shown(126, "sh: 1: exec: /opt/kubectl: Exec format error\n"),
        @"HostSetup: the program for kubectl does not run on this host: sh: 1: exec: /opt/kubectl: Exec format error"
    );
    // Another program: its words are none of kubectl's.
    for (exit, stderr) in [
        (
            2,
            "ls: unrecognized option '--kubeconfig=x'\nTry 'ls --help' for more information.\n",
        ),
        (
            125,
            "unknown shorthand flag: 'n' in -n\nSee 'docker --help'.\n",
        ),
        (1, "Error: unknown command \"apply\" for \"helm\"\n"),
        (1, "microk8s is not running, try microk8s start\n"),
    ] {
        let error = classified(exit, stderr);
        assert!(
            matches!(
                error,
                ClusterError::HostSetup {
                    fault: HostFault::NotKubectl,
                    ..
                }
            ),
            "{stderr}: {error:?}"
        );
    }
}

#[test]
fn kubeconfigs_that_cannot_be_used_are_named() {
    insta::assert_snapshot!(
        shown(1, "error: error loading config file \"/etc/rancher/k3s/k3s.yaml\": open /etc/rancher/k3s/k3s.yaml: permission denied\n"),
        @"KubeconfigMissing: the kubeconfig /etc/rancher/k3s/k3s.yaml can't be read on the host: permission denied"
    );
    insta::assert_snapshot!(
        shown(1, "error: context \"nosuch\" does not exist\n"),
        @r#"ContextMissing: the kubeconfig on the host has no context "nosuch""#
    );
    insta::assert_snapshot!(
        shown(1, "E1121 01:28:30.920335    7749 memcache.go:265] \"Unhandled Error\" err=\"x\"\nThe connection to the server localhost:8080 was refused - did you specify the right host or port?\n"),
        @"HostSetup: kubectl on the host has no kubeconfig: The connection to the server localhost:8080 was refused - did you specify the right host or port?"
    );
    insta::assert_snapshot!(
        shown(1, "error: unexpected EOF\n"),
        @"ApiUnreachable: the host can't reach the API server: error: unexpected EOF"
    );
    insta::assert_snapshot!(
        shown(1, "Unable to connect to the server: dial tcp 10.0.0.1:6443: i/o timeout\n"),
        @"ApiUnreachable: the host can't reach the API server: Unable to connect to the server: dial tcp 10.0.0.1:6443: i/o timeout"
    );
}

#[test]
fn admission_rules_are_told_from_missing_rights() {
    insta::assert_snapshot!(
        shown(1, "Error from server (Forbidden): error when creating \"STDIN\": pods \"a\" is forbidden: maximum memory usage per Container is 1Gi, but limit is 2Gi\n"),
        @"Refused: an admission rule of the cluster refuses it: maximum memory usage per Container is 1Gi, but limit is 2Gi"
    );
    insta::assert_snapshot!(
        shown(1, "Error from server: error when creating \"STDIN\": admission webhook \"validate.kyverno.svc-fail\" denied the request: no latest tag\n"),
        @r#"Refused: an admission rule of the cluster refuses it: admission webhook "validate.kyverno.svc-fail" denied the request: no latest tag"#
    );
    insta::assert_snapshot!(
        shown(1, "Error from server (Forbidden): deployments.apps \"workspace\" is forbidden: User \"u\" cannot patch resource \"deployments\" in API group \"apps\" in the namespace \"a\"\n"),
        @r#"Forbidden: the cluster forbids it: User "u" cannot patch resource "deployments" in API group "apps" in the namespace "a""#
    );
}

#[test]
fn the_first_of_several_failures_is_told() {
    let stderr = "Warning: resource is deprecated\n\
        Error from server (Forbidden): namespaces \"a\" is forbidden: User \"u\" cannot patch resource \"namespaces\" in API group \"\" in the namespace \"a\"\n\
        Error from server (NotFound): namespaces \"a\" not found\n";
    assert!(matches!(
        classified(1, stderr),
        ClusterError::Forbidden { .. }
    ));
}

#[test]
fn conflicts_name_the_other_managers_once() {
    let stderr = "error: Apply failed with 3 conflicts: conflicts with \"kubectl-edit\":\n- .spec.replicas\n- .spec.paused\nconflicts with \"helm\" using apps/v1:\n- .spec.template\nPlease review the fields above--they currently have other managers.\n";
    insta::assert_snapshot!(shown(1, stderr), @"Conflict: fields of the object are managed by helm, kubectl-edit");
}

#[test]
fn what_is_not_known_keeps_its_words() {
    insta::assert_snapshot!(shown(1, "error: something new\n"), @"Kubectl: kubectl get failed: error: something new");
    insta::assert_snapshot!(shown(3, "W1121 01:28:30.920335    7749 x.go:1] careful\n"), @"Kubectl: kubectl get failed: exit code 3 and no output");
    insta::assert_snapshot!(shown(1, "Error from server (BadRequest): previous terminated container \"c\" in pod \"p\" not found\n"), @r#"NotFound: not found: previous terminated container "c" in pod "p""#);
}

#[test]
fn log_lines_are_known_by_their_header() {
    assert!(is_log_line(
        "E1121 01:28:30.920335    7749 memcache.go:265] x"
    ));
    for line in ["Error from server", "E112 x", "", "E1121x", "error: 1121 "] {
        assert!(!is_log_line(line), "{line}");
    }
}

#[test]
fn an_object_that_has_changed_meanwhile_is_no_field_conflict() {
    let stderr = "Error from server (Conflict): Operation cannot be fulfilled on deployments.apps \
        \"web\": the object has been modified; please apply your changes to the latest version and \
        try again\n";
    assert!(
        shown(1, stderr).starts_with("Modified: "),
        "{}",
        shown(1, stderr)
    );
}

#[test]
fn a_refusal_is_classified_before_its_values_are_hidden() {
    let mut hidden = berth_core::Redaction::default();
    // A value that is one of the words by which a refusal is known.
    hidden.add("MODE", "denied the request");
    hidden.add("TOKEN", "hunter22");
    let stderr = "Error from server: error when creating \"STDIN\": admission webhook \"x\" denied the \
        request: no hunter22 here\n";
    let error = classify(Reply {
        exit: Some(1),
        text: stderr.to_owned(),
        ..Reply::default()
    });
    let error = error.hiding(&hidden);
    assert!(matches!(error, ClusterError::Refused { .. }), "{error:?}");
    let told = format!("{error} {error:?}");
    assert!(
        told.contains("no [hidden] here") && !told.contains("hunter22"),
        "{told}"
    );
}

#[test]
fn what_is_not_there_is_the_same_in_all_of_kubectls_words() {
    for stderr in [
        "error: the server doesn't have a resource type \"widgets\"\n",
        "error: no matching resources found\n",
        "Error from server (NotFound): pods \"a\" not found\n",
    ] {
        let error = classified(1, stderr);
        assert!(matches!(error, ClusterError::NotFound { .. }), "{stderr}");
    }
    insta::assert_snapshot!(shown(1, "The request is invalid: the server rejected our request due to an error in our request\n"), @"Invalid: the request is invalid: the server rejected our request due to an error in our request");
}

#[test]
fn a_webhooks_certificate_is_not_the_api_servers() {
    let stderr = "Error from server (InternalError): error when creating \"STDIN\": Internal error \
        occurred: failed calling webhook \"x\": failed to call webhook: Post \
        \"https://x.svc:443/validate\": tls: failed to verify certificate: x509: certificate signed by \
        unknown authority\n";
    let error = classified(1, stderr);
    assert!(matches!(error, ClusterError::Failed { .. }), "{error:?}");
}

#[test]
fn only_a_connection_that_was_never_made_says_that_nothing_arrived() {
    let may_have_arrived = |stderr: &str| match classified(1, stderr) {
        ClusterError::ApiUnreachable {
            may_have_arrived, ..
        } => may_have_arrived,
        other => panic!("{stderr}: {other:?}"),
    };
    for stderr in [
        "Unable to connect to the server: dial tcp 10.0.0.1:6443: i/o timeout",
        "Unable to connect to the server: dial tcp: lookup a: no such host",
        "The connection to the server 10.0.0.1:6443 was refused - did you specify",
    ] {
        assert!(!may_have_arrived(stderr), "{stderr}");
    }
    for stderr in [
        "error: unexpected EOF",
        "Unable to connect to the server: net/http: TLS handshake timeout",
        "Error from server (Timeout): the server was unable to return a response in the time allotted",
        "Error from server: etcdserver: request timed out",
    ] {
        assert!(may_have_arrived(stderr), "{stderr}");
    }
}
