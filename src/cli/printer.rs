//! Data on stdout, talk on stderr.

use std::{
    io::{self, IsTerminal as _, Write as _},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{args::Output, hint::hint, progress::Progress};
use crate::{
    cluster::{Captured, ExecError},
    error::{Error, Kind},
};

/// The longest line of an error on a terminal.
const COLUMNS: usize = 80;

/// Prints what was found, in the form that was asked for.
pub(super) struct Printer {
    output: Output,
    /// What is shown on stderr meanwhile.
    progress: Arc<Progress>,
    /// Whether something could not be written.
    has_failed: AtomicBool,
}

impl Printer {
    pub(super) fn new(output: Output, progress: Progress) -> Self {
        Self {
            output,
            progress: Arc::new(progress),
            has_failed: AtomicBool::new(false),
        }
    }

    /// What is shown on stderr while operations run.
    pub(super) fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// Whether something that was asked for could not be written, to a full disk for one.
    pub(super) fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Relaxed)
    }

    fn put(&self, bytes: &[u8]) {
        self.progress.clear();
        if let Err(error) = put(bytes) {
            self.has_failed.store(true, Ordering::Relaxed);
            self.note(&not_written(&error));
        }
    }

    /// Whether a person reads stdout.
    pub(super) fn is_for_people(&self) -> bool {
        self.output == Output::Table
    }

    /// Prints a value: as JSON or YAML as it is, and for people as `table` says it.
    pub(super) fn value(&self, value: &impl Serialize, table: impl FnOnce() -> String) {
        let text = match self.output {
            Output::Table => table(),
            Output::Json => serde_json::to_string_pretty(value).unwrap_or_default() + "\n",
            Output::Yaml => serde_saphyr::to_string(value).unwrap_or_default(),
        };
        self.put(text.as_bytes());
    }

    /// Prints a line of a log: for a script as one line of JSON, which is an item of a YAML list too.
    /// Returns whether it could be written.
    pub(super) fn log_line(&self, fields: &Value, text: &str) -> bool {
        let line = match self.output {
            Output::Table => format!("{text}\n"),
            Output::Json => format!("{fields}\n"),
            Output::Yaml => format!("- {fields}\n"),
        };
        let mut stdout = io::stdout().lock();
        (stdout
            .write_all(line.as_bytes())
            .and_then(|()| stdout.flush()))
        .is_ok()
    }

    /// Prints text as it is.
    pub(super) fn text(&self, text: &str) {
        self.put(text.as_bytes());
    }

    /// Says to a person what else there is to know.
    pub(super) fn note(&self, note: &str) {
        self.progress.clear();
        if self.progress.is_json() {
            return Progress::json("note", &json!({ "message": note }));
        }
        let _ = writeln!(io::stderr(), "{note}");
    }

    /// Prints an error with its causes and its hint; for a script, on stdout as a value as well.
    pub(super) fn error(&self, error: &Error) {
        if !self.is_for_people() {
            self.value(&json!({ "error": error_fields(error) }), String::new);
        }
        self.problem(error);
    }

    /// Says what else went wrong beside what was printed: an error as a person reads it.
    pub(super) fn problem(&self, error: &Error) {
        self.progress.clear();
        if self.progress.is_json() {
            return Progress::json("error", &error_fields(error));
        }
        let stderr = io::stderr();
        let talk = talk(error, self.progress.has_shown_log());
        let text = if stderr.is_terminal() {
            wrapped(&talk)
        } else {
            talk
        };
        let _ = stderr.lock().write_all(text.as_bytes());
    }

    /// Prints for a script that what was typed can't be used.
    pub(super) fn wrong_usage(&self, message: &str, hint: &str) {
        self.value(&value_of(Kind::BadInput, message, hint), String::new);
    }

    /// Says that the program was interrupted and what is left behind; for a script, on stdout as a
    /// value as well.
    pub(super) fn interrupted(&self, aftermath: &str) {
        self.note(&format!("interrupted; {aftermath}"));
        if !self.is_for_people() {
            self.value(
                &value_of("interrupted", "interrupted", aftermath),
                String::new,
            );
        }
    }
}

