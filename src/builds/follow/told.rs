//! What a build has printed so far, as far as it matters for its end.

use std::{collections::VecDeque, sync::Mutex};

use serde::Serialize;

/// How many of the last lines are kept: a failing step may be loud.
const KEPT: usize = 200;
/// The most that is kept of one of them, in characters.
const LINE: usize = 1000;

/// How often the layer cache was asked, and what came of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct CacheUse {
    /// Steps that were taken from the cache.
    pub hits: u32,
    /// Steps that were not in it.
    pub misses: u32,
}

/// Takes the lines; shared by those who read them and those who judge them.
#[derive(Debug, Default)]
pub(in crate::builds) struct Told(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    last: VecDeque<String>,
    count: u64,
    cache: CacheUse,
}

impl Told {
    pub(super) fn take(&self, line: &str) {
        let Ok(mut inner) = self.0.lock() else { return };
        inner.count += 1;
        if inner.last.len() == KEPT {
            inner.last.pop_front();
        }
        inner.last.push_back(line.chars().take(LINE).collect());
        // Kaniko's words, then those of BuildKit.
        if line.contains("Using caching version of cmd") || is_cached(line) {
            inner.cache.hits += 1;
        } else if line.contains("No cached layer found for cmd") {
            inner.cache.misses += 1;
        }
    }

    pub(in crate::builds) fn last(&self) -> Vec<String> {
        let inner = self.0.lock();
        inner.map_or_else(|_| Vec::new(), |inner| inner.last.iter().cloned().collect())
    }

    /// How many lines there were.
    pub(super) fn count(&self) -> u64 {
        self.0.lock().map(|inner| inner.count).unwrap_or_default()
    }

    pub(in crate::builds) fn cache(&self) -> CacheUse {
        self.0.lock().map(|inner| inner.cache).unwrap_or_default()
    }
}

/// `#7 CACHED`
fn is_cached(line: &str) -> bool {
    line.strip_prefix('#')
        .and_then(|rest| rest.split_once(' '))
        .is_some_and(|(number, rest)| rest == "CACHED" && number.parse::<u32>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_and_the_caches_use_are_kept() {
        let told = Told::default();
        for number in 0..KEPT {
            told.take(&format!("line {number}"));
        }
        for line in [
            "INFO[0000] No cached layer found for cmd RUN make",
            "INFO[0001] Using caching version of cmd: RUN make",
            "#7 CACHED",
            "#x CACHED",
            "# CACHED",
        ] {
            told.take(line);
        }
        let last = told.last();
        assert_eq!(last.len(), KEPT);
        assert_eq!(last.last().unwrap(), "# CACHED");
        let (hits, misses) = (2, 1);
        assert_eq!(told.cache(), CacheUse { hits, misses });
    }
}
