//! One pattern of a `.dockerignore` file: its syntax, and what it matches.
//!
//! The rules are those of Go's `filepath.Match` (<https://pkg.go.dev/path/filepath#Match>) and of
//! `**`, as <https://docs.docker.com/build/concepts/context/#dockerignore-files> and
//! <https://pkg.go.dev/github.com/moby/patternmatcher> have them.

/// Characters that stand for others.
const SPECIAL: [char; 5] = ['*', '?', '[', ']', '\\'];

/// What a pattern matches: always the whole of a path.
#[derive(Debug)]
pub(super) struct Pattern {
    shape: Shape,
    /// The folders that everything it matches is in: the components before the first special one.
    /// For a pattern without special characters all of it.
    literal: String,
}

#[derive(Debug)]
enum Shape {
    /// `a/b`
    Exact,
    /// `a/**`, without the stars.
    Prefix(String),
    /// `**/a` and `**a`, without the stars.
    Suffix(String),
    /// Everything else.
    Glob(Vec<Token>),
}

#[derive(Debug)]
enum Token {
    Char(char),
    /// `?`: one character but `/`.
    One,
    /// `*`: any characters but `/`.
    Many,
    /// `**` or `**/` before something else: nothing, or folders with their last `/`. Always followed
    /// by [`Token::InFolders`].
    Folders,
    /// Inside the folders of `**`.
    InFolders,
    /// `**` at the end.
    Rest,
    /// `[…]`: one character of the ranges, or none of them.
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Pattern {
    /// Reads a pattern that [`clean`] has been through.
    ///
    /// # Errors
    /// What is wrong with its syntax.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let is_plain = |part: &str| !part.contains(SPECIAL);
        let prefix = text.strip_suffix("**").filter(|part| is_plain(part));
        let suffix = text.strip_prefix("**").filter(|part| is_plain(part));
        let shape = match (prefix, suffix) {
            _ if is_plain(text) => Shape::Exact,
            (_, Some(suffix)) => Shape::Suffix(suffix.to_owned()),
            (Some(prefix), None) => Shape::Prefix(prefix.to_owned()),
            (None, None) => Shape::Glob(tokens(text)?),
        };
        let literal: Vec<_> = text.split('/').take_while(|part| is_plain(part)).collect();
        let literal = literal.join("/");
        Ok(Self { shape, literal })
    }

    /// Whether the pattern matches `path` (not a folder that `path` is in).
    pub(super) fn matches(&self, path: &str) -> bool {
        match &self.shape {
            Shape::Exact => path == self.literal,
            Shape::Prefix(prefix) => path.starts_with(prefix),
            Shape::Suffix(suffix) => {
                path.ends_with(suffix) || suffix.strip_prefix('/') == Some(path)
            }
            Shape::Glob(tokens) => glob(tokens, path),
        }
    }

    /// Whether something in `folder` may match. It may say yes without need, but never no.
    pub(super) fn may_match_in(&self, folder: &str) -> bool {
        let is_in = |inner: &str, outer: &str| {
            outer.is_empty()
                || inner
                    .strip_prefix(outer)
                    .is_some_and(|rest| rest.starts_with('/'))
        };
        match &self.shape {
            Shape::Exact => is_in(&self.literal, folder),
            // Without `**` it matches paths of its own depth alone.
            Shape::Glob(tokens) if depth(tokens).is_some_and(|it| it <= parts(folder)) => false,
            _ => {
                self.literal == folder
                    || is_in(&self.literal, folder)
                    || is_in(folder, &self.literal)
            }
        }
    }
}

/// How many parts the paths have that the tokens match; none when that is not fixed.
fn depth(tokens: &[Token]) -> Option<usize> {
    let mut depth = 1;
    for token in tokens {
        match token {
            Token::Char('/') => depth += 1,
            // A class may hold the `/`.
            Token::Folders | Token::InFolders | Token::Rest | Token::Class { .. } => return None,
            _ => {}
        }
    }
    Some(depth)
}

fn parts(path: &str) -> usize {
    path.split('/').count()
}

