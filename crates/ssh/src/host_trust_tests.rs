use std::os::unix::fs::PermissionsExt as _;

use russh::keys::parse_public_key_base64;

use super::*;

const A: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
const B: &str = "AAAAC3NzaC1lZDI1NTE5AAAAILIG2T/B0l0gaqj3puu510tu9N1OkQ4znY3LYuEm5zCF";

fn key(blob: &str) -> PublicKey {
    parse_public_key_base64(blob).unwrap()
}

fn shown(blob: &str) -> Shown {
    Shown::Key(key(blob))
}

fn judge(policy: HostKeyPolicy, file: &Path) -> Judge {
    let trust = HostTrust {
        policy,
        known_hosts: vec![file.into()],
        pinned: None,
    };
    Judge {
        host: "h".into(),
        port: 2222,
        trust,
    }
}

#[test]
fn an_unknown_key_is_refused_with_the_way_to_trust_it() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("known_hosts");
    let error = judge(HostKeyPolicy::Strict, &file)
        .judge(&shown(A))
        .unwrap_err();
    assert!(matches!(error, HostKeyError::Unknown { .. }), "{error:?}");
    let (seen, hint) = (fingerprint_of(&key(A)), error.hint());
    assert!(error.to_string().contains(&seen.to_string()));
    assert!(
        hint.contains(&format!("ssh-keyscan -p 2222 h >> {}", file.display())),
        "{hint}"
    );
    assert!(hint.contains(&format!("K8S_SSH_HOST_KEY={seen}")), "{hint}");
    assert!(!file.exists());
}

#[test]
fn a_file_that_cannot_be_read_is_not_an_empty_one() {
    // A folder can't be read as a file, whoever asks.
    let folder = tempfile::tempdir().unwrap();
    for policy in [HostKeyPolicy::Strict, HostKeyPolicy::AcceptNew] {
        let error = judge(policy, folder.path()).judge(&shown(A)).unwrap_err();
        assert!(
            matches!(error, HostKeyError::Unreadable { .. }),
            "{error:?}"
        );
        assert!(error.hint().contains("K8S_SSH_KNOWN_HOSTS"));
    }
}

#[test]
fn known_hosts_that_are_no_regular_file_are_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("known_hosts");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    // What is remembered in /dev/null is forgotten: `accept-new` would accept every key.
    for file in [fifo.as_path(), Path::new("/dev/null")] {
        for policy in [HostKeyPolicy::Strict, HostKeyPolicy::AcceptNew] {
            let error = judge(policy, file).judge(&shown(A)).unwrap_err();
            assert!(
                matches!(error, HostKeyError::Unreadable { .. }),
                "{error:?}"
            );
        }
    }
}

#[test]
fn a_home_folder_that_is_no_folder_has_no_known_hosts() {
    let file = Path::new("/dev/null/.ssh/known_hosts");
    let judge = judge(HostKeyPolicy::Strict, file);
    let error = judge.judge(&shown(A)).unwrap_err();
    assert!(matches!(error, HostKeyError::Unknown { .. }), "{error:?}");
}

#[test]
fn accept_new_remembers_once_and_refuses_a_changed_key() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("new").join("known_hosts");
    let judge = judge(HostKeyPolicy::AcceptNew, &file);
    judge.judge(&shown(A)).unwrap();
    judge.judge(&shown(A)).unwrap();
    assert_eq!(
        std::fs::read_to_string(&file).unwrap(),
        format!("[h]:2222 ssh-ed25519 {A}\n")
    );
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));

    let error = judge.judge(&shown(B)).unwrap_err();
    let HostKeyError::Changed {
        line: 1, expected, ..
    } = &error
    else {
        panic!("{error:?}")
    };
    assert_eq!(expected, &[fingerprint_of(&key(A))]);
    assert!(error.hint().contains("delete line 1"));
    assert_eq!(std::fs::read_to_string(&file).unwrap().lines().count(), 1);
}

