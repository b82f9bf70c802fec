//! The one place where free text becomes a name that Kubernetes takes.
//!
//! Follows RFC 1123 labels, <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/>.

use sha2::{Digest, Sha256};

/// The longest label.
pub(super) const LONGEST: usize = 63;
/// Hexadecimal digits of the text's hash: 80 bits.
const HASH: usize = 20;

/// A label of at most `room` characters, at least 30, that is this text's and no other's.
///
/// The text itself when it is a good label without `--`, and otherwise a slug and a hash with `--`
/// between them. So the two forms never meet, and two texts never share a label.
pub(super) fn of(text: &str, room: usize) -> String {
    if is_label(text) && !text.contains("--") && text.len() <= room {
        return text.to_owned();
    }
    hashed(text, room)
}

/// The form with a slug and a hash, whatever the text is.
pub(super) fn hashed(text: &str, room: usize) -> String {
    let hash: String = Sha256::digest(text.as_bytes())
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .take(HASH)
        .collect();
    let slug = slug(text, room.saturating_sub(HASH + 2));
    if slug.is_empty() {
        // `id` keeps the name a label: it may not start or end with `-`.
        return format!("id--{hash}");
    }
    format!("{slug}--{hash}")
}

/// Whether this is a label: lower-case letters, digits and `-`, but no `-` at its ends.
pub(super) fn is_label(text: &str) -> bool {
    (1..=LONGEST).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// The readable part of a text: lower-case letters and digits, everything else one `-`.
pub(super) fn slug(text: &str, longest: usize) -> String {
    let mut slug = String::new();
    for c in text.chars().map(|c| c.to_ascii_lowercase()) {
        if slug.len() == longest {
            break;
        }
        if c.is_ascii_alphanumeric() {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.trim_end_matches('-').to_owned()
}
