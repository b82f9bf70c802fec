//! The forms that an instruction's arguments come in: words, `name=value`, JSON.

/// Splits at blanks outside of quotes; quotes and escapes stay.
pub(super) fn split(text: &str, escape: char) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote: Option<char> = None;
    let mut blank_counts = false;
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if quote.is_none() && letter.is_whitespace() {
            if blank_counts || !word.is_empty() {
                words.push(std::mem::take(&mut word));
            }
            blank_counts = false;
            continue;
        }
        if letter == escape && quote != Some('\'') {
            // At the very end an escape is dropped.
            if let Some(next) = letters.next() {
                word.extend([letter, next]);
            }
            continue;
        }
        match quote {
            None if letter == '\'' || letter == '"' => {
                quote = Some(letter);
                blank_counts = true;
            }
            Some(open) if open == letter => quote = None,
            _ => {}
        }
        word.push(letter);
    }
    if blank_counts || !word.is_empty() {
        words.push(word);
    }
    words
}

/// `a=1 b=2`, or the old `a 1`.
pub(super) fn pairs(
    text: &str,
    instruction: &str,
    escape: char,
) -> Result<Vec<(String, String)>, String> {
    let words = split(text, escape);
    let Some(first) = words.first() else {
        return Ok(Vec::new());
    };
    if !first.contains('=') {
        let (name, value) = text
            .split_once(char::is_whitespace)
            .ok_or_else(|| format!("{instruction} must have two arguments"))?;
        return Ok(vec![(name.to_owned(), value.trim_start().to_owned())]);
    }
    words
        .iter()
        .map(|word| match word.split_once('=') {
            Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
            None => Err(format!(
                "Syntax error - can't find = in {word:?}. Must be of the form: name=value"
            )),
        })
        .collect()
}

/// What a JSON array says; `None` if the text is none.
pub(super) fn json(text: &str) -> Result<Option<Vec<String>>, String> {
    if !text.starts_with('[') {
        return Ok(None);
    }
    let Ok(values) = serde_json::from_str::<Vec<serde_json::Value>>(text) else {
        return Ok(None);
    };
    values
        .into_iter()
        .map(|value| match value {
            serde_json::Value::String(word) => Ok(word),
            _ => Err("when using JSON array syntax, arrays must be comprised of strings only"),
        })
        .collect::<Result<Vec<_>, _>>()
        .map(Some)
        .map_err(str::to_owned)
}

/// JSON, or what stands between blanks.
pub(super) fn json_or_blanks(text: &str) -> Result<Vec<String>, String> {
    Ok(match json(text)? {
        Some(words) => words,
        None => text.split_whitespace().map(str::to_owned).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_keep_words_together_and_stay() {
        assert_eq!(
            split(r#"a="b c" d\ e '' f"#, '\\'),
            ["a=\"b c\"", "d\\ e", "''", "f"]
        );
    }

    #[test]
    fn both_forms_of_pairs_are_read() {
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(
            pairs("a=1 b=\"2 3\"", "ENV", '\\').unwrap(),
            [pair("a", "1"), pair("b", "\"2 3\"")]
        );
        assert_eq!(pairs("a 1 2", "ENV", '\\').unwrap(), [pair("a", "1 2")]);
        assert_eq!(
            pairs("a", "ENV", '\\').unwrap_err(),
            "ENV must have two arguments"
        );
        assert!(pairs("a=1 b", "ENV", '\\').unwrap_err().contains("\"b\""));
    }

    #[test]
    fn an_array_of_other_things_than_strings_is_refused() {
        assert_eq!(json("[\"a\", \"b\"]").unwrap().unwrap(), ["a", "b"]);
        assert_eq!(json("[ -f x ]").unwrap(), None);
        assert!(json("[1]").is_err());
    }
}
