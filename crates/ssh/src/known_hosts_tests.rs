use std::process::Command;

use russh::keys::parse_public_key_base64;

use super::names::Names;
use super::*;
use crate::fingerprint_of;

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
    known(text).check(host, port, &Shown::Key(key(blob)), SystemTime::now())
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
fn a_key_of_a_type_that_is_not_supported_makes_a_host_known() {
    let dsa = "AAAAB3NzaC1kc3MAAAAB";
    let text = format!("h ssh-dss {dsa}\n");
    assert!(matches!(
        check(&text, "h", 22, A),
        HostKeyCheck::Changed { line: 1, .. }
    ));
    assert!(trusts(&format!("{text}h ssh-ed25519 {A}\n"), "h", 22));
    // Nor does such a key stand in the way when it is revoked.
    let revoked = format!("@revoked * ssh-dss {dsa}\nh ssh-ed25519 {A}\n");
    assert!(trusts(&revoked, "h", 22));
}

#[test]
fn a_line_that_cannot_be_read_is_not_the_same_as_no_line() {
    for bad in [
        "h",
        "h ssh-ed25519",
        "h ssh-ed25519 AAAA",
        "h ssh-ed25519 !",
        &format!("h ssh-rsa {A}"),
        &format!("h ssh-dss {A}"),
        &format!("h ssh-ed25519 {}", &A[..40]),
        "h 2048 65537 123456789",
        "x,h ssh-ed25519 AAAA",
        "* ssh-ed25519 AAAA",
        "@cert-authority * ssh-ed25519 AAAA",
        // Names that can't be read may be those of any host.
        &format!("|1|x ssh-ed25519 {A}"),
        &format!("|2|AAAA|AAAA ssh-ed25519 {A}"),
        &format!("ssh-ed25519 {A}"),
    ] {
        let text = format!("# comment\n{bad}\n");
        for (host, port) in [("h", 22), ("h", 2222)] {
            let answer = check(&text, host, port, A);
            assert!(
                matches!(answer, HostKeyCheck::Unreadable { line: 2, .. }),
                "{bad}: {answer:?}"
            );
        }
        // The host is known by another line: the bad one would add a key, no more.
        let text = format!("{text}h ssh-ed25519 {A}\n");
        assert!(trusts(&text, "h", 22), "{bad}");
        assert!(matches!(
            check(&text, "h", 22, B),
            HostKeyCheck::Changed { line: 3, .. }
        ));
    }
    for other in ["g ssh-ed25519 AAAA", "*,!h ssh-ed25519 AAAA", "a b c"] {
        assert_eq!(check(other, "h", 22, A), HostKeyCheck::Unknown, "{other}");
    }
}

/// Lines with more than an entry has, or with a name that is not written as sshd(8) says.
const DECORATED: &[&str] = &[
    "> {host} ssh-ed25519 {key}",
    ">{host} ssh-ed25519 {key}",
    "1 {host} ssh-ed25519 {key}",
    "12: {host} ssh-ed25519 {key}",
    "- {host} ssh-ed25519 {key}",
    "-{host} ssh-ed25519 {key}",
    "+{host} ssh-ed25519 {key}",
    "command=\"x\" {host} {key}",
    "command=\"x\" {host} ssh-ed25519 {key}",
    "\"{host}\" ssh-ed25519 {key}",
    "'{host}' ssh-ed25519 {key}",
    "\"{host} ssh-ed25519 {key}\"",
    "\"{host}\": \"ssh-ed25519 {key}\",",
    ";{host} ssh-ed25519 {key}",
    "; {host} ssh-ed25519 {key}",
    "//{host} ssh-ed25519 {key}",
    "\u{200b}{host} ssh-ed25519 {key}",
    "{host}\u{200b} ssh-ed25519 {key}",
    "\u{fffd}{host} ssh-ed25519 {key}",
    "\u{2060}> {host} ssh-ed25519 {key}",
    "{host}:22 ssh-ed25519 {key}",
    "{host}:2222 ssh-ed25519 {key}",
    "[{host}] ssh-ed25519 {key}",
    "[{host}]:22 ssh-ed25519 {key}",
    "[{host}]:ssh ssh-ed25519 {key}",
    "root@{host} ssh-ed25519 {key}",
    "ssh://root@{host}:22/ ssh-ed25519 {key}",
    "a, {host} ssh-ed25519 {key}",
    "a;{host} ssh-ed25519 {key}",
    "{host},ssh-ed25519,{key}",
    "{host}=ssh-ed25519 {key}",
    "{host} = ssh-ed25519 {key}",
    "{host} {key}",
    "{host} ed25519 {key}",
    "Host {host}",
];

fn decorated(form: &str, host: &str) -> String {
    form.replace("{host}", host).replace("{key}", B)
}

