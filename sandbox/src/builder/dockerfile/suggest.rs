//! "Did you mean": the nearest instruction to a word that is none.

const NAMES: [&str; 18] = [
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// The instruction that is at most two letters away, in the case that was used.
pub(super) fn instruction(word: &str) -> Option<String> {
    let upper = word.to_uppercase();
    let (distance, name) = NAMES
        .iter()
        .map(|name| (distance(&upper, name), *name))
        .min_by_key(|(distance, _)| *distance)?;
    (distance < 3).then(|| {
        if word == upper {
            name.to_owned()
        } else {
            name.to_lowercase()
        }
    })
}

/// Levenshtein's: how many letters to put in, leave out or exchange.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (line, from) in left.chars().enumerate() {
        let mut diagonal = line;
        let mut before = line + 1;
        let mut next = vec![before];
        for (to, above) in right.iter().zip(row.iter().skip(1)) {
            let exchanged = diagonal + usize::from(from != *to);
            before = exchanged.min(above + 1).min(before + 1);
            diagonal = *above;
            next.push(before);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_instruction_is_suggested_in_its_case() {
        assert_eq!(instruction("COPYY").as_deref(), Some("COPY"));
        assert_eq!(instruction("form").as_deref(), Some("from"));
        assert_eq!(instruction("RUNN").as_deref(), Some("RUN"));
        assert_eq!(instruction("INSTALL"), None);
    }

    #[test]
    fn distances_are_counted_in_letters() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", "abc"), 0);
    }
}
