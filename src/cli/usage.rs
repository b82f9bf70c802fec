//! Reads what was typed, and prints help and usage errors.

use std::{
    ffi::OsString,
    io::{self, Write as _},
    process::ExitCode,
};

use clap::{
    Command, CommandFactory as _, FromArgMatches as _,
    error::{ContextKind, ContextValue, ErrorKind},
};

use super::{
    args::{Args, Events, Output},
    exit,
    printer::{self, Printer},
    progress::Progress,
};

/// What to do about wrong usage, where clap has no tip.
const HINT: &str = "see `berth --help`";

/// Reads what was typed, the program's name first. Prints help, the version or what is wrong with it.
///
/// # Errors
/// The exit code, when there is nothing to run.
pub fn parse(typed: impl IntoIterator<Item = OsString>) -> Result<Args, ExitCode> {
    let typed: Vec<OsString> = typed.into_iter().collect();
    let mut command = taking_negative_numbers(Args::command());
    let parsed = command
        .try_get_matches_from_mut(&typed)
        .and_then(|matches| Args::from_arg_matches(&matches))
        .map_err(|mut error| {
            if let Some(tip) = tip(&error, &command, &typed) {
                let tips = ContextValue::StyledStrs(vec![tip.into()]);
                error.insert(ContextKind::Suggested, tips);
            }
            error.format(&mut command)
        });
    parsed.map_err(|refused| {
        if refused.use_stderr() {
            wrong(&refused, output(&typed));
            return ExitCode::from(exit::WRONG_USAGE);
        }
        match refused.print().and_then(|()| io::stdout().flush()) {
            // A closed pipe (`| head`) is the reader's choice, not a failure.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                let _ = writeln!(io::stderr(), "{}", printer::not_written(&error));
                ExitCode::from(exit::NOT_WRITTEN)
            }
            _ => ExitCode::SUCCESS,
        }
    })
}

/// What to do about an argument that no command takes, where clap has no tip: an owner's id without its
/// option, and a command that does not follow `--`.
fn tip(error: &clap::Error, command: &Command, typed: &[OsString]) -> Option<String> {
    let Some(ContextValue::String(unexpected)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    let is_known = error.kind() != ErrorKind::UnknownArgument || unexpected.starts_with('-');
    if is_known || error.get(ContextKind::Suggested).is_some() {
        return None;
    }
    let words = || typed.iter().skip(1).filter_map(|word| word.to_str());
    let subcommand = words().find_map(|word| command.find_subcommand(word))?;
    let has = |name: &str| {
        subcommand
            .get_arguments()
            .any(|arg| arg.get_long() == Some(name))
    };
    let is_typed = |name: &str| words().any(|word| word.starts_with(&format!("--{name}")));
    let owners = ["project-id", "conversation-id", "namespace"];
    let owner = owners.iter().find(|name| has(name));
    let takes_words = subcommand.get_arguments().any(clap::Arg::is_last_set);
    match owner {
        Some(owner) if !owners.iter().any(|name| is_typed(name)) => {
            Some(format!("name its owner with '--{owner} {unexpected}'"))
        }
        _ if takes_words => Some(format!(
            "to run '{unexpected}' in the pod, put it after '--': '-- {unexpected}'"
        )),
        _ => None,
    }
}

/// `--tail -1` has a bad value, and not an unknown flag `-1` behind it.
fn taking_negative_numbers(command: Command) -> Command {
    command
        .mut_args(|arg| {
            let takes_value = arg.get_action().takes_values() && !arg.is_positional();
            let allowed = arg.is_allow_hyphen_values_set() || !takes_value;
            if allowed {
                arg
            } else {
                arg.allow_negative_numbers(true)
            }
        })
        .mut_subcommands(taking_negative_numbers)
}

/// Says what is wrong, and to a script on stdout as well.
fn wrong(refused: &clap::Error, output: Output) {
    let _ = refused.print();
    if output == Output::Table {
        return;
    }
    if refused.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        // What clap renders is the help.
        silent_printer(output).wrong_usage("a command is missing", HINT);
        return;
    }
    let text = refused.render().to_string();
    let mut parts = text.split("\n\n").map(one_line);
    let message = parts.next().unwrap_or_default();
    let message = message.strip_prefix("error: ").unwrap_or(&message);
    let hint = parts
        .find_map(|part| part.strip_prefix("tip: ").map(str::to_owned))
        .unwrap_or_else(|| HINT.to_owned());
    silent_printer(output).wrong_usage(message, &hint);
}

