//! Public keys and certificates in files, as `ssh-keygen` writes them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use russh::keys::{Certificate, PublicKey};

use super::{Credentials, KeyError, KeyOrigin, read};

/// The key of an agent that the file is about: its public half, or a certificate for it.
pub(super) fn load(path: &Path) -> Result<Credentials, KeyError> {
    let text = read(path)?;
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    if let Ok(certificate) = Certificate::from_openssh(text) {
        return Ok(Credentials {
            key: None,
            public: Some(certificate.public_key().clone().into()),
            certificate: Some(certificate),
        });
    }
    let public = PublicKey::from_openssh(text).map_err(|_| KeyError::NotPublic {
        origin: KeyOrigin::File(path.into()),
    })?;
    Ok(Credentials {
        key: None,
        certificate: certificate_for(&path.with_extension(""), &public),
        public: Some(public),
    })
}

/// The certificate next to the file of the private key, as OpenSSH finds it. One that can't be
/// used is no reason not to try the key.
pub(super) fn certificate_for(private: &Path, key: &PublicKey) -> Option<Certificate> {
    let mut path = OsString::from(private);
    path.push("-cert.pub");
    let path = PathBuf::from(path);
    if !path.exists() {
        return None;
    }
    let problem = match read(&path) {
        Ok(text) => match Certificate::from_openssh(text.trim()) {
            Ok(certificate) if certificate.public_key() == key.key_data() => {
                return Some(certificate);
            }
            Ok(_) => "it is for another key".to_owned(),
            Err(error) => error.to_string(),
        },
        Err(error) => error.to_string(),
    };
    tracing::warn!(path = %path.display(), problem, "can't use the ssh certificate");
    None
}
