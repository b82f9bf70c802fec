//! File-name patterns as Go's `filepath.Match` and `.dockerignore` read them.

/// Whether a whole name fits a pattern. `*` and `?` never match a slash; `**`, where it is
/// allowed, matches any number of folders.
pub(crate) fn matches(pattern: &str, name: &str, any_depth: bool) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    fits(&pattern, &name, any_depth)
}

fn fits(pattern: &[char], name: &[char], any_depth: bool) -> bool {
    match pattern {
        [] => name.is_empty(),
        ['*', '*', '/', rest @ ..] if any_depth => {
            fits(rest, name, any_depth)
                || (0..name.len()).any(|at| match name.get(at..) {
                    Some(['/', after @ ..]) => fits(rest, after, any_depth),
                    _ => false,
                })
        }
        ['*', '*', rest @ ..] if any_depth => {
            suffixes(name).any(|tail| fits(rest, tail, any_depth))
        }
        ['*', rest @ ..] => {
            let end = name.iter().position(|c| *c == '/').unwrap_or(name.len());
            (0..=end).any(|at| {
                name.get(at..)
                    .is_some_and(|tail| fits(rest, tail, any_depth))
            })
        }
        ['?', rest @ ..] => match name {
            [first, tail @ ..] if *first != '/' => fits(rest, tail, any_depth),
            _ => false,
        },
        ['[', rest @ ..] => match (class(rest, name.first().copied()), name) {
            (Some((true, after)), [_, tail @ ..]) => fits(after, tail, any_depth),
            _ => false,
        },
        ['\\', letter, rest @ ..] | [letter, rest @ ..] => match name {
            [first, tail @ ..] if first == letter => fits(rest, tail, any_depth),
            _ => false,
        },
    }
}

fn suffixes(name: &[char]) -> impl Iterator<Item = &[char]> {
    (0..=name.len()).filter_map(|at| name.get(at..))
}

/// Whether a letter is in the class that starts the pattern, and what follows the class.
fn class(pattern: &[char], letter: Option<char>) -> Option<(bool, &[char])> {
    let letter = letter.filter(|letter| *letter != '/')?;
    let (negated, mut rest) = match pattern {
        ['^', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let mut found = false;
    let mut first = true;
    loop {
        match rest {
            [']', after @ ..] if !first => return Some((found != negated, after)),
            [low, '-', high, after @ ..] if *high != ']' => {
                found |= (*low..=*high).contains(&letter);
                rest = after;
            }
            ['\\', one, after @ ..] | [one, after @ ..] => {
                found |= *one == letter;
                rest = after;
            }
            [] => return None,
        }
        first = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks_stay_within_a_folder() {
        assert!(matches("*.py", "a.py", false));
        assert!(!matches("*.py", "b/a.py", false));
        assert!(matches("b/?.py", "b/a.py", false));
        assert!(!matches("b?a.py", "b/a.py", false));
    }

    #[test]
    fn classes_have_ranges_and_negations() {
        assert!(matches("[a-c]x", "bx", false));
        assert!(!matches("[^a-c]x", "bx", false));
        assert!(matches("\\*x", "*x", false));
        assert!(!matches("[a", "a", false));
    }

    #[test]
    fn two_stars_match_at_any_depth_where_they_may() {
        assert!(matches("**/*.log", "a/b/c.log", true));
        assert!(matches("**/*.log", "c.log", true));
        assert!(matches("a/**", "a/b/c", true));
        assert!(!matches("**/*.log", "a/b/c.log", false));
    }
}