/// An error for a person: the message, its causes, the last log lines, and what to do.
fn talk(error: &Error, has_shown_log: bool) -> String {
    let shown = |text: &str| match error {
        // One setting or one template line below the other; all of it is our user's own text.
        Error::Config(_) | Error::Manifest(_) => printable_lines(text),
        _ => one_line(text),
    };
    let mut talk = format!("error: {}\n", shown(&error.to_string()));
    for cause in error.causes() {
        talk.push_str(&format!("  caused by: {}\n", shown(&cause)));
    }
    if let Some(diagnosis) = error.diagnosis() {
        talk.push_str(&log_tail(&diagnosis.log_tail));
    }
    if let Some(failure) = error.build_failure()
        && !has_shown_log
    {
        talk.push_str(&log_tail(&failure.log_tail));
    }
    if let Some(hint) = hint(error) {
        talk.push_str(&format!("hint: {}\n", one_line(&hint)));
    }
    talk
}

/// The text with its lines broken for a terminal, but for log lines. A line is broken at blanks, and not
/// within backticks: a command there can be copied.
fn wrapped(text: &str) -> String {
    text.split_inclusive('\n').map(wrapped_line).collect()
}

fn wrapped_line(line: &str) -> String {
    if line.chars().count() <= COLUMNS || line.starts_with("  | ") {
        return line.to_owned();
    }
    let text = line.trim_start();
    let mut broken = " ".repeat(line.len() - text.len());
    let (mut column, mut is_first, mut in_command) = (broken.len(), true, false);
    let mut piece = String::new();
    for word in text.split(' ') {
        if !piece.is_empty() {
            piece.push(' ');
        }
        piece.push_str(word);
        in_command ^= word.matches('`').count() % 2 == 1;
        if in_command {
            continue;
        }
        let width = piece.chars().count();
        if is_first {
            is_first = false;
        } else if column + 1 + width > COLUMNS {
            broken.push_str("\n    ");
            column = 4;
        } else {
            broken.push(' ');
            column += 1;
        }
        broken.push_str(&piece);
        column += width;
        piece.clear();
    }
    if !piece.is_empty() {
        broken.push(' ');
        broken.push_str(&piece);
    }
    broken
}

/// The last log lines, below a headline, each behind a bar.
pub(super) fn log_tail(lines: &[String]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let lines = lines
        .iter()
        .map(|line| format!("  | {}\n", printable(line)));
    std::iter::once("last log lines:\n".to_owned())
        .chain(lines)
        .collect()
}

