//! Settings from variables: what is taken, what is refused, and that all of it is said at once.

use std::{path::PathBuf, time::Duration};

use super::*;
use crate::ssh::{HostKeyPolicy, KeySource};

const LEAST: &[(&str, &str)] = &[
    ("K8S_SSH_HOST", "k8s.example.com"),
    ("K8S_SSH_KEY_FILE", "~/.ssh/id_ed25519"),
    ("USER", "ada"),
    ("HOME", "/home/ada"),
];

fn read(vars: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::from_vars(|name| {
        vars.iter()
            .rev()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| (*value).to_owned())
    })
}

fn with(more: &[(&str, &str)]) -> Result<Config, ConfigError> {
    read(&[LEAST, more].concat())
}

/// The variables that are refused, in their order.
fn refused(more: &[(&str, &str)]) -> Vec<&'static str> {
    with(more)
        .unwrap_err()
        .problems()
        .iter()
        .map(Invalid::field)
        .collect()
}

#[test]
fn host_and_key_are_enough() {
    let config = with(&[]).unwrap();
    assert_eq!(config.ssh.port, 22);
    assert_eq!(config.ssh.user, "ada");
    let KeySource::File(file) = config.ssh.key else {
        panic!()
    };
    assert_eq!(file, PathBuf::from("/home/ada/.ssh/id_ed25519"));
    assert_eq!(
        config.ssh.host_trust.known_hosts,
        [
            "/home/ada/.ssh/known_hosts",
            "/home/ada/.ssh/known_hosts2",
            "/etc/ssh/ssh_known_hosts",
            "/etc/ssh/ssh_known_hosts2"
        ]
        .map(PathBuf::from)
    );
    assert_eq!(config.ssh.host_trust.policy, HostKeyPolicy::Strict);
    assert_eq!(config.kubectl.program, ["kubectl"]);
    assert_eq!(config.pods.image.as_str(), "busybox:latest");
    assert_eq!(config.limits.ready, Duration::from_mins(5));
    assert_eq!(
        config.database.to_string(),
        "sqlite:///home/ada/.local/share/berth/berth.sqlite3"
    );
}

#[test]
fn a_key_string_wins_over_a_file_and_a_file_over_the_agent() {
    let agent = ("SSH_AUTH_SOCK", "/run/agent");
    let text = ("K8S_SSH_KEY_STRING", "-----BEGIN …");
    assert!(matches!(
        with(&[agent]).unwrap().ssh.key,
        KeySource::File(_)
    ));
    assert!(matches!(
        with(&[agent, text]).unwrap().ssh.key,
        KeySource::Text(_)
    ));
    let no_file = ("K8S_SSH_KEY_FILE", "");
    assert!(matches!(
        with(&[agent, no_file]).unwrap().ssh.key,
        KeySource::Agent(_)
    ));
    assert_eq!(refused(&[no_file]), ["K8S_SSH_KEY_FILE"]);
}

#[test]
fn a_public_key_picks_a_key_of_the_agent() {
    let agent = ("SSH_AUTH_SOCK", "/run/agent");
    let public = ("K8S_SSH_KEY_FILE", "~/.ssh/id.pub");
    let KeySource::AgentKey { socket, public_key } = with(&[agent, public]).unwrap().ssh.key else {
        panic!()
    };
    assert_eq!(socket, PathBuf::from("/run/agent"));
    assert_eq!(public_key, PathBuf::from("/home/ada/.ssh/id.pub"));
    // Without an agent the file is read, and found to be public.
    assert!(matches!(
        with(&[public]).unwrap().ssh.key,
        KeySource::File(_)
    ));
}

#[test]
fn every_bad_value_is_reported_at_once_with_a_remedy() {
    let all = [
        ("K8S_SSH_HOST", "ada@host:22"),
        ("K8S_SSH_PORT", "0"),
        ("K8S_SSH_HOST_KEY_POLICY", "accept-all"),
        ("K8S_SSH_HOST_KEY", "SHA256:short"),
        ("K8S_SSH_CONNECT_TIMEOUT", "soon"),
        ("K8S_KUBECTL", "kubectl; reboot"),
        ("DATABASE_URL", "mysql://x"),
        ("BERTH_IMAGE", "Busy Box"),
        ("BERTH_PORTS", "80,http"),
        ("BERTH_CPU_LIMIT", "much"),
        ("BERTH_READY_TIMEOUT", "0"),
        ("BERTH_KEEP_BYTES", "-1"),
    ];
    let error = with(&all).unwrap_err();
    let mut named: Vec<_> = error.problems().iter().map(Invalid::field).collect();
    let mut expected: Vec<_> = all.iter().map(|(name, _)| *name).collect();
    named.sort_unstable();
    expected.sort_unstable();
    assert_eq!(named, expected);
    for problem in error.problems() {
        assert!(!problem.remedy().is_empty());
    }
    let message = error.to_string();
    assert!(
        message.starts_with("12 settings can't be used\n"),
        "{message}"
    );
    assert!(
        message.contains("leave the user out and set K8S_SSH_USERNAME"),
        "{message}"
    );
}

