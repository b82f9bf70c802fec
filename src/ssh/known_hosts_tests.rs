use std::process::Command;

use super::*;

const A: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
const B: &str = "AAAAC3NzaC1lZDI1NTE5AAAAILIG2T/B0l0gaqj3puu510tu9N1OkQ4znY3LYuEm5zCF";
const EC: &str = "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBJxBTsgGCQnHVqDiQt4JUqHn2eQHcWnH1mFEXEJlhQw5bXjNHLmVrKx8P8UsXOwfUvlSgUZiXeWRPCEOIL1aZ4U=";

fn key(blob: &str) -> PublicKey {
    parse_public_key_base64(blob).unwrap()
}

fn known(text: &str) -> KnownHosts {
    let mut known = KnownHosts::default();
    known.add(Path::new("kh"), text);
    known
}

fn check(text: &str, host: &str, port: u16, blob: &str) -> HostKeyCheck {
    known(text).check(host, port, &key(blob))
}

fn trusts(text: &str, host: &str, port: u16) -> bool {
    check(text, host, port, A) == HostKeyCheck::Trusted
}

#[test]
fn names_match_as_sshd_8_says() {
    let line = |names: &str| format!("{names} ssh-ed25519 {A} a comment\n");
    for (names, host, port, expected) in [
        ("h.example", "h.example", 22, true),
        ("h.example", "H.Example", 22, true),
        ("H.example", "h.example", 22, true),
        ("h.example", "g.example", 22, false),
        ("x,h.example,10.0.0.1", "10.0.0.1", 22, true),
        ("[h.example]:2222", "h.example", 2222, true),
        ("[h.example]:2222", "h.example", 22, false),
        ("[h.example]:2222", "h.example", 2223, false),
        ("h.example", "h.example", 2222, true),
        ("*.example", "h.example", 22, true),
        ("*.example", "example", 22, false),
        ("h?.example", "h1.example", 22, true),
        ("h?.example", "h.example", 22, false),
        ("*.example,!h.example", "h.example", 22, false),
        ("!h.example,*.example", "h.example", 22, false),
        ("*.example,!h.example", "g.example", 22, true),
        ("!h.example", "g.example", 22, false),
        ("*a*b*c", "xxaxxbxbxc", 22, true),
        ("*a*b*c", "xxaxxbxbx", 22, false),
        ("*", "anything", 2222, true),
        ("::1", "::1", 22, true),
        ("[::1]:2222", "::1", 2222, true),
    ] {
        assert_eq!(
            trusts(&line(names), host, port),
            expected,
            "{names} {host} {port}"
        );
    }
}

#[test]
fn names_hashed_by_ssh_keygen_match() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("kh");
    std::fs::write(
        &file,
        format!("h.example ssh-ed25519 {A}\n[g.example]:2222 ssh-ed25519 {A}\n"),
    )
    .unwrap();
    let status = Command::new("ssh-keygen")
        .arg("-q")
        .arg("-H")
        .arg("-f")
        .arg(&file)
        .output()
        .unwrap();
    assert!(status.status.success());
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.starts_with("|1|") && !text.contains("example"));
    assert!(trusts(&text, "h.example", 22));
    assert!(trusts(&text, "g.example", 2222));
    assert!(!trusts(&text, "g.example", 22));
    assert!(!trusts(&text, "x.example", 22));
}

#[test]
fn another_key_is_a_changed_key() {
    let text = format!("# comment\n\nh ssh-ed25519 {A}\n");
    let expected = vec![fingerprint_of(&key(A))];
    let changed = HostKeyCheck::Changed {
        file: "kh".into(),
        line: 3,
        expected,
    };
    assert_eq!(check(&text, "h", 22, B), changed);
    // Another type is no better: who stands in the middle chooses what to offer.
    assert_eq!(check(&text, "h", 22, EC), changed);
}

#[test]
fn a_host_may_have_several_keys() {
    let text = format!("h ssh-ed25519 {B}\nh ecdsa-sha2-nistp256 {EC}\nh ssh-ed25519 {A}\n");
    for blob in [A, B, EC] {
        assert_eq!(check(&text, "h", 22, blob), HostKeyCheck::Trusted);
    }
    let names: Vec<_> = known(&text).algorithms("h", 22);
    assert_eq!(
        names.iter().map(Algorithm::as_str).collect::<Vec<_>>(),
        ["ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-ed25519"]
    );
    assert_eq!(known(&text).algorithms("h", 2222).len(), 3);
    assert_eq!(known(&text).algorithms("g", 22), []);
}

#[test]
fn a_revoked_key_is_refused_wherever_it_is_also_trusted() {
    let text = format!("h ssh-ed25519 {A}\n@revoked * ssh-ed25519 {A}\n");
    let revoked = HostKeyCheck::Revoked {
        file: "kh".into(),
        line: 2,
    };
    assert_eq!(check(&text, "h", 22, A), revoked);
    assert_eq!(check(&text, "h", 2222, A), revoked);
    assert_eq!(
        check(&text, "h", 22, B),
        HostKeyCheck::Changed {
            file: "kh".into(),
            line: 1,
            expected: vec![fingerprint_of(&key(A))],
        }
    );
    // A revoked key alone does not make a host known.
    let text = format!("@revoked h ssh-ed25519 {A}\n");
    assert_eq!(check(&text, "h", 22, B), HostKeyCheck::Unknown);
}

#[test]
fn authorities_and_bad_lines_make_nothing_trusted() {
    let text = format!(
        "@cert-authority * ssh-ed25519 {A}\n@other * ssh-ed25519 {A}\nh\nh ssh-ed25519\n\
         h ssh-ed25519 AAAA\nh ssh-rsa {A}\n|1|x ssh-ed25519 {A}\n|2|AAAA|AAAA ssh-ed25519 {A}\n\
         h 2048 65537 123456789\n\u{feff}h ssh-ed25519 {A}\n"
    );
    assert_eq!(check(&text, "h", 22, A), HostKeyCheck::Unknown);
    assert!(trusts(&format!("{text}h ssh-ed25519 {A}\n"), "h", 22));
}

#[test]
fn the_line_that_is_written_is_understood() {
    let key = key(A);
    let line = entry_line("H.example", 2222, &key).unwrap();
    assert_eq!(line, format!("[h.example]:2222 ssh-ed25519 {A}"));
    assert!(trusts(&line, "h.example", 2222));
    assert_eq!(
        entry_line("h", 22, &key).unwrap(),
        format!("h ssh-ed25519 {A}")
    );
}