fn tokens(text: &str) -> Result<Vec<Token>, &'static str> {
    let mut tokens = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '*' if rest.next_if_eq(&'*').is_some() => {
                rest.next_if_eq(&'/');
                if rest.peek().is_none() {
                    tokens.push(Token::Rest);
                } else {
                    tokens.extend([Token::Folders, Token::InFolders]);
                }
            }
            '*' => tokens.push(Token::Many),
            '?' => tokens.push(Token::One),
            '[' => tokens.push(class(&mut rest)?),
            '\\' => tokens.push(Token::Char(rest.next().ok_or("ends with a single \\")?)),
            c => tokens.push(Token::Char(c)),
        }
    }
    Ok(tokens)
}

/// Reads a class behind its `[`, up to and with its `]`.
fn class(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Token, &'static str> {
    const OPEN: &str = "has a [ without its ]";
    let negated = rest.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    let member = |rest: &mut std::iter::Peekable<std::str::Chars<'_>>| match rest.next() {
        None => Err(OPEN),
        Some('-' | ']') => Err("has an unescaped - or ] where [ ] needs a character"),
        Some('\\') => rest.next().ok_or(OPEN),
        Some(c) => Ok(c),
    };
    loop {
        if !ranges.is_empty() && rest.next_if_eq(&']').is_some() {
            return Ok(Token::Class { negated, ranges });
        }
        let low = member(rest)?;
        let high = match rest.next_if_eq(&'-') {
            Some(_) => member(rest)?,
            None => low,
        };
        if high < low {
            return Err("has a range in [ ] that runs backwards");
        }
        ranges.push((low, high));
    }
}

/// Runs all ways to match side by side, so that no pattern takes more than its length times the
/// path's.
fn glob(tokens: &[Token], path: &str) -> bool {
    let mut now = vec![false; tokens.len() + 1];
    let mut next = now.clone();
    enter(tokens, &mut now, 0);
    for c in path.chars() {
        next.fill(false);
        for (at, token) in tokens.iter().enumerate() {
            if !now.get(at).is_some_and(|is_here| *is_here) {
                continue;
            }
            let (stays, goes_on) = token.takes(c);
            if stays {
                enter(tokens, &mut next, at);
            }
            if goes_on {
                enter(tokens, &mut next, at + 1);
            }
        }
        std::mem::swap(&mut now, &mut next);
    }
    now.last().is_some_and(|is_here| *is_here)
}

/// Marks the place `at`, and those that are reached from there without a character.
fn enter(tokens: &[Token], places: &mut [bool], mut at: usize) {
    while let Some(place) = places.get_mut(at) {
        *place = true;
        match tokens.get(at) {
            Some(Token::Many | Token::Rest) => at += 1,
            Some(Token::Folders) => {
                if let Some(inside) = places.get_mut(at + 1) {
                    *inside = true;
                }
                at += 2;
            }
            _ => return,
        }
    }
}

impl Token {
    /// Whether the character may be taken with the same token to come again, and with the next one.
    fn takes(&self, c: char) -> (bool, bool) {
        match self {
            Self::Char(own) => (false, *own == c),
            Self::One => (false, c != '/'),
            Self::Many => (c != '/', false),
            Self::Folders => (false, false),
            Self::InFolders => (true, c == '/'),
            Self::Rest => (true, false),
            Self::Class { negated, ranges } => {
                let is_member = ranges.iter().any(|(low, high)| (*low..=*high).contains(&c));
                (false, is_member != *negated)
            }
        }
    }
}

/// The shortest way to write a path, as Go's `filepath.Clean` does it: without `.`, empty parts and,
/// where they cancel out, `..`.
pub(super) fn clean(path: &str) -> String {
    let is_rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if is_rooted => {}
            part => parts.push(part),
        }
    }
    match (is_rooted, parts.is_empty()) {
        (true, _) => format!("/{}", parts.join("/")),
        (false, true) => ".".to_owned(),
        (false, false) => parts.join("/"),
    }
}