#[test]
fn a_name_is_found_in_whatever_decoration() {
    for host in ["h", "h.example", "127.0.0.1", "fe80::1"] {
        for form in DECORATED {
            // `fe80::1:22` is an address.
            if host.contains(':') && form.starts_with("{host}:") {
                continue;
            }
            let text = format!("# comment\n{}\n", decorated(form, host));
            let answer = check(&text, host, 22, A);
            assert!(
                matches!(answer, HostKeyCheck::Unreadable { line: 2, .. }),
                "{text:?}: {answer:?}"
            );
            let answer = check(&text, host, 2200, A);
            assert!(
                matches!(answer, HostKeyCheck::Unreadable { line: 2, .. }),
                "{text:?}: {answer:?}"
            );
            // Neither when it is clearly about another host, nor when the host is known.
            assert_eq!(check(&text, "g", 22, A), HostKeyCheck::Unknown, "{text:?}");
            let text = format!("{text}{host} ssh-ed25519 {A}\n");
            assert!(trusts(&text, host, 22), "{text:?}");
        }
    }
    let long = format!("\"0:0:0:0:0:0:0:1\" ssh-ed25519 {B}");
    assert!(matches!(
        check(&long, "::1", 22, A),
        HostKeyCheck::Unreadable { .. }
    ));
}

#[test]
fn a_line_that_is_no_entry_and_names_no_host_may_be_about_any() {
    let hashed = "|1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg=";
    for bad in [
        &format!("> ssh-ed25519 {B}"),
        &format!("; ssh-ed25519 {B} h"),
        &format!("\"\" ssh-ed25519 {B}"),
        &format!("\"*\" ssh-ed25519 {B}"),
        &format!("'*.example' ssh-ed25519 {B}"),
        &format!("> * ssh-ed25519 {B}"),
        &format!("sk-ssh-ed25519@openssh.com {B}"),
        &format!("{B} ssh-ed25519"),
        B,
        "=======",
        &format!("> |1|AAAA ssh-ed25519 {B}"),
    ] {
        let answer = check(bad, "h.example", 22, A);
        assert!(
            matches!(answer, HostKeyCheck::Unreadable { line: 1, .. }),
            "{bad}: {answer:?}"
        );
    }
    // A hash that can be read is the one of another host.
    let bad = format!("> \"{hashed}\" ssh-ed25519 {B}");
    assert_eq!(check(&bad, "h", 22, A), HostKeyCheck::Unknown);
}

#[test]
fn entries_of_other_hosts_say_nothing_about_this_one() {
    let dsa = "AAAAB3NzaC1kc3MAAAAB";
    let sk = "AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIEX/dQ0v4127bEo8eeG1EV0ApO2lWbSnN6RWusn/NjqIAAAABHNzaDo=";
    let other = "AAAADXNzaC1uZXdAeC5vcmcAAAABeA==";
    for line in [
        format!("g,10.0.0.1,[g]:2222,[*.g]:*,fe80::1%eth0,[fe80::1]:22000 ssh-ed25519 {B} root@h"),
        format!("*.g.example,!x.g.example,g?,g_h,compute.123 ssh-ed25519 {B} h \"h\" > h"),
        format!("|1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg= ssh-ed25519 {B}"),
        format!("g ssh-dss {dsa} h"),
        format!("g sk-ssh-ed25519@openssh.com {sk} h"),
        format!("g ssh-new@x.org {other} h"),
        format!("@revoked g ssh-ed25519 {A} h"),
        format!("@Revoked g ssh-ed25519 {A} h"),
        format!("@cert-authority *.g ssh-ed25519 {B} h"),
        "g ssh-ed25519 AAAA h".to_owned(),
        "#h".to_owned(),
        format!("\t # h ssh-ed25519 {B}"),
    ] {
        let text = format!("{line}\n\n");
        assert_eq!(check(&text, "h", 22, A), HostKeyCheck::Unknown, "{line}");
        let known = format!("{text}h ssh-ed25519 {A}\n");
        assert!(trusts(&known, "h", 22), "{line}");
    }
}

#[test]
fn a_line_that_may_revoke_the_key_comes_before_one_that_trusts_it() {
    for bad in [
        "@revoked h ssh-ed25519 AAAA",
        "@revoked *",
        "@revoked",
        &format!("@revoked ssh-ed25519 {A}"),
        &format!("@revoke h ssh-ed25519 {A}"),
        &format!("@REVOKED * ssh-ed25519 {A}"),
        &format!("@Revoked h ssh-ed25519 {A}"),
        &format!("@revoked \"*\" ssh-ed25519 {A}"),
        &format!("@revoked \"*\" {A}"),
        &format!("@revoked h:22 ssh-ed25519 {A}"),
        &format!("@revoked, * ssh-ed25519 {A}"),
        &format!("revoked * ssh-ed25519 {A}"),
        &format!("\u{200b}@revoked * ssh-ed25519 {A}"),
        &format!("> @revoked h ssh-ed25519 {A}"),
        &format!("\"@revoked\" h ssh-ed25519 {A}"),
        &format!("1 @Revoked * ssh-ed25519 {A}"),
    ] {
        let text = format!("h ssh-ed25519 {A}\n{bad}\n");
        assert!(
            matches!(
                check(&text, "h", 22, A),
                HostKeyCheck::Unreadable { line: 2, .. }
            ),
            "{bad}"
        );
    }
    let other = format!("h ssh-ed25519 {A}\n@revoked g ssh-ed25519 AAAA\n");
    assert!(trusts(&other, "h", 22));
}

