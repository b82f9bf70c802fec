//! `buildctl build`'s flags. <https://github.com/moby/buildkit/blob/master/docs/reference/buildctl.md>

use std::collections::BTreeMap;

/// The command line, understood.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Flags {
    pub(super) frontend: String,
    /// `context` and `dockerfile`: folders.
    pub(super) locals: BTreeMap<String, String>,
    /// The frontend's options.
    pub(super) options: BTreeMap<String, String>,
    /// Attributes of `--output`.
    pub(super) output: BTreeMap<String, String>,
    pub(super) import_cache: Option<BTreeMap<String, String>>,
    pub(super) export_cache: Option<BTreeMap<String, String>>,
    pub(super) metadata_file: Option<String>,
    pub(super) no_cache: bool,
}

/// Reads the words after the program's name.
pub(super) fn parse(arguments: &[String]) -> Result<Flags, String> {
    let mut flags = Flags::default();
    let mut words = arguments.iter();
    if words.next().map(String::as_str) != Some("build") {
        return Err("this stand-in has only buildctl build".to_owned());
    }
    while let Some(word) = words.next() {
        let Some(name) = word.strip_prefix('-') else {
            return Err(format!("{word}: build takes no arguments"));
        };
        let name = name.strip_prefix('-').unwrap_or(name);
        let (name, value) = match name.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (name, None),
        };
        if name == "no-cache" {
            flags.no_cache = value.as_deref() != Some("false");
            continue;
        }
        let value = match value {
            Some(value) => value,
            None => words
                .next()
                .cloned()
                .ok_or_else(|| format!("Incorrect Usage: flag needs an argument: -{name}"))?,
        };
        flags.set(name, value)?;
    }
    Ok(flags)
}

impl Flags {
    fn set(&mut self, name: &str, value: String) -> Result<(), String> {
        let pair = |value: &str| {
            value
                .split_once('=')
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .ok_or_else(|| format!("invalid value {value:?} for --{name}, expecting k=v"))
        };
        match name {
            "frontend" => self.frontend = value,
            "local" => self.locals.extend([pair(&value)?]),
            "opt" => self.options.extend([pair(&value)?]),
            "output" | "o" => self.output = attributes(&value)?,
            "import-cache" => self.import_cache = Some(attributes(&value)?),
            "export-cache" => self.export_cache = Some(attributes(&value)?),
            "metadata-file" => self.metadata_file = Some(value),
            "progress" if value == "plain" => {}
            "progress" => return Err(format!("this stand-in has no --progress={value}")),
            "secret" | "ssh" | "allow" | "trace" | "source-policy-file" | "ref-file" => {
                return Err(format!("this stand-in has no --{name}"));
            }
            _ => {
                return Err(format!(
                    "Incorrect Usage: flag provided but not defined: -{name}"
                ));
            }
        }
        Ok(())
    }
}

/// A line of comma-separated `key=value`, in which quotes keep a comma.
fn attributes(text: &str) -> Result<BTreeMap<String, String>, String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    for letter in text.chars() {
        match letter {
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            _ => {
                if let Some(field) = fields.last_mut() {
                    field.push(letter);
                }
            }
        }
    }
    fields
        .iter()
        .map(|field| match field.split_once('=') {
            Some((key, value)) => Ok((key.to_lowercase(), value.to_owned())),
            None => Err(format!("invalid value {field}")),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<Flags, String> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        parse(&words)
    }

    #[test]
    fn flags_take_their_values_either_way() {
        let flags = read(&[
            "build",
            "--frontend",
            "dockerfile.v0",
            "--local=context=/c",
            "--opt",
            "build-arg:A=b=c",
            "--output",
            "type=image,\"name=r/a:1,r/b:2\",push=true",
        ])
        .unwrap();
        assert_eq!(flags.locals["context"], "/c");
        assert_eq!(flags.options["build-arg:A"], "b=c");
        assert_eq!(flags.output["name"], "r/a:1,r/b:2");
        assert_eq!(flags.output["push"], "true");
    }

    #[test]
    fn what_is_not_known_is_refused() {
        assert!(
            read(&["build", "--foo", "x"])
                .unwrap_err()
                .contains("not defined: -foo")
        );
        assert!(read(&["prune"]).is_err());
        assert!(
            read(&["build", "--secret", "id=x"])
                .unwrap_err()
                .contains("stand-in")
        );
    }
}
