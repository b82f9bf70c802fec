//! The block of a PEM text, however its lines were broken on the way here, and the encryption that
//! its headers may ask for (RFC 1421, 4.6; as OpenSSL does it).

use aes::{Aes128, Aes192, Aes256};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cbc::Decryptor;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt as _, KeyIvInit as _};
use zeroize::Zeroizing;

/// The width of OpenSSH's lines, which its format must have.
const WIDTH: usize = 70;

/// A private key between its `BEGIN` and `END`.
pub(super) struct Block {
    /// Such as `RSA PRIVATE KEY`.
    pub(super) label: String,
    /// Set if the body is encrypted the old way.
    pub(super) header: Option<Header>,
    /// Base64, without line ends.
    pub(super) body: Zeroizing<String>,
}

/// `DEK-Info: CIPHER,IV`
pub(super) struct Header {
    pub(super) cipher: String,
    iv: Vec<u8>,
}

/// Undoes what environment files, CI variables and editors do to a text as a whole: `\n` as two
/// characters, quotes, a byte order mark.
pub(super) fn clean(text: &str) -> Zeroizing<String> {
    let text = Zeroizing::new(text.replace("\\r", "").replace("\\n", "\n"));
    let trim = |text| str::trim_matches(text, |c: char| c.is_whitespace() || c == '\u{feff}');
    let mut text = trim(&text);
    for quote in ['"', '\''] {
        if let Some(inner) = text
            .strip_prefix(quote)
            .and_then(|rest| rest.strip_suffix(quote))
        {
            text = trim(inner);
        }
    }
    Zeroizing::new(text.to_owned())
}

/// A PEM text with this label and body.
pub(super) fn write(label: &str, body: &str) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(body.len() + body.len() / WIDTH + 128));
    text.push_str(&format!("-----BEGIN {label}-----\n"));
    let mut rest = body;
    while !rest.is_empty() {
        let (line, more) = rest.split_at_checked(WIDTH).unwrap_or((rest, ""));
        text.push_str(line);
        text.push('\n');
        rest = more;
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

impl Block {
    /// The first block with a private key: other blocks and text may come before it.
    pub(super) fn find(text: &str) -> Option<Self> {
        let mut rest = text;
        loop {
            let (_, begun) = rest.split_once("-----BEGIN ")?;
            let (label, begun) = begun.split_once("-----")?;
            let (body, after) = begun.split_once("-----END ")?;
            if label.ends_with("PRIVATE KEY") {
                return Self::parse(label, body);
            }
            rest = after;
        }
    }

    /// A base64 text has no `:`, so that the headers are found wherever the lines end.
    fn parse(label: &str, body: &str) -> Option<Self> {
        let body: Zeroizing<String> =
            Zeroizing::new(body.chars().filter(|c| !c.is_whitespace()).collect());
        let (header, body) = match body.split_once("DEK-Info:") {
            None => (None, body.as_str()),
            Some((_, rest)) => {
                let (cipher, rest) = rest.split_once(',')?;
                let size = if cipher.starts_with("AES") { 16 } else { 8 };
                let (iv, body) = rest.split_at_checked(2 * size)?;
                let header = Header {
                    cipher: cipher.to_owned(),
                    iv: from_hex(iv)?,
                };
                (Some(header), body)
            }
        };
        Some(Self {
            label: label.to_owned(),
            header,
            body: Zeroizing::new(body.to_owned()),
        })
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

impl Header {
    /// AES with the three lengths of a key; DES is not safe any more.
    pub(super) fn is_supported(&self) -> bool {
        ["AES-128-CBC", "AES-192-CBC", "AES-256-CBC"].contains(&self.cipher.as_str())
    }

    /// The body without its encryption, in base64; `None` if the passphrase does not open it.
    pub(super) fn decrypt(&self, body: &str, passphrase: &str) -> Option<Zeroizing<String>> {
        let mut bytes = Zeroizing::new(STANDARD.decode(body).ok()?);
        let key = self.key(passphrase);
        let (key16, key24) = (key.get(..16)?, key.get(..24)?);
        let decrypted = match self.cipher.as_str() {
            "AES-128-CBC" => Decryptor::<Aes128>::new_from_slices(key16, &self.iv)
                .ok()?
                .decrypt_padded::<Pkcs7>(&mut bytes),
            "AES-192-CBC" => Decryptor::<Aes192>::new_from_slices(key24, &self.iv)
                .ok()?
                .decrypt_padded::<Pkcs7>(&mut bytes),
            _ => Decryptor::<Aes256>::new_from_slices(&key, &self.iv)
                .ok()?
                .decrypt_padded::<Pkcs7>(&mut bytes),
        };
        Some(Zeroizing::new(STANDARD.encode(decrypted.ok()?)))
    }

    /// OpenSSL's `EVP_BytesToKey` with MD5 and one round; the salt is the start of the IV.
    fn key(&self, passphrase: &str) -> Zeroizing<Vec<u8>> {
        let salt = self.iv.get(..8).unwrap_or_default();
        let mut key = Zeroizing::new(Vec::new());
        let mut input = Zeroizing::new(Vec::new());
        while key.len() < 32 {
            input.extend_from_slice(passphrase.as_bytes());
            input.extend_from_slice(salt);
            let digest = md5::compute(&*input).0;
            key.extend_from_slice(&digest);
            *input = digest.to_vec();
        }
        key
    }
}
