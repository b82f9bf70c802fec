//! The certificates that the builder trusts for the registry.

use std::{io::Read as _, path::Path};

use sha2::{Digest as _, Sha256};

use crate::{config::BuildSettings, domain::Invalid, files, tls};

const VARIABLE: &str = "IMAGE_REGISTRY_CA_FILE";
/// The longest file, in bytes: the API server takes no larger ConfigMap.
const LONGEST: u64 = 512 * 1024;
/// How many bytes of the hash are in the name.
const IN_NAME: usize = 8;

/// Certificates in PEM that were checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RegistryCa {
    pub(super) text: String,
}

impl RegistryCa {
    /// Those that the settings name; none for a registry without TLS.
    pub(super) fn of(settings: &BuildSettings) -> Result<Option<Self>, Invalid> {
        let file = settings.registry_ca.as_deref();
        file.filter(|_| !settings.plain_http)
            .map(Self::read)
            .transpose()
    }

    fn read(file: &Path) -> Result<Self, Invalid> {
        let refuse = |problem: &str| {
            let shown = file.display().to_string();
            let remedy = "name a file with the certificates of the registry's authorities in PEM";
            Invalid::new(VARIABLE, &shown, problem, remedy)
        };
        let unreadable = |error| refuse(&format!("can't be read: {error}"));
        let mut bytes = Vec::new();
        files::open(file)
            .and_then(|it| it.take(LONGEST + 1).read_to_end(&mut bytes))
            .map_err(unreadable)?;
        if bytes.len() as u64 > LONGEST {
            return Err(refuse("has more than 512 KiB"));
        }
        tls::check_certificates(&bytes).map_err(|problem| refuse(&problem))?;
        let text = String::from_utf8(bytes).map_err(|_| refuse("is not UTF-8"))?;
        Ok(Self { text })
    }

    /// The name of the ConfigMap, which other certificates do not have.
    pub(super) fn object_name(&self) -> String {
        let hash: [u8; 32] = Sha256::digest(&self.text).into();
        let digits = hash.iter().take(IN_NAME).map(|byte| format!("{byte:02x}"));
        format!("registry-ca-{}", digits.collect::<String>())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn problem(bytes: &[u8]) -> Result<RegistryCa, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), bytes).unwrap();
        RegistryCa::read(file.path()).map_err(|refused| refused.to_string())
    }

    #[test]
    fn only_certificates_are_taken() {
        let key = rcgen::generate_simple_self_signed(["registry.example".to_owned()]).unwrap();
        let pem = key.cert.pem();
        let one = problem(pem.as_bytes()).unwrap();
        let two = problem(format!("# ours\n{pem}{pem}").as_bytes()).unwrap();
        assert_ne!(one.object_name(), two.object_name());
        let name: Result<crate::domain::BuildId, _> = one.object_name().parse();
        assert!(name.is_ok(), "{}", one.object_name());
        let with_key = format!("{pem}{}", key.signing_key.serialize_pem());
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for (bytes, words) in [
            (&b""[..], "no certificate in PEM"),
            (b"\x30\x82\x01", "no certificate in PEM"),
            (with_key.as_bytes(), "private key"),
            (broken.as_bytes(), "can't be used"),
            (&pem.as_bytes()[..200], "PEM"),
        ] {
            let refused = problem(bytes).unwrap_err();
            assert!(refused.contains(words), "{refused}");
            assert!(refused.contains(VARIABLE), "{refused}");
        }
        let folder = tempfile::tempdir().unwrap();
        for path in ["", "nosuch"] {
            let refused = RegistryCa::read(&folder.path().join(path)).unwrap_err();
            assert!(refused.to_string().contains("can't be read"), "{refused}");
        }
    }
}
