//! Whether the symbolic links of a context stay inside it.

use std::collections::HashMap;

use super::{
    ContextError,
    walk::{Entry, Kind},
};

/// As many links as Linux follows on one path (`path_resolution(7)`); a link that needs more leads
/// nowhere.
const MOST_LINKS: usize = 40;

/// Refuses links that are absolute or lead out of the context, be it through other links.
///
/// A link that leads nowhere inside the context is kept, as Docker keeps it.
pub(super) fn check(entries: &[Entry]) -> Result<(), ContextError> {
    let links: HashMap<&str, &str> = entries
        .iter()
        .filter_map(|entry| match &entry.kind {
            Kind::Link(target) => Some((entry.path.as_str(), target.as_str())),
            _ => None,
        })
        .collect();
    for entry in entries {
        let Kind::Link(target) = &entry.kind else {
            continue;
        };
        let (path, target) = (entry.path.clone(), target.clone());
        if target.starts_with('/') {
            return Err(ContextError::AbsoluteLink { path, target });
        }
        if leaves(&links, &path) {
            return Err(ContextError::EscapingLink { path, target });
        }
    }
    Ok(())
}

/// Follows the path as the kernel would, and tells whether it goes above the context's folder.
fn leaves(links: &HashMap<&str, &str>, path: &str) -> bool {
    let mut followed = 0;
    let mut at: Vec<&str> = Vec::new();
    // What is still to go, the next part last.
    let mut rest: Vec<&str> = path.rsplit('/').collect();
    while let Some(part) = rest.pop() {
        match part {
            "" | "." => {}
            ".." => {
                if at.pop().is_none() {
                    return true;
                }
            }
            part => {
                at.push(part);
                let Some(target) = links.get(at.join("/").as_str()) else {
                    continue;
                };
                followed += 1;
                if followed > MOST_LINKS {
                    return false;
                }
                if target.starts_with('/') {
                    return true;
                }
                at.pop();
                rest.extend(target.rsplit('/'));
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(links: &[(&str, &str)]) -> Result<(), ContextError> {
        let entries: Vec<_> = links
            .iter()
            .map(|(path, target)| Entry {
                path: (*path).to_owned(),
                kind: Kind::Link((*target).to_owned()),
            })
            .collect();
        check(&entries)
    }

    #[test]
    fn links_that_stay_inside_are_kept() {
        for links in [
            &[("a", "b")][..],
            &[("a/b/c", "../../d")],
            &[("a", "x/../y/./z//")],
            &[("a", "nowhere/at/all")],
            &[("a", "b"), ("b", "a")],
            &[("a", "a/a")],
            &[("a", ".")],
            // Textually it leaves; but `d` is two folders deep.
            &[("d", "p/q"), ("e", "d/../../x")],
        ] {
            checked(links).unwrap();
        }
    }

    #[test]
    fn links_that_lead_out_are_refused_also_through_others() {
        for (links, bad) in [
            (&[("a", "..")][..], "a"),
            (&[("a/b", "../../x")], "a/b"),
            (&[("a", "b/../../x")], "a"),
            // Textually it stays; but `a/b/d` is `a`.
            (&[("a/b/d", ".."), ("a/b/l", "d/../../x")], "a/b/l"),
        ] {
            match checked(links) {
                Err(ContextError::EscapingLink { path, .. }) => assert_eq!(path, bad),
                other => panic!("{links:?}: {other:?}"),
            }
        }
        assert!(matches!(
            checked(&[("a", "/etc/passwd")]),
            Err(ContextError::AbsoluteLink { .. })
        ));
    }
}