#[test]
fn accept_new_ends_an_unfinished_last_line_first() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("known_hosts");
    std::fs::write(&file, format!("other ssh-ed25519 {B}")).unwrap();
    judge(HostKeyPolicy::AcceptNew, &file)
        .judge(&shown(A))
        .unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(
        text,
        format!("other ssh-ed25519 {B}\n[h]:2222 ssh-ed25519 {A}\n")
    );
}

#[test]
fn accept_new_at_the_same_time_writes_one_line_a_host() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("known_hosts");
    std::thread::scope(|scope| {
        for index in 0..16 {
            let file = &file;
            scope.spawn(move || {
                let mut judge = judge(HostKeyPolicy::AcceptNew, file);
                judge.host = format!("host{}", index % 4);
                judge.judge(&shown(A)).unwrap();
            });
        }
    });
    let text = std::fs::read_to_string(&file).unwrap();
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    let expected: Vec<_> = (0..4)
        .map(|n| format!("[host{n}]:2222 ssh-ed25519 {A}"))
        .collect();
    assert_eq!(lines, expected);
}

#[test]
fn a_key_that_cannot_be_remembered_is_not_accepted() {
    // Nobody, not even root, can make a file there.
    let error = judge(
        HostKeyPolicy::AcceptNew,
        Path::new("/proc/berth/known_hosts"),
    )
    .judge(&shown(A))
    .unwrap_err();
    assert!(
        matches!(error, HostKeyError::NotRemembered { .. }),
        "{error:?}"
    );
}

#[test]
fn a_path_that_a_shell_would_have_replaced_is_not_made() {
    for path in ["~/.ssh/known_hosts", "~ann/kh", "\"/x/kh\"", "'kh"] {
        let error = judge(HostKeyPolicy::AcceptNew, Path::new(path))
            .judge(&shown(A))
            .unwrap_err();
        assert!(
            matches!(error, HostKeyError::NotRemembered { .. }),
            "{error:?}"
        );
        let first = Path::new(path).components().next().unwrap();
        assert!(!Path::new(&first).exists());
    }
}

#[test]
fn every_file_can_refuse_a_key_and_only_the_first_is_added_to() {
    let dir = tempfile::tempdir().unwrap();
    let (own, system) = (dir.path().join("own"), dir.path().join("system"));
    let mut judge = judge(HostKeyPolicy::AcceptNew, &own);
    judge.trust.known_hosts.push(system.clone());
    for (text, refused) in [
        (format!("@revoked * ssh-ed25519 {A}\n"), "revoked"),
        (format!("[h]:2222 ssh-ed25519 {B}\n"), "has changed"),
        ("[h]:2222 ssh-ed25519 AAAA\n".to_owned(), "can't be read"),
        (
            format!("@cert-authority h ssh-ed25519 {B}\n"),
            "not certified",
        ),
        ("\0h".to_owned(), "NUL bytes"),
    ] {
        std::fs::write(&system, text).unwrap();
        let error = judge.judge(&shown(A)).unwrap_err();
        let message = error.to_string();
        assert!(
            message.contains(refused) && message.contains(system.to_str().unwrap()),
            "{message}"
        );
        assert!(!error.hint().is_empty());
        assert!(!own.exists(), "{message}");
    }
    std::fs::write(&system, format!("[h]:2222 ssh-ed25519 {A}\n")).unwrap();
    judge.judge(&shown(A)).unwrap();
    assert!(!own.exists());
}

#[test]
fn a_pinned_key_is_all_that_counts() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("known_hosts");
    std::fs::write(&file, format!("[h]:2222 ssh-ed25519 {B}\n")).unwrap();
    let mut judge = judge(HostKeyPolicy::AcceptNew, &file);
    judge.trust.pinned = Some(fingerprint_of(&key(A)));
    judge.judge(&shown(A)).unwrap();
    let error = judge.judge(&shown(B)).unwrap_err();
    assert!(matches!(error, HostKeyError::NotPinned { .. }), "{error:?}");
    assert_eq!(judge.wanted().unwrap(), Wanted::default());
}
