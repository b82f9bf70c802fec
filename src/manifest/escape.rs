//! Writes a value so that it is one YAML scalar, whatever is in it.

use std::io::{self, Write};

/// Writes `text` as a JSON string, which is a YAML double-quoted scalar too (YAML 1.2.2, 1.2).
///
/// The two differ where YAML 1.1 readers, kubectl's among them, fold or refuse characters that JSON
/// takes as they are: U+0085, U+2028 and U+2029 are line breaks to them, and DEL, the C1 controls,
/// U+FEFF and the non-characters U+FFFE and U+FFFF are not printable. Those are written as `\uXXXX`,
/// which both read. Characters beyond U+FFFF stay as they are: their JSON escape is a pair of
/// surrogates, which YAML refuses.
pub(super) fn write_scalar(text: &str, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(b"\"")?;
    for c in text.chars() {
        match c {
            '"' => out.write_all(b"\\\"")?,
            '\\' => out.write_all(b"\\\\")?,
            '\n' => out.write_all(b"\\n")?,
            '\r' => out.write_all(b"\\r")?,
            '\t' => out.write_all(b"\\t")?,
            '\0'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{feff}'
            | '\u{fffe}'
            | '\u{ffff}' => write!(out, "\\u{:04x}", u32::from(c))?,
            _ => write!(out, "{c}")?,
        }
    }
    out.write_all(b"\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scalar(text: &str) -> String {
        let mut out = Vec::new();
        write_scalar(text, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_character_comes_back_from_json_and_from_yaml() {
        // In pieces, since one scalar of all characters says little when it fails.
        for start in (0..0x11_0000_u32).step_by(0x400) {
            let text: String = (start..start + 0x400).filter_map(char::from_u32).collect();
            let written = scalar(&text);
            assert_eq!(
                serde_json::from_str::<String>(&written).unwrap(),
                text,
                "JSON, {start:#x}"
            );
            assert_eq!(
                serde_saphyr::from_str::<String>(&written).unwrap(),
                text,
                "YAML, {start:#x}"
            );
        }
    }

    #[test]
    fn a_scalar_is_one_line_of_printable_characters() {
        let written = scalar("a\nb\r\u{85}\u{2028}\u{2029}\u{7f}\u{1b}[31m\u{feff}");
        assert_eq!(
            written,
            r#""a\nb\r\u0085\u2028\u2029\u007f\u001b[31m\ufeff""#
        );
    }

    #[test]
    fn characters_beyond_the_basic_plane_stay_as_they_are() {
        assert_eq!(scalar("🚢"), "\"🚢\"");
    }
}
