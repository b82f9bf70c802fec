//! Data on stdout, talk on stderr.

use std::io::Write as _;

use serde::Serialize;
use serde_json::json;

use super::args::Output;
use crate::{domain::Diagnosis, error::Error};

/// Prints what was found, in the form that was asked for.
pub(super) struct Printer {
    output: Output,
}

impl Printer {
    pub(super) fn new(output: Output) -> Self {
        Self { output }
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
        put(text.as_bytes());
    }

    /// Prints text as it is.
    #[expect(
        clippy::unused_self,
        reason = "stdout is reached through the printer alone"
    )]
    pub(super) fn text(&self, text: &str) {
        put(text.as_bytes());
    }

    /// Says to a person what else there is to know.
    #[expect(
        clippy::unused_self,
        reason = "stderr is reached through the printer alone"
    )]
    pub(super) fn note(&self, note: &str) {
        let _ = writeln!(std::io::stderr(), "{note}");
    }

    /// Prints an error with its causes and its hint; for a script, on stdout as a value as well.
    pub(super) fn error(&self, error: &Error) {
        if !self.is_for_people() {
            self.value(&error_value(error), String::new);
        }
        let mut talk = format!("error: {error}\n");
        for cause in causes(error) {
            talk.push_str(&format!("  caused by: {cause}\n"));
        }
        if let Some(diagnosis) = error.diagnosis() {
            talk.push_str(&log_tail(diagnosis));
        }
        if let Some(hint) = error.hint() {
            talk.push_str(&format!("hint: {hint}\n"));
        }
        let _ = std::io::stderr().write_all(talk.as_bytes());
    }
}

/// The last log lines, below a headline, each behind a bar.
pub(super) fn log_tail(diagnosis: &Diagnosis) -> String {
    if diagnosis.log_tail.is_empty() {
        return String::new();
    }
    let lines = diagnosis
        .log_tail
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
            if c.is_control() && c != '\t' {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}

/// The errors below this one, each said once.
fn causes(error: &Error) -> Vec<String> {
    let mut said = error.to_string();
    let mut causes = Vec::new();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        let text = cause.to_string();
        if !said.contains(&text) {
            causes.push(text.clone());
            said = text;
        }
        next = cause.source();
    }
    causes
}

fn error_value(error: &Error) -> serde_json::Value {
    json!({
        "error": {
            "kind": error.kind(),
            "message": error.to_string(),
            "causes": causes(error),
            "hint": error.hint(),
            "diagnosis": error.diagnosis(),
        }
    })
}

/// A closed pipe (`| head`) is the reader's choice, not a failure.
fn put(bytes: &[u8]) {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(bytes).and_then(|()| stdout.flush());
}

/// Rows in columns, two spaces apart, under a headline. The last column is never padded.
pub(super) fn table(headline: &[&str], rows: &[Vec<String>]) -> String {
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
    for row in rows {
        text.push_str(&line(&mut row.iter().map(String::as_str)));
    }
    text
}

/// Names and values, one a line, the values below each other.
pub(super) fn fields(fields: &[(&str, String)]) -> String {
    let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0) + 1;
    fields
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{:<width$}  {value}\n", format!("{name}:")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other() {
        let rows = [
            vec!["a".to_owned(), "bb".to_owned()],
            vec!["ccc".to_owned(), String::new()],
        ];
        assert_eq!(table(&["ONE", "TWO"], &rows), "ONE  TWO\na    bb\nccc\n");
    }

    #[test]
    fn a_strangers_line_cannot_command_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\tc"), "a\u{fffd}[2Jb\tc");
    }
}
