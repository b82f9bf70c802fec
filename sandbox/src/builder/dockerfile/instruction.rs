//! One instruction of a Dockerfile: what there is, and how a line becomes one.

use super::flags::{self, Flags};
use super::{health, words};

/// An instruction within a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Instruction {
    /// Where it starts, counted from 1.
    pub(crate) line: usize,
    /// As it was written, continuations joined.
    pub(crate) text: String,
    pub(crate) kind: Kind,
}

/// What an instruction says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Arg(Vec<(String, Option<String>)>),
    Env(Vec<(String, String)>),
    Label(Vec<(String, String)>),
    Copy(Copy),
    Add(Copy),
    Run(Words),
    Cmd(Words),
    Entrypoint(Words),
    Workdir(String),
    User(String),
    Expose(Vec<String>),
    Volume(Vec<String>),
    Shell(Vec<String>),
    StopSignal(String),
    Healthcheck(health::Check),
    OnBuild(String),
    Maintainer(String),
}

/// A command line, in either form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Words {
    pub(crate) words: Vec<String>,
    /// Whether a shell must read it.
    pub(crate) shell: bool,
}

/// Which files go where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Copy {
    /// A stage's name or number, or an image.
    pub(crate) from: Option<String>,
    pub(crate) owner: Option<String>,
    pub(crate) mode: Option<String>,
    pub(crate) sources: Vec<String>,
    pub(crate) destination: String,
}

/// `FROM`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct From {
    pub(super) base: String,
    pub(super) name: Option<String>,
    pub(super) platform: Option<String>,
}

/// What a line can be.
#[derive(Debug)]
pub(super) enum Parsed {
    From(From),
    Instruction(Kind),
}

/// Understands a line whose instruction is `name`; `None` if there is no such instruction.
pub(super) fn parse(name: &str, arguments: &str, escape: char) -> Option<Result<Parsed, String>> {
    let (flags, rest) = flags::take(arguments);
    let name = name.to_uppercase();
    let parsed = match name.as_str() {
        "FROM" => return Some(from(&flags, rest).map(Parsed::From)),
        "COPY" => copy(&name, &flags, rest).map(Kind::Copy),
        "ADD" => copy(&name, &flags, rest).map(Kind::Add),
        "RUN" => run(&flags, rest).map(Kind::Run),
        "HEALTHCHECK" => health::parse(&flags, rest).map(Kind::Healthcheck),
        _ => {
            let kind = plain(&name, rest, escape)?;
            flags.parse(&[], &[]).and(kind)
        }
    };
    Some(parsed.map(Parsed::Instruction))
}

/// The instructions without flags.
fn plain(name: &str, rest: &str, escape: char) -> Option<Result<Kind, String>> {
    let exactly_one = || match rest {
        "" => Err(format!("{name} requires exactly one argument")),
        one => Ok(one.to_owned()),
    };
    let at_least_one = |words: Vec<String>| {
        if words.is_empty() {
            Err(format!("{name} requires at least one argument"))
        } else {
            Ok(words)
        }
    };
    Some(match name {
        "ARG" => arg(rest, escape).map(Kind::Arg),
        "ENV" => named(name, words::pairs(rest, name, escape)).map(Kind::Env),
        "LABEL" => named(name, words::pairs(rest, name, escape)).map(Kind::Label),
        "CMD" => command_line(rest).map(Kind::Cmd),
        "ENTRYPOINT" => command_line(rest).map(Kind::Entrypoint),
        "WORKDIR" => exactly_one().map(Kind::Workdir),
        "USER" => exactly_one().map(Kind::User),
        "STOPSIGNAL" => exactly_one().map(Kind::StopSignal),
        "MAINTAINER" => exactly_one().map(Kind::Maintainer),
        "EXPOSE" => at_least_one(words::split(rest, escape)).map(Kind::Expose),
        "VOLUME" => words::json_or_blanks(rest)
            .and_then(at_least_one)
            .map(Kind::Volume),
        "SHELL" => match words::json(rest) {
            Ok(Some(shell)) => at_least_one(shell).map(Kind::Shell),
            Ok(None) => Err(format!(
                "SHELL requires the arguments to be in JSON form: {rest}"
            )),
            Err(error) => Err(error),
        },
        "ONBUILD" => exactly_one().map(Kind::OnBuild),
        _ => return None,
    })
}

