//! The flags of an instruction: `COPY --from=x`.

use std::collections::BTreeMap;

/// The flags that stood before an instruction's arguments.
#[derive(Debug, Default)]
pub(super) struct Flags(Vec<String>);

/// Takes the flags off the front of the arguments.
pub(super) fn take(arguments: &str) -> (Flags, &str) {
    let mut flags = Vec::new();
    let mut rest = arguments;
    while rest.starts_with("--") {
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let (flag, after) = rest.split_at(end);
        rest = after.trim_start();
        if flag == "--" {
            break;
        }
        flags.push(flag.to_owned());
    }
    (Flags(flags), rest)
}

impl Flags {
    /// The values by name, if only flags of `strings` and `switches` were used.
    pub(super) fn parse(
        &self,
        strings: &[&str],
        switches: &[&str],
    ) -> Result<BTreeMap<String, String>, String> {
        let mut found = BTreeMap::new();
        for flag in &self.0 {
            let flag = flag.trim_start_matches("--");
            let (name, value) = match flag.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (flag, None),
            };
            let value = match value {
                Some("") if switches.contains(&name) => {
                    return Err(format!("missing a value on flag: {name}"));
                }
                Some(value) if strings.contains(&name) || switches.contains(&name) => value,
                None if switches.contains(&name) => "true",
                None if strings.contains(&name) => {
                    return Err(format!("missing a value on flag: {name}"));
                }
                _ => return Err(format!("unknown flag: --{name}")),
            };
            if found.insert(name.to_owned(), value.to_owned()).is_some() {
                return Err(format!("duplicate flag specified: {name}"));
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_end_where_the_arguments_begin() {
        let (flags, rest) = take("--from=a --link  b --c d");
        let found = flags.parse(&["from"], &["link"]).unwrap();
        assert_eq!(found["from"], "a");
        assert_eq!(found["link"], "true");
        assert_eq!(rest, "b --c d");
    }

    #[test]
    fn an_unknown_flag_is_refused() {
        let (flags, _) = take("--form=a b c");
        assert_eq!(
            flags.parse(&["from"], &[]).unwrap_err(),
            "unknown flag: --form"
        );
    }
}
