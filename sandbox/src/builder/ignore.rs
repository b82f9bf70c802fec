//! `.dockerignore`: which of the context's files take part in a build.

use std::fs;
use std::path::Path;

use super::glob;

/// The patterns, in their order; the last that fits decides.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ignore(Vec<(bool, String)>);

impl Ignore {
    /// The Dockerfile's own list, or the context's.
    pub(crate) fn find(dockerfile: &Path, context: &Path) -> Self {
        let mut own = dockerfile.as_os_str().to_owned();
        own.push(".dockerignore");
        let text = fs::read_to_string(own)
            .or_else(|_| fs::read_to_string(context.join(".dockerignore")))
            .unwrap_or_default();
        Self::parse(&text)
    }

    fn parse(text: &str) -> Self {
        let patterns = text.trim_start_matches('\u{feff}').lines();
        Self(patterns.filter_map(pattern).collect())
    }

    /// Whether a path, relative to the context, is left out.
    pub(crate) fn excludes(&self, path: &Path) -> bool {
        let mut excluded = false;
        for (keep, pattern) in &self.0 {
            let fits = path
                .ancestors()
                .filter(|part| !part.as_os_str().is_empty())
                .any(|part| glob::matches(pattern, &part.to_string_lossy(), true));
            if fits {
                excluded = !keep;
            }
        }
        excluded
    }
}

fn pattern(line: &str) -> Option<(bool, String)> {
    if line.starts_with('#') {
        return None;
    }
    let line = line.trim();
    let (keep, rest) = match line.strip_prefix('!') {
        Some(rest) => (true, rest.trim()),
        None => (false, line),
    };
    let parts: Vec<&str> = rest
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .collect();
    (!parts.is_empty()).then(|| (keep, parts.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_pattern_that_fits_decides() {
        let ignore = Ignore::parse("# c\n*.log\n/build/\n!keep.log\n**/tmp\n");
        let excluded = |path: &str| ignore.excludes(Path::new(path));
        assert!(excluded("a.log"));
        assert!(!excluded("keep.log"));
        assert!(excluded("build/x/y"));
        assert!(excluded("a/b/tmp/c"));
        assert!(!excluded("sub/a.log"));
    }
}
