//! Private keys as text: OpenSSH's format (PROTOCOL.key), PKCS#1, SEC1 and PKCS#8 (RFC 7468).
//!
//! The parsing is russh's. Here the text is put in order first, and what russh would answer with
//! an unclear error is told apart: public keys, encryption, wrong passphrases, unsupported types.

mod block;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use russh::keys::ssh_key::{self, PrivateKey};
use russh::keys::{Error as Fault, decode_secret_key};

use self::block::Block;
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
    let text = block::clean(text);
    let origin = || origin.clone();
    if is_public(&text) {
        return Err(KeyError::PublicKey { origin: origin() });
    }
    if text.starts_with("PuTTY-User-Key-File-") {
        return Err(KeyError::Putty { origin: origin() });
    }
    let block = Block::find(&text).ok_or_else(|| KeyError::NotAKey { origin: origin() })?;
    let encryption = encryption(&block).map_err(|fault| explain(&fault, origin(), false))?;
    let passphrase = match encryption {
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
    let opened = passphrase.is_some();
    let result = match (&block.header, passphrase) {
        (Some(header), Some(passphrase)) => {
            let body = header
                .decrypt(&block.body, passphrase)
                .ok_or_else(|| KeyError::WrongPassphrase { origin: origin() })?;
            decode_secret_key(&block::write(&block.label, &body), None)
        }
        _ => decode_secret_key(&block::write(&block.label, &block.body), passphrase),
    };
    result.map_err(|fault| explain(&fault, origin(), opened))
}

fn is_public(text: &str) -> bool {
    const NAMES: [&str; 4] = ["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"];
    NAMES.iter().any(|name| text.starts_with(name))
        || text.contains("-----BEGIN PUBLIC KEY-----")
        || text.contains("-----BEGIN RSA PUBLIC KEY-----")
        || text.contains("---- BEGIN SSH2 PUBLIC KEY ----")
        || text.contains("-----BEGIN CERTIFICATE-----")
}

fn encryption(block: &Block) -> Result<Encryption, Fault> {
    match (block.label.as_str(), &block.header) {
        ("OPENSSH PRIVATE KEY", _) => {
            let text = block::write(&block.label, &block.body);
            Ok(if PrivateKey::from_openssh(text.as_str())?.is_encrypted() {
                Encryption::Passphrase
            } else {
                Encryption::None
            })
        }
        ("ENCRYPTED PRIVATE KEY", _) if is_pbes2(&block.body) => Ok(Encryption::Passphrase),
        ("ENCRYPTED PRIVATE KEY", _) => Ok(Encryption::Legacy("PKCS#5 v1".into())),
        (_, Some(header)) if header.is_supported() => Ok(Encryption::Passphrase),
        (_, Some(header)) => Ok(Encryption::Legacy(header.cipher.clone())),
        (_, None) => Ok(Encryption::None),
    }
}

/// Whether a PKCS#8 key is encrypted by PBES2 (RFC 8018, A.4), which is all that can be opened.
fn is_pbes2(body: &str) -> bool {
    const OID: &[u8] = &[
        0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0d,
    ];
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