#[test]
fn the_database_alone_needs_no_host() {
    let home = |name: &str| (name == "HOME").then(|| "/home/ada".to_owned());
    let url = database_url(home).unwrap();
    assert!(url.to_string().starts_with("sqlite:///home/ada/"), "{url}");
}

#[test]
fn a_value_that_is_not_utf_8_is_refused_by_name_and_never_counts_as_unset() {
    use std::{ffi::OsString, os::unix::ffi::OsStringExt as _};
    let read = |odd: &str| {
        Config::from_vars(|name| {
            let known = LEAST.iter().find(|(known, _)| *known == name);
            if name == odd {
                Some(OsString::from_vec(b"hunter2\xff".to_vec()))
            } else {
                known.map(|(_, value)| OsString::from(value))
            }
        })
    };
    // These are read by the commands that use them.
    let later = |name: &str| {
        name.starts_with("AWS_") || ["GIT_TOKEN", "KUBERNETES_NAMESPACE"].contains(&name)
    };
    let settings = variables::ALL.iter().map(|variable| variable.name);
    let others = ["HOME", "USER", "XDG_DATA_HOME"];
    for name in settings.filter(|name| !later(name)).chain(others) {
        let error = read(name).unwrap_err();
        assert_eq!(error.problems().len(), 1, "{error}");
        let message = error.problems()[0].to_string();
        assert_eq!(message, format!("{name} is not UTF-8"));
    }
}

#[test]
fn a_value_wholly_in_quotes_is_refused_by_name_and_not_shown() {
    for variable in variables::ALL {
        let name = variable.name;
        for value in ["\"hunter2\"", "'hunter2'", " \"hunter2\" ", "\"\""] {
            let mut variables = Variables::default();
            variables.set(name, value);
            let error = variables.text(variable).unwrap_err();
            let message = error.to_string();
            assert!(
                message.contains(&format!("{name} is wholly in quotes")),
                "{message}"
            );
            assert!(!message.contains("hunter2"), "{message}");
        }
    }
    for name in [
        "K8S_SSH_KEY_PASSPHRASE",
        "K8S_SSH_KEY_STRING",
        "DATABASE_URL",
        "HOME",
    ] {
        assert_eq!(refused(&[(name, "\"hunter2\"")]), [name]);
    }
    let half = with(&[("K8S_SSH_KEY_PASSPHRASE", "\"half")]).unwrap();
    assert_eq!(half.ssh.passphrase.unwrap().expose(), "\"half");
}

#[test]
fn the_user_is_found_without_user() {
    let user = |vars: &[(&str, &str)]| read(&[&LEAST[..2], vars].concat()).unwrap().ssh.user;
    assert_eq!(user(&[("USER", "ada"), ("LOGNAME", "bob")]), "ada");
    assert_eq!(user(&[("USER", ""), ("LOGNAME", "bob")]), "bob");
    let entry = nix::unistd::User::from_uid(nix::unistd::getuid());
    assert_eq!(user(&[]), entry.unwrap().unwrap().name);
}

#[test]
fn a_limit_alone_lowers_the_default_request() {
    let pods = |vars: &[(&str, &str)]| with(vars).unwrap().pods.resources;
    assert_eq!(
        pods(&[("BERTH_MEMORY_LIMIT", "50Mi")])
            .memory_request
            .to_string(),
        "50Mi"
    );
    assert_eq!(
        pods(&[("BERTH_CPU_LIMIT", "50m")]).cpu_request.to_string(),
        "50m"
    );
    assert_eq!(
        pods(&[("BERTH_MEMORY_LIMIT", "1Gi")])
            .memory_request
            .to_string(),
        "100Mi"
    );
    let builds = with(&[("BUILDER_MEMORY_LIMIT", "512Mi")]).unwrap().builds;
    assert_eq!(builds.resources.memory_request.to_string(), "512Mi");
    let typed = [
        ("BERTH_MEMORY_LIMIT", "50Mi"),
        ("BERTH_MEMORY_REQUEST", "60Mi"),
    ];
    assert_eq!(refused(&typed), ["BERTH_MEMORY_REQUEST"]);
}