fn silent_printer(output: Output) -> Printer {
    Printer::new(output, Progress::new(Events::Text, true))
}

/// A paragraph as one line.
fn one_line(text: &str) -> String {
    let lines = text.lines().map(str::trim);
    let text = lines.collect::<Vec<_>>().join(" ");
    text.trim().to_owned()
}

/// The output that was asked for, in arguments that clap could not read.
fn output(typed: &[OsString]) -> Output {
    let mut output = Output::Table;
    let mut typed = typed.iter().take_while(|arg| *arg != "--");
    while let Some(arg) = typed.next() {
        // An argument that is not UTF-8 names no format, and those behind it may.
        let Some(arg) = arg.to_str() else { continue };
        let value = match arg {
            "-o" | "--output" => typed.next().and_then(|arg| arg.to_str()),
            _ => arg
                .strip_prefix("--output=")
                .or_else(|| arg.strip_prefix("-o"))
                .map(|value| value.trim_start_matches('=')),
        };
        output = match value {
            Some("json") => Output::Json,
            Some("yaml") => Output::Yaml,
            Some("table") => Output::Table,
            _ => output,
        };
    }
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn the_output_is_found_in_what_cannot_be_read() {
        for line in [
            "berth -o json frobnicate",
            "berth create --output=json --frob",
            "berth create -ojson",
            "berth -o=json",
            "berth -o yaml create --output json",
        ] {
            assert_eq!(output(&typed(line)), Output::Json, "{line}");
        }
        let mut typed_badly = typed("berth create --project-id");
        typed_badly.push(std::os::unix::ffi::OsStringExt::from_vec(vec![b'a', 0xff]));
        typed_badly.extend(typed("-o json"));
        assert_eq!(output(&typed_badly), Output::Json);
        for line in ["berth create", "berth execute -- x -o json", "berth -o xml"] {
            assert_eq!(output(&typed(line)), Output::Table, "{line}");
        }
    }

    #[test]
    fn a_word_that_is_not_expected_has_a_tip() {
        for (line, expected) in [
            ("berth execute --project-id x ls -la", Some("'-- ls'")),
            (
                "berth execute --project-id=x --timeout 3s ls",
                Some("'-- ls'"),
            ),
            ("berth execute x ls", Some("'--project-id x'")),
            ("berth status x", Some("'--project-id x'")),
            ("berth deploy --project-id x --image a sh", Some("'-- sh'")),
            ("berth list x", None),
            ("berth execute --project-id x --nosuch", None),
        ] {
            let (command, typed) = (Args::command(), typed(line));
            let error = command.clone().try_get_matches_from(&typed).unwrap_err();
            let tip = tip(&error, &command, &typed);
            match expected {
                Some(part) => assert!(tip.is_some_and(|tip| tip.contains(part)), "{line}"),
                None => assert_eq!(tip, None, "{line}"),
            }
        }
    }

    /// What is hand-written is shown as it is, so it must fit; the rest is wrapped by clap.
    #[test]
    fn help_texts_fit_into_80_columns() {
        fn check(command: &mut Command, long: &mut Vec<String>) {
            let name = command.get_name().to_owned();
            let fits = |line: &str| line.chars().count() <= 80;
            let help = command.render_long_help().to_string();
            long.extend(
                help.lines()
                    .filter(|line| !fits(line))
                    .map(|line| format!("{name}: {line}")),
            );
            // As it is written, and not wrapped by clap.
            let written = command.get_after_help().map(ToString::to_string);
            let written = written.unwrap_or_default();
            long.extend(
                written
                    .lines()
                    .filter(|line| !fits(line))
                    .map(|line| format!("{name}: {line}")),
            );
            for command in command.get_subcommands_mut() {
                check(command, long);
            }
        }
        let (mut command, mut long) = (Args::command(), Vec::new());
        command.build();
        check(&mut command, &mut long);
        assert!(long.is_empty(), "{}", long.join("\n"));
    }

    #[test]
    fn a_negative_number_is_a_value_of_every_option() {
        fn check(command: &Command) {
            for arg in command.get_arguments() {
                let takes_value = arg.get_action().takes_values() && !arg.is_positional();
                let is_fine =
                    arg.is_allow_negative_numbers_set() || arg.is_allow_hyphen_values_set();
                assert!(
                    !takes_value || is_fine,
                    "{} {}",
                    command.get_name(),
                    arg.get_id()
                );
            }
            command.get_subcommands().for_each(check);
        }
        check(&taking_negative_numbers(Args::command()));
    }
}
