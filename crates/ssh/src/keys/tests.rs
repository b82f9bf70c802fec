use super::*;

const PASSPHRASE: &str = "open sesame";

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/keys")
        .join(name)
}

fn load_file(name: &str, passphrase: Option<&str>) -> Result<PrivateKey, KeyError> {
    let passphrase = passphrase.map(|text| Secret::new(text.to_owned()));
    load(&KeySource::File(fixture(name)), passphrase.as_ref()).map(private)
}

fn load_text(text: &str) -> Result<PrivateKey, KeyError> {
    load_text_with(text, None)
}

fn load_text_with(text: &str, passphrase: Option<&str>) -> Result<PrivateKey, KeyError> {
    let passphrase = passphrase.map(|text| Secret::new(text.to_owned()));
    let source = KeySource::Text(Secret::new(text.to_owned()));
    load(&source, passphrase.as_ref()).map(private)
}

fn private(credentials: Credentials) -> PrivateKey {
    credentials.key.unwrap().as_ref().clone()
}

#[test]
fn every_format_is_read() {
    for (name, algorithm) in [
        ("ed", "ssh-ed25519"),
        ("ec256", "ecdsa-sha2-nistp256"),
        ("ec384", "ecdsa-sha2-nistp384"),
        ("ec521", "ecdsa-sha2-nistp521"),
        ("rsa", "ssh-rsa"),
        ("rsa_pkcs1", "ssh-rsa"),
        ("sec1_prime256v1", "ecdsa-sha2-nistp256"),
        ("sec1_secp384r1", "ecdsa-sha2-nistp384"),
        ("sec1_secp521r1", "ecdsa-sha2-nistp521"),
        ("sec1_with_params", "ecdsa-sha2-nistp256"),
        ("ed_pkcs8", "ssh-ed25519"),
        ("rsa_pkcs8", "ssh-rsa"),
        ("pkcs8_prime256v1", "ecdsa-sha2-nistp256"),
        ("pkcs8_secp384r1", "ecdsa-sha2-nistp384"),
        ("pkcs8_secp521r1", "ecdsa-sha2-nistp521"),
    ] {
        let name = format!("{name}.pem");
        let key = load_file(&name, None).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(key.algorithm().as_str(), algorithm, "{name}");
        // A passphrase that is not needed does no harm.
        load_file(&name, Some("unused")).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn encrypted_keys_need_their_passphrase() {
    for name in [
        "ed_enc",
        "rsa_pkcs1_enc",
        "rsa_pkcs1_aes256",
        "ec_sec1_enc",
        "ed_pkcs8_enc",
        "rsa_pkcs8_enc",
        "rsa_pkcs8_scrypt",
        "pkcs8enc_secp384r1",
    ] {
        let name = format!("{name}.pem");
        load_file(&name, Some(PASSPHRASE)).unwrap_or_else(|error| panic!("{name}: {error}"));
        for missing in [None, Some("")] {
            let error = load_file(&name, missing).unwrap_err();
            assert!(
                matches!(error, KeyError::PassphraseNeeded { .. }),
                "{name}: {error:?}"
            );
        }
        let error = load_file(&name, Some("open says me")).unwrap_err();
        assert!(
            matches!(error, KeyError::WrongPassphrase { .. }),
            "{name}: {error:?}"
        );
        assert!(!format!("{error} {error:?}").contains("open says me"));
    }
}

#[test]
fn unsupported_keys_name_the_remedy() {
    for name in ["rsa_pkcs8_3des", "dsa", "x25519", "sec1_k1"] {
        let name = format!("{name}.pem");
        let error = load_file(&name, Some(PASSPHRASE)).unwrap_err();
        assert!(
            matches!(error, KeyError::Unsupported { .. }),
            "{name}: {error:?}"
        );
        assert!(
            error.hint().unwrap().contains("ssh-keygen -p -f /"),
            "{name}"
        );
    }
}

#[test]
fn texts_are_read_however_they_were_mangled() {
    let pem = std::fs::read_to_string(fixture("ed.pem")).unwrap();
    let expected = load_text(&pem).unwrap().public_key().clone();
    let one_line = pem.trim().replace('\n', " ");
    for text in [
        pem.replace('\n', "\r\n"),
        pem.replace('\n', "\\n"),
        pem.replace('\n', "\\r\\n"),
        pem.replace('\n', "\n    "),
        pem.trim_end().to_owned(),
        format!("\"{}\"", pem.replace('\n', "\\n")),
        format!("'{pem}'"),
        format!("\n\n{pem}\n"),
        one_line,
    ] {
        let key = load_text(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert_eq!(key.public_key(), &expected);
    }
}

#[test]
fn one_line_is_enough_for_every_format_with_and_without_blanks() {
    for name in [
        "ed",
        "ed_enc",
        "rsa_pkcs1",
        "rsa_pkcs1_enc",
        "rsa_pkcs1_aes256",
        "rsa_pkcs8",
        "ec_sec1_enc",
        "sec1_with_params",
        "pkcs8enc_secp384r1",
    ] {
        let pem = std::fs::read_to_string(fixture(&format!("{name}.pem"))).unwrap();
        let expected = load_text_with(&pem, Some(PASSPHRASE)).unwrap();
        let text = pem.trim();
        for mangled in [
            text.replace('\n', " "),
            text.replace('\n', ""),
            text.replace("\r\n", "\n").replace('\n', "\\n"),
            text.replace('\n', "\n\n"),
            format!("\u{feff}{text}"),
            format!("\"\u{feff}{text}\""),
            format!("Bag Attributes\n  friendlyName: x\n{text}\n"),
        ] {
            let key = load_text_with(&mangled, Some(PASSPHRASE))
                .unwrap_or_else(|error| panic!("{name}: {error}: {mangled}"));
            assert_eq!(key.public_key(), expected.public_key(), "{name}");
        }
    }
}

#[test]
fn files_in_utf_16_and_with_a_byte_order_mark_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    let pem = std::fs::read_to_string(fixture("ed.pem")).unwrap();
    let utf16 = |bytes: fn(u16) -> [u8; 2]| {
        let text = format!("\u{feff}{}", pem.replace('\n', "\r\n"));
        text.encode_utf16().flat_map(bytes).collect::<Vec<_>>()
    };
    for bytes in [
        utf16(u16::to_le_bytes),
        utf16(u16::to_be_bytes),
        format!("\u{feff}{pem}").into_bytes(),
    ] {
        std::fs::write(&file, bytes).unwrap();
        load(&KeySource::File(file.clone()), None).unwrap();
    }
    std::fs::write(&file, b"\xff\xfe\x00\xd8").unwrap();
    assert!(load(&KeySource::File(file), None).is_err());
}

#[test]
fn a_putty_key_gets_the_command_that_converts_it() {
    for version in [2, 3] {
        let text = format!("PuTTY-User-Key-File-{version}: ssh-ed25519\nEncryption: none\n");
        let error = load_text(&text).unwrap_err();
        assert!(matches!(error, KeyError::Putty { .. }), "{error:?}");
        let hint = error.hint().unwrap();
        assert!(
            hint.contains("puttygen KEY -O private-openssh -o FILE"),
            "{hint}"
        );
    }
}

#[test]
fn what_is_no_private_key_is_said() {
    let error = load_file("ed.pub", None).unwrap_err();
    assert!(matches!(error, KeyError::PublicKey { .. }), "{error:?}");
    assert!(
        error.to_string().contains("ed.pub (K8S_SSH_KEY_FILE)"),
        "{error}"
    );

    let error = load_file("missing.pem", None).unwrap_err();
    assert!(matches!(error, KeyError::Unreadable { .. }), "{error:?}");

    let pem = std::fs::read_to_string(fixture("ed.pem")).unwrap();
    let damaged = pem.replacen("AAAA", "AAAB", 1);
    for text in [
        "",
        "hello",
        "/home/ada/.ssh/id_ed25519",
        &damaged,
        &pem[..120],
    ] {
        let error = load_text(text).unwrap_err();
        assert!(matches!(error, KeyError::NotAKey { .. }), "{error:?}");
        assert!(error.to_string().contains("K8S_SSH_KEY_STRING"), "{error}");
        assert!(text.is_empty() || !format!("{error:?}").contains(text));
    }
}