#[test]
fn byte_order_marks_and_all_line_ends_are_read() {
    let changed = |text: &str| {
        let answer = check(&decode(text.as_bytes()).unwrap(), "h", 22, B);
        matches!(answer, HostKeyCheck::Changed { line: 2, .. })
    };
    let (first, line) = (format!("g ssh-ed25519 {B}"), format!("h ssh-ed25519 {A}"));
    for text in [
        format!("\u{feff}{first}\n{line}"),
        format!("{first}\n\u{feff}{line}\n"),
        format!("{first}\r\n{line}\r\n"),
        format!("{first}\r{line}\r"),
        format!("{first}\n\t {line}\u{a0}comment\n"),
        format!("{first}\nh\u{a0}ssh-ed25519 {A}\n"),
    ] {
        assert!(changed(&text), "{text:?}");
    }
    assert!(matches!(
        check(&format!("\u{feff}{line}"), "h", 22, B),
        HostKeyCheck::Changed { line: 1, .. }
    ));
}

#[test]
fn text_in_another_encoding_is_refused() {
    let text = format!("h ssh-ed25519 {A}\n");
    let utf16 = |mark: &str, bytes: fn(u16) -> [u8; 2]| {
        let text = format!("{mark}{text}");
        text.encode_utf16().flat_map(bytes).collect::<Vec<_>>()
    };
    for bytes in [
        utf16("\u{feff}", u16::to_le_bytes),
        utf16("\u{feff}", u16::to_be_bytes),
        utf16("", u16::to_le_bytes),
        utf16("", u16::to_be_bytes),
    ] {
        assert!(decode(&bytes).unwrap_err().contains("UTF-16"));
    }
    // What a crash leaves at the end of a file.
    assert!(decode(format!("{text}\0\0\0").as_bytes()).is_err());
    // A comment in Latin-1 does no harm.
    let mut bytes = b"# f\xfcr alle\n".to_vec();
    bytes.extend(text.as_bytes());
    assert!(trusts(&decode(&bytes).unwrap(), "h", 22));
}

#[test]
fn a_host_that_only_an_authority_is_listed_for_must_show_a_certificate() {
    let text = format!("@cert-authority *.example ssh-ed25519 {B}\n");
    for port in [22, 2222] {
        let answer = check(&text, "h.example", port, A);
        assert!(
            matches!(answer, HostKeyCheck::NotCertified { line: 1, .. }),
            "{answer:?}"
        );
        assert!(known(&text).has_authority("h.example", port));
    }
    assert!(!known(&text).has_authority("h", 22));
    assert_eq!(known(&text).algorithms("h.example", 22), []);
    assert_eq!(check(&text, "h", 22, A), HostKeyCheck::Unknown);
    // The authority's own key is no key of a host.
    assert!(matches!(
        check(&text, "h.example", 22, B),
        HostKeyCheck::NotCertified { .. }
    ));
    let both = format!("{text}h.example ssh-ed25519 {A}\n");
    assert!(trusts(&both, "h.example", 22));
    assert!(matches!(
        check(&both, "h.example", 22, EC),
        HostKeyCheck::Changed { line: 2, .. }
    ));
}

#[test]
fn an_rsa_key_may_be_named_by_its_signature() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/keys/rsa.pem");
    let key = russh::keys::load_secret_key(file, None).unwrap();
    let key = key.public_key();
    let line = entry_line("h", 22, key).unwrap();
    for name in ["ssh-rsa", "rsa-sha2-256", "rsa-sha2-512"] {
        let text = line.replace("ssh-rsa ", &format!("{name} "));
        let answer = known(&text).check("h", 22, &Shown::Key(key.clone()), SystemTime::now());
        assert_eq!(answer, HostKeyCheck::Trusted, "{name}");
    }
}

#[test]
fn a_hashed_name_that_cannot_be_read_may_be_any() {
    assert!(Names::parse("|1|AAAA").is_none());
    assert!(matches!(
        Names::parse("|1|AAAA|AAAA"),
        Some(Names::Hashed { .. })
    ));
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