#[test]
fn yes_and_no_have_many_spellings() {
    let plain = |text| with(&[("IMAGE_REGISTRY_PLAIN_HTTP", text)]).map(|it| it.builds.plain_http);
    for text in ["yes", "true", "True", "ON", "1", " yes "] {
        assert_eq!(plain(text), Ok(true), "{text}");
    }
    for text in ["no", "false", "off", "0", ""] {
        assert_eq!(plain(text), Ok(false), "{text}");
    }
    assert_eq!(
        refused(&[("IMAGE_REGISTRY_PLAIN_HTTP", "maybe")]),
        ["IMAGE_REGISTRY_PLAIN_HTTP"]
    );
}

#[test]
fn without_home_the_folder_is_the_one_in_the_user_database() {
    let entry = nix::unistd::User::from_uid(nix::unistd::getuid());
    let folder = entry.unwrap().unwrap().dir;
    for unset in [&[][..], &[("HOME", "")], &[("HOME", "~")]] {
        let vars = [&LEAST[..3], unset].concat();
        let config = read(&vars).unwrap();
        let files = &config.ssh.host_trust.known_hosts;
        assert_eq!(files[0], folder.join(".ssh/known_hosts"));
        let KeySource::File(key) = &config.ssh.key else {
            panic!()
        };
        assert_eq!(*key, folder.join(".ssh/id_ed25519"));
        let url = config.database.to_string();
        assert!(url.contains(folder.to_str().unwrap()), "{url}");
    }
}

#[test]
fn known_hosts_are_read_where_openssh_reads_them() {
    let files = |more: &[(&str, &str)]| with(more).unwrap().ssh.host_trust.known_hosts;
    let own = ("K8S_SSH_KNOWN_HOSTS", "~/kh");
    let global = ["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"];
    assert_eq!(
        files(&[own]),
        ["/home/ada/kh", global[0], global[1]].map(PathBuf::from)
    );
    let none = ("K8S_SSH_GLOBAL_KNOWN_HOSTS", "none");
    assert_eq!(files(&[own, none]), [PathBuf::from("/home/ada/kh")]);
    let others = ("K8S_SSH_GLOBAL_KNOWN_HOSTS", "/a/kh, ~/b");
    assert_eq!(
        files(&[own, others]),
        ["/home/ada/kh", "/a/kh", "/home/ada/b"].map(PathBuf::from)
    );
}

#[test]
fn a_path_that_only_a_shell_would_understand_is_refused() {
    for name in [
        "K8S_SSH_KNOWN_HOSTS",
        "K8S_SSH_GLOBAL_KNOWN_HOSTS",
        "K8S_SSH_KEY_FILE",
        "BERTH_TEMPLATES",
    ] {
        for value in ["\"/x/kh\"", "'~/kh'", "\"/x/kh", "/x/kh'", "~bob/kh"] {
            assert_eq!(refused(&[(name, value)]), [name], "{value}");
        }
    }
    let home = with(&[("K8S_SSH_KNOWN_HOSTS", "~")]).unwrap();
    let files = home.ssh.host_trust.known_hosts;
    assert_eq!(files[0], PathBuf::from("/home/ada"));
}

#[test]
fn a_pod_may_have_no_port_by_default() {
    let ports = |text| with(&[("BERTH_PORTS", text)]).map(|config| config.pods.ports);
    assert_eq!(ports("none"), Ok(Vec::new()));
    assert_eq!(ports("80, 443, 80").unwrap().len(), 2);
    let refused = ports("80,none").unwrap_err();
    assert!(refused.to_string().ends_with("or none"), "{refused}");
}

#[test]
fn logging_in_has_the_time_of_connecting_and_half_a_minute_at_least() {
    for (connect, login) in [("5s", 30), ("2m", 120)] {
        let config = with(&[("K8S_SSH_CONNECT_TIMEOUT", connect)]).unwrap();
        assert_eq!(config.ssh.limits.auth_timeout, Duration::from_secs(login));
    }
}

#[test]
fn an_endless_duration_is_refused() {
    for name in ["BERTH_READY_TIMEOUT", "K8S_SSH_KEEPALIVE"] {
        assert_eq!(refused(&[(name, "18446744073709551615")]), [name]);
        assert_eq!(refused(&[(name, "8d")]), [name]);
    }
}

