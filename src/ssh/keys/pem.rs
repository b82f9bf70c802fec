//! Private keys as text: OpenSSH's format (PROTOCOL.key), PKCS#1, SEC1 and PKCS#8 (RFC 7468).
//!
//! The parsing is russh's. Here the text is put in order first, and what russh would answer with
//! a riddle is told apart: public keys, encryption, wrong passphrases, unsupported types.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use russh::keys::ssh_key::{self, PrivateKey};
use russh::keys::{Error as Fault, decode_secret_key};
use zeroize::Zeroizing;

use super::{KeyError, KeyOrigin};

/// How a key is protected.
enum Encryption {
    None,
    Passphrase,
    /// One that can't be opened here: a cipher of RFC 1421's `DEK-Info` header, or PKCS#5 v1.
    Legacy(String),
}

pub(super) fn parse(
    text: &str,
    passphrase: Option<&str>,
    origin: &KeyOrigin,
) -> Result<PrivateKey, KeyError> {
    let origin = || origin.clone();
    let text = tidy(text);
    if is_public(&text) {
        return Err(KeyError::PublicKey { origin: origin() });
    }
    if text.starts_with("PuTTY-User-Key-File-") {
        return Err(KeyError::Unsupported {
            origin: origin(),
            what: "PuTTY's key format".into(),
        });
    }
    let passphrase = match encryption(&text).map_err(|fault| explain(&fault, origin(), false))? {
        // A passphrase for a key that is not encrypted would make russh fail.
        Encryption::None => None,
        Encryption::Passphrase => {
            Some(passphrase.ok_or_else(|| KeyError::PassphraseNeeded { origin: origin() })?)
        }
        Encryption::Legacy(cipher) => {
            let what = format!("its old encryption ({cipher})");
            return Err(KeyError::Unsupported {
                origin: origin(),
                what,
            });
        }
    };
    decode_secret_key(&text, passphrase)
        .map_err(|fault| explain(&fault, origin(), passphrase.is_some()))
}

/// Undoes what environment files, CI variables and editors do to a PEM text: `\n` as two
/// characters, `\r\n`, indentation, quotes around the whole, a missing last newline, line ends
/// that became spaces.
fn tidy(text: &str) -> Zeroizing<String> {
    let text = Zeroizing::new(text.replace("\\r", "").replace("\\n", "\n"));
    let mut text = text.trim();
    for quote in ['"', '\''] {
        if let Some(inner) = text
            .strip_prefix(quote)
            .and_then(|rest| rest.strip_suffix(quote))
        {
            text = inner.trim();
        }
    }
    let mut tidied = Zeroizing::new(String::with_capacity(text.len() + 64));
    if let Some((label, body)) = single_line(text) {
        let (begin, end) = (
            format!("-----BEGIN {label}-----"),
            format!("-----END {label}-----"),
        );
        for line in [begin.as_str()]
            .into_iter()
            .chain(body.split_whitespace())
            .chain([end.as_str()])
        {
            tidied.push_str(line);
            tidied.push('\n');
        }
        return tidied;
    }
    for line in text.lines() {
        tidied.push_str(line.trim());
        tidied.push('\n');
    }
    tidied
}

/// `-----BEGIN X----- body -----END X-----` on one line: X and the body.
fn single_line(text: &str) -> Option<(&str, &str)> {
    if text.contains('\n') {
        return None;
    }
    let (label, rest) = text.strip_prefix("-----BEGIN ")?.split_once("-----")?;
    let (body, _) = rest.split_once("-----END ")?;
    Some((label, body))
}

fn is_public(text: &str) -> bool {
    const NAMES: [&str; 4] = ["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"];
    NAMES.iter().any(|name| text.starts_with(name))
        || text.contains("-----BEGIN PUBLIC KEY-----")
        || text.contains("-----BEGIN RSA PUBLIC KEY-----")
        || text.contains("---- BEGIN SSH2 PUBLIC KEY ----")
        || text.contains("-----BEGIN CERTIFICATE-----")
}

fn encryption(text: &str) -> Result<Encryption, Fault> {
    if text.contains("-----BEGIN OPENSSH PRIVATE KEY-----") {
        let encrypted = PrivateKey::from_openssh(text)?.is_encrypted();
        return Ok(if encrypted {
            Encryption::Passphrase
        } else {
            Encryption::None
        });
    }
    if text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----") {
        let known = is_pbes2(text);
        return Ok(if known {
            Encryption::Passphrase
        } else {
            Encryption::Legacy("PKCS#5 v1".into())
        });
    }
    let Some(header) = text.lines().find_map(|line| line.strip_prefix("DEK-Info:")) else {
        return Ok(Encryption::None);
    };
    let cipher = header.split(',').next().unwrap_or_default().trim();
    // What ssh-keygen writes with `-m PEM`; russh opens it for RSA.
    if cipher == "AES-128-CBC" && text.contains("-----BEGIN RSA PRIVATE KEY-----") {
        return Ok(Encryption::Passphrase);
    }
    Ok(Encryption::Legacy(cipher.to_owned()))
}

/// Whether a PKCS#8 key is encrypted by PBES2 (RFC 8018, A.4), which is all that can be opened.
fn is_pbes2(text: &str) -> bool {
    const OID: &[u8] = &[
        0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0d,
    ];
    let body: String = text.lines().filter(|line| !line.starts_with('-')).collect();
    STANDARD
        .decode(body)
        .is_ok_and(|der| der.windows(OID.len()).any(|window| window == OID))
}

/// What a fault of the parser means. `opened` says that a passphrase was tried: what comes out
/// of a wrong one is noise, which fails in as many ways as there are parsers.
fn explain(fault: &Fault, origin: KeyOrigin, opened: bool) -> KeyError {
    let unsupported = |what: String| KeyError::Unsupported {
        origin: origin.clone(),
        what,
    };
    match fault {
        Fault::KeyIsEncrypted => KeyError::PassphraseNeeded { origin },
        Fault::UnsupportedKeyType {
            key_type_string, ..
        } => unsupported(format!("the key type {key_type_string}")),
        Fault::UnknownAlgorithm(oid) => unsupported(format!("the key type {oid}")),
        Fault::SshKey(ssh_key::Error::AlgorithmUnsupported { algorithm }) => {
            unsupported(format!("the key type {algorithm}"))
        }
        Fault::SshKey(ssh_key::Error::AlgorithmUnknown) => unsupported("the key type".into()),
        // The names of the encryption faults are not within reach; their texts are constant.
        Fault::Pkcs8(error) if opened && !error.to_string().contains("decryption failed") => {
            unsupported("its encryption".into())
        }
        _ if opened => KeyError::WrongPassphrase { origin },
        _ => KeyError::NotAKey { origin },
    }
}