fn named(
    name: &str,
    pairs: Result<Vec<(String, String)>, String>,
) -> Result<Vec<(String, String)>, String> {
    let pairs = pairs?;
    if pairs.is_empty() {
        return Err(format!("{name} requires at least one argument"));
    }
    if pairs.iter().any(|(key, _)| key.is_empty()) {
        return Err(format!("{name} names can not be blank"));
    }
    Ok(pairs)
}

fn arg(rest: &str, escape: char) -> Result<Vec<(String, Option<String>)>, String> {
    let words = words::split(rest, escape);
    if words.is_empty() {
        return Err("ARG requires at least one argument".to_owned());
    }
    words
        .into_iter()
        .map(|word| match word.split_once('=') {
            Some(("", _)) => Err("ARG names can not be blank".to_owned()),
            Some((name, value)) => Ok((name.to_owned(), Some(value.to_owned()))),
            None => Ok((word, None)),
        })
        .collect()
}

fn command_line(rest: &str) -> Result<Words, String> {
    Ok(match words::json(rest)? {
        Some(words) => Words {
            words,
            shell: false,
        },
        None => Words {
            words: vec![rest.to_owned()],
            shell: true,
        },
    })
}

fn run(flags: &Flags, rest: &str) -> Result<Words, String> {
    let used = flags.parse(&["mount", "network", "security"], &[])?;
    if let Some(flag) = used.keys().next() {
        return Err(format!("this stand-in has no RUN --{flag}"));
    }
    without_heredoc(rest)?;
    command_line(rest)
}

fn copy(name: &str, flags: &Flags, rest: &str) -> Result<Copy, String> {
    let flags = match name {
        "COPY" => flags.parse(&["from", "chown", "chmod"], &["link"])?,
        _ => flags.parse(&["chown", "chmod"], &["link"])?,
    };
    without_heredoc(rest)?;
    let mut sources = words::json_or_blanks(rest)?;
    let destination = sources
        .pop()
        .filter(|_| !sources.is_empty())
        .ok_or_else(|| {
            format!(
                "{name} requires at least two arguments, but only one was provided. \
             Destination could not be determined"
            )
        })?;
    if name == "ADD" && sources.iter().any(|source| is_remote(source)) {
        return Err("this stand-in has no ADD of URLs".to_owned());
    }
    let flag = |name: &str| flags.get(name).cloned();
    Ok(Copy {
        from: flag("from"),
        owner: flag("chown"),
        mode: flag("chmod"),
        sources,
        destination,
    })
}

fn is_remote(source: &str) -> bool {
    source.contains("://") || source.starts_with("git@")
}

fn without_heredoc(rest: &str) -> Result<(), String> {
    let starts = |word: &str| {
        word.trim_start_matches(|c: char| c.is_ascii_digit())
            .strip_prefix("<<")
            .is_some_and(|end| !end.is_empty() && !end.starts_with('<'))
    };
    if rest.split_whitespace().any(starts) {
        Err("this stand-in has no heredocs".to_owned())
    } else {
        Ok(())
    }
}

fn from(flags: &Flags, rest: &str) -> Result<From, String> {
    let words: Vec<&str> = rest.split_whitespace().collect();
    let (base, name) = match words.as_slice() {
        [base] => (*base, None),
        [base, word, name] if word.eq_ignore_ascii_case("as") => (*base, Some(*name)),
        _ => return Err("FROM requires either one or three arguments".to_owned()),
    };
    let lower = name.map(str::to_lowercase);
    if let (Some(lower), Some(name)) = (&lower, name)
        && !is_stage_name(lower)
    {
        return Err(format!(
            "invalid name for build stage: {name:?}, name can't start with a number or contain symbols"
        ));
    }
    let flags = flags.parse(&["platform"], &[])?;
    Ok(From {
        base: base.to_owned(),
        name: lower,
        platform: flags.get("platform").cloned(),
    })
}

fn is_stage_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c))
}
