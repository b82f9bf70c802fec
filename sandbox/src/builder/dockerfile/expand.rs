//! `$NAME`, `${NAME:-word}`, quotes and escapes, as the Dockerfile's own small shell has them.

/// What names stand for.
pub(crate) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Replaces the variables in a word and takes its quotes away.
pub(crate) fn word(text: &str, lookup: Lookup<'_>) -> Result<String, String> {
    let letters: Vec<char> = text.chars().collect();
    Expander {
        letters,
        at: 0,
        lookup,
    }
    .until(None)
}

struct Expander<'a> {
    letters: Vec<char>,
    at: usize,
    lookup: Lookup<'a>,
}

impl Expander<'_> {
    fn peek(&self) -> Option<char> {
        self.letters.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let letter = self.peek()?;
        self.at += 1;
        Some(letter)
    }

    /// Reads up to a closing letter, or the end.
    fn until(&mut self, close: Option<char>) -> Result<String, String> {
        let mut result = String::new();
        while let Some(letter) = self.next() {
            if Some(letter) == close {
                return Ok(result);
            }
            match letter {
                '\'' => result.push_str(&self.single_quoted()?),
                '"' => result.push_str(&self.double_quoted()?),
                '$' => result.push_str(&self.variable()?),
                '\\' => result.extend(self.next()),
                _ => result.push(letter),
            }
        }
        match close {
            Some(close) => Err(format!("syntax error: missing '{close}'")),
            None => Ok(result),
        }
    }

    fn single_quoted(&mut self) -> Result<String, String> {
        let mut result = String::new();
        while let Some(letter) = self.next() {
            if letter == '\'' {
                return Ok(result);
            }
            result.push(letter);
        }
        Err("unexpected end of statement while looking for matching single-quote".to_owned())
    }

    fn double_quoted(&mut self) -> Result<String, String> {
        let mut result = String::new();
        while let Some(letter) = self.next() {
            match letter {
                '"' => return Ok(result),
                '$' => result.push_str(&self.variable()?),
                '\\' => match self.next() {
                    Some(escaped @ ('"' | '$' | '\\')) => result.push(escaped),
                    Some(other) => result.extend(['\\', other]),
                    None => break,
                },
                _ => result.push(letter),
            }
        }
        Err("unexpected end of statement while looking for matching double-quote".to_owned())
    }

    /// What follows a dollar sign.
    fn variable(&mut self) -> Result<String, String> {
        if self.peek() != Some('{') {
            let name = self.name();
            return Ok(match name.as_str() {
                "" => "$".to_owned(),
                name => (self.lookup)(name).unwrap_or_default(),
            });
        }
        self.at += 1;
        let name = self.name();
        if name.is_empty() {
            return Err("syntax error: bad substitution".to_owned());
        }
        let value = (self.lookup)(&name);
        match self.next() {
            Some('}') => Ok(value.unwrap_or_default()),
            Some(':') => {
                let modifier = self.next();
                let value = value.filter(|value| !value.is_empty());
                self.modified(&name, value, modifier)
            }
            Some(modifier @ ('-' | '+' | '?')) => self.modified(&name, value, Some(modifier)),
            Some(other) => Err(format!("unsupported modifier ({other}) in substitution")),
            None => Err("syntax error: missing '}'".to_owned()),
        }
    }

    fn modified(
        &mut self,
        name: &str,
        value: Option<String>,
        modifier: Option<char>,
    ) -> Result<String, String> {
        let other = self.until(Some('}'))?;
        match (modifier, value) {
            (Some('-'), value) => Ok(value.unwrap_or(other)),
            (Some('+'), value) => Ok(value.map_or_else(String::new, |_| other)),
            (Some('?'), Some(value)) => Ok(value),
            (Some('?'), None) if other.is_empty() => {
                Err(format!("{name}: is not allowed to be unset"))
            }
            (Some('?'), None) => Err(format!("{name}: {other}")),
            (modifier, _) => Err(format!(
                "unsupported modifier (:{}) in substitution",
                modifier.map(String::from).unwrap_or_default()
            )),
        }
    }

    fn name(&mut self) -> String {
        let mut name = String::new();
        while let Some(letter) = self.peek() {
            let fits = letter == '_' || letter.is_ascii_alphanumeric();
            // `$12` is `$1` and a 2.
            if !fits || (name.len() == 1 && name.starts_with(|c: char| c.is_ascii_digit())) {
                break;
            }
            name.push(letter);
            self.at += 1;
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(text: &str) -> String {
        try_expand(text).unwrap()
    }

    fn try_expand(text: &str) -> Result<String, String> {
        word(text, &|name| match name {
            "A" => Some("one".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        })
    }

    #[test]
    fn variables_are_replaced_outside_of_single_quotes() {
        assert_eq!(expand("x$A/${A}'$A'\"$A\""), "xone/one$Aone");
        assert_eq!(expand("$NONE-"), "-");
        assert_eq!(expand("\\$A $"), "$A $");
    }

    #[test]
    fn defaults_and_alternatives_work_as_in_a_shell() {
        assert_eq!(expand("${NONE:-x$A}"), "xone");
        assert_eq!(expand("${EMPTY:-x}${EMPTY-x}"), "x");
        assert_eq!(expand("${A:+yes}${NONE+no}"), "yes");
    }

    #[test]
    fn what_is_not_closed_or_not_known_is_refused() {
        assert!(try_expand("${A").unwrap_err().contains("missing '}'"));
        assert!(try_expand("'A").unwrap_err().contains("single-quote"));
        assert!(try_expand("${A%x}").unwrap_err().contains("modifier (%)"));
        assert_eq!(try_expand("${NONE:?why}").unwrap_err(), "NONE: why");
    }
}