/// A line of a stranger's output without what would command a terminal.
pub(super) fn printable(line: &str) -> String {
    line.chars()
        .map(|c| {
            // Marks that turn the direction of writing make a line look like another.
            let turns = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            if turns || (c.is_control() && c != '\t') {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}

/// A stranger's text in a place for one line.
pub(super) fn one_line(text: &str) -> String {
    text.lines()
        .map(|line| printable(line.trim_end()))
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(" | ")
}

/// A text of several lines without what would command a terminal.
fn printable_lines(text: &str) -> String {
    text.lines().map(printable).collect::<Vec<_>>().join("\n")
}

fn error_fields(error: &Error) -> Value {
    let mut value = json!({
        "kind": error.kind(),
        "message": error.to_string(),
        "causes": error.causes(),
        "hint": hint(error),
        "diagnosis": error.diagnosis(),
    });
    let more = match error {
        Error::Exec(ExecError::TimedOut {
            ended_in_pod,
            partial,
            ..
        }) => {
            let mut more = streams(&partial.stdout, &partial.stderr);
            more.insert("ended_in_pod".to_owned(), (*ended_in_pod).into());
            more
        }
        Error::Exec(ExecError::LinkLost { partial, .. }) => {
            streams(&partial.stdout, &partial.stderr)
        }
        Error::PodFailed { owner, record, .. } => [
            ("owner", json!({ "kind": owner.kind(), "id": owner.id() })),
            ("namespace", json!(record.namespace.to_string())),
            ("pod", json!(record.pod_name)),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into_iter()
        .collect(),
        Error::BuildFailed { id, image, failure } => [
            ("build", json!(id)),
            ("image", json!(image)),
            ("failure", json!(failure)),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into_iter()
        .collect(),
        Error::DeployFailed {
            owner,
            name,
            serving,
            rollback,
            ..
        } => [
            ("project_id", json!(owner.project_id())),
            ("deployment", json!(name)),
            ("serving", json!(serving)),
            ("rollback", json!(rollback)),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into_iter()
        .collect(),
        Error::BuildUnfinished { id, .. } | Error::BuildCancelled { id } => {
            Map::from_iter([("build".to_owned(), json!(id))])
        }
        _ => Map::new(),
    };
    if let Some(fields) = value.as_object_mut() {
        fields.extend(more);
    }
    value
}

/// What is no [`Error`], in the form of one.
fn value_of(kind: impl Serialize, message: &str, hint: &str) -> Value {
    json!({
        "error": {
            "kind": kind,
            "message": message,
            "causes": [],
            "hint": hint,
            "diagnosis": null,
        }
    })
}

/// Says that stdout can't be written.
pub(super) fn not_written(error: &io::Error) -> String {
    format!("error: the output could not be written: {error}")
}

/// What a command printed, as scripts read it: text, and how many bytes are missing from its end.
pub(super) fn streams(stdout: &Captured, stderr: &Captured) -> Map<String, Value> {
    [
        ("stdout", json!(stdout.to_text())),
        ("stdout_cut_bytes", json!(stdout.cut)),
        ("stderr", json!(stderr.to_text())),
        ("stderr_cut_bytes", json!(stderr.cut)),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into_iter()
    .collect()
}

/// A closed pipe (`| head`) is the reader's choice, not a failure.
fn put(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Rows in columns, two spaces apart, under a headline. The last column is never padded.
pub(super) fn table(headline: &[&str], rows: &[Vec<String>]) -> String {
    let shown = |row: &Vec<String>| row.iter().map(|cell| one_line(cell)).collect();
    let rows: Vec<Vec<String>> = rows.iter().map(shown).collect();
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .chain(headline.get(column).map(|cell| cell.chars().count()))
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..headline.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded: Vec<String> = cells
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        padded.join("  ").trim_end().to_owned() + "\n"
    };
    let mut text = line(&mut headline.iter().copied());
    for row in &rows {
        text.push_str(&line(&mut row.iter().map(String::as_str)));
    }
    text
}

/// [`table`] of records, with the host of each when they are of several.
pub(super) fn table_by_host(
    headline: &[&str],
    rows: impl Iterator<Item = (String, Vec<String>)>,
) -> String {
    let (hosts, mut rows): (Vec<_>, Vec<_>) = rows.unzip();
    if hosts.iter().all(|host| Some(host) == hosts.first()) {
        return table(headline, &rows);
    }
    for (row, host) in rows.iter_mut().zip(hosts) {
        row.push(host);
    }
    table(&[headline, &["HOST"]].concat(), &rows)
}

/// Names and values, one a line, the values below each other.
pub(super) fn fields(fields: &[(&str, String)]) -> String {
    let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0) + 1;
    fields
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{:<width$}  {}\n", format!("{name}:"), one_line(value)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cluster::Partial,
        domain::{BuildCause, BuildFailure},
    };

    #[test]
    fn columns_stand_below_each_other() {
        let rows = [
            vec!["a".to_owned(), "bb".to_owned()],
            vec!["ccc".to_owned(), String::new()],
        ];
        assert_eq!(table(&["ONE", "TWO"], &rows), "ONE  TWO\na    bb\nccc\n");
    }

    #[test]
    fn long_lines_are_broken_at_blanks_and_not_within_commands() {
        let long = format!(
            "error: short\n  caused by: {0}\nhint: compare it with {0}, then `ssh-keyscan -p 22 host >> \
             {1}`, or set K8S_SSH_HOST_KEY\n  | {1} {1}\n",
            "what it says ".repeat(6).trim_end(),
            "x".repeat(60),
        );
        let wrapped = wrapped(&long);
        let command = format!("`ssh-keyscan -p 22 host >> {}`,", "x".repeat(60));
        assert!(wrapped.contains(&command), "{wrapped}");
        assert!(
            wrapped.starts_with("error: short\n  caused by: what"),
            "{wrapped}"
        );
        let words = |text: &str| {
            text.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(words(&wrapped), words(&long));
        for line in wrapped.lines() {
            let fits = line.chars().count() <= COLUMNS;
            assert!(
                fits || line.contains("ssh-keyscan") || line.starts_with("  | "),
                "{line}"
            );
        }
        let unpaired = format!("hint: a ` {}\n", "b ".repeat(50));
        assert_eq!(words(&super::wrapped(&unpaired)), words(&unpaired));
    }

    #[test]
    fn a_strangers_line_cannot_command_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\tc"), "a\u{fffd}[2Jb\tc");
        assert_eq!(printable("a\u{9b}2J\u{202e}b"), "a\u{fffd}2J\u{fffd}b");
        let hostile = "x\u{1b}[2J\r\n\nhint: trust me\n";
        let safe = "x\u{fffd}[2J | hint: trust me";
        assert_eq!(one_line(hostile), safe);
        assert_eq!(
            fields(&[("seen", hostile.to_owned())]),
            format!("seen:  {safe}\n")
        );
        assert_eq!(
            table(&["SEEN"], &[vec![hostile.to_owned()]]),
            format!("SEEN\n{safe}\n")
        );
        let reason = hostile.to_owned();
        let error = Error::Exec(ExecError::CouldNotStart { reason });
        assert_eq!(
            talk(&error, false).lines().next(),
            Some(format!("error: the command could not start: {safe}").as_str())
        );
    }

    #[test]
    fn a_log_that_was_shown_is_not_printed_again() {
        let mut failure = BuildFailure::new(BuildCause::RunFailed, "exit status 1");
        failure.log_tail = vec!["THE-REASON".to_owned()];
        let error = Error::BuildFailed {
            id: "build-web-abcdef".parse().unwrap(),
            image: "r.example/web:1".parse().unwrap(),
            failure: Box::new(failure),
        };
        assert!(talk(&error, false).contains("  | THE-REASON"));
        assert!(!talk(&error, true).contains("THE-REASON"));
        assert!(talk(&error, true).contains("hint: read the last log lines"));
    }

    #[test]
    fn what_a_command_had_printed_is_in_its_error() {
        let partial = || {
            Box::new(Partial {
                stdout: Captured {
                    bytes: b"half".to_vec(),
                    cut: 7,
                },
                stderr: Captured::default(),
            })
        };
        let timed_out = Error::Exec(ExecError::TimedOut {
            limit: std::time::Duration::from_secs(1),
            ended_in_pod: true,
            partial: partial(),
        });
        let lost = Error::Exec(ExecError::LinkLost {
            reason: "gone".to_owned(),
            partial: partial(),
        });
        for error in [&timed_out, &lost] {
            let value = &error_fields(error);
            assert_eq!(value["stdout"], "half");
            assert_eq!(value["stdout_cut_bytes"], 7);
            assert_eq!(value["stderr"], "");
            assert_eq!(value["stderr_cut_bytes"], 0);
        }
        assert_eq!(error_fields(&timed_out)["ended_in_pod"], true);
        assert_eq!(error_fields(&lost)["ended_in_pod"], Value::Null);
    }
}