#[test]
fn what_is_missing_is_reported_too() {
    let error = read(&[]).unwrap_err();
    let named: Vec<_> = error.problems().iter().map(Invalid::field).collect();
    assert_eq!(
        named,
        // The user and the home directory are found in the user database.
        ["K8S_SSH_HOST", "K8S_SSH_KEY_FILE"]
    );
}

#[test]
fn a_request_above_its_limit_names_its_variable() {
    assert_eq!(
        refused(&[("BERTH_MEMORY_REQUEST", "1Gi")]),
        ["BERTH_MEMORY_REQUEST"]
    );
}

#[test]
fn a_pin_that_cannot_be_read_is_not_no_pin() {
    assert_eq!(
        refused(&[("K8S_SSH_HOST_KEY", "MD5:aa:bb")]),
        ["K8S_SSH_HOST_KEY"]
    );
}

#[test]
fn addresses_of_every_form_are_hosts() {
    for (given, host) in [
        ("10.0.0.1", "10.0.0.1"),
        ("::1", "::1"),
        ("[fe80::1]", "fe80::1"),
        (" k8s_1.example.com ", "k8s_1.example.com"),
        ("k8s.example.com.", "k8s.example.com."),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("[fe80::1%eth0]", "fe80::1%eth0"),
        ("::ffff:10.0.0.1", "::ffff:10.0.0.1"),
    ] {
        assert_eq!(with(&[("K8S_SSH_HOST", given)]).unwrap().ssh.host, host);
    }
    for bad in [
        "-oProxyCommand=x",
        "a b",
        "host:22",
        "$(id)",
        "https://host",
    ] {
        assert_eq!(refused(&[("K8S_SSH_HOST", bad)]), ["K8S_SSH_HOST"], "{bad}");
    }
}

#[test]
fn what_is_written_in_place_of_a_host_has_its_remedy() {
    let remedy = |name: &'static str, value: &str| {
        let error = with(&[(name, value)]).unwrap_err();
        let [problem] = error.problems() else {
            panic!("{error}")
        };
        assert_eq!(problem.field(), name);
        problem.remedy().to_owned()
    };
    for (value, expected) in [
        (
            "https://k8s.example.com",
            "leave https:// out, as in k8s.example.com",
        ),
        (
            "https://k8s.example.com:6443/x",
            "leave https:// out, as in k8s.example.com",
        ),
        ("ssh://ada@[fe80::1]:22", "leave ssh:// out, as in fe80::1"),
        ("ada@host", "leave the user out and set K8S_SSH_USERNAME"),
        ("host:2222", "leave the port out and set K8S_SSH_PORT"),
        ("10.0.0.1:22", "leave the port out and set K8S_SSH_PORT"),
        ("::1:2222", "leave the port out and set K8S_SSH_PORT"),
        ("[::1]:2222", "leave the port out and set K8S_SSH_PORT"),
        (
            "k\u{fc}be.example.com",
            "write it as xn--kbe-hoa.example.com",
        ),
        ("host/path", "leave the path out"),
        (
            "a b",
            "set it to the name or address of the host on which kubectl works",
        ),
        (
            "a..b",
            "set it to the name or address of the host on which kubectl works",
        ),
        (
            "fe80::1%",
            "set it to the name or address of the host on which kubectl works",
        ),
    ] {
        assert_eq!(remedy("K8S_SSH_HOST", value), expected, "{value}");
    }
    for value in [
        "http://node.example.com",
        "node:30000",
        "n\u{f6}de",
        "fe80::1%eth0",
        "a b",
    ] {
        assert!(!remedy("K8S_NODE_ADDRESS", value).is_empty(), "{value}");
    }
    let node = with(&[("K8S_NODE_ADDRESS", "[fd00::7]")]).unwrap();
    assert_eq!(node.kubectl.node_address.as_deref(), Some("fd00::7"));
}

#[test]
fn debug_shows_no_secret() {
    let config = with(&[
        ("K8S_SSH_KEY_STRING", "KEYBYTES"),
        ("K8S_SSH_KEY_PASSPHRASE", "PASSBYTES"),
        ("DATABASE_URL", "postgres://ada:DBBYTES@localhost/berth"),
    ])
    .unwrap();
    let debug = format!("{config:?}");
    for secret in ["KEYBYTES", "PASSBYTES", "DBBYTES"] {
        assert!(!debug.contains(secret), "{secret} in {debug}");
    }
}
