//! `HEALTHCHECK`: a command and how often it is asked.

use serde::{Deserialize, Serialize};

use super::flags::Flags;
use super::words;

/// As an image's configuration has it; times are nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Check {
    test: Vec<String>,
    #[serde(default, skip_serializing_if = "is_zero")]
    interval: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    timeout: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    start_period: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    start_interval: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    retries: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Understands what follows `HEALTHCHECK`.
pub(super) fn parse(flags: &Flags, rest: &str) -> Result<Check, String> {
    let (kind, command) = rest
        .split_once(char::is_whitespace)
        .map_or((rest, ""), |(kind, command)| (kind, command.trim_start()));
    let kind = kind.to_uppercase();
    match kind.as_str() {
        "" => return Err("HEALTHCHECK requires at least one argument".to_owned()),
        "NONE" if !command.is_empty() => {
            return Err("HEALTHCHECK NONE takes no arguments".to_owned());
        }
        "NONE" => {
            return Ok(Check {
                test: vec![kind],
                ..Check::default()
            });
        }
        "CMD" if command.is_empty() => {
            return Err("Missing command after HEALTHCHECK CMD".to_owned());
        }
        "CMD" => {}
        other => return Err(format!("Unknown type {other:?} in HEALTHCHECK (try CMD)")),
    }
    let flags = flags.parse(
        &[
            "interval",
            "timeout",
            "start-period",
            "start-interval",
            "retries",
        ],
        &[],
    )?;
    let time = |name: &str| flags.get(name).map_or(Ok(0), |value| nanoseconds(value));
    let mut test = match words::json(command)? {
        Some(words) => words,
        None => vec![command.to_owned()],
    };
    let shell = !command.starts_with('[');
    test.insert(0, if shell { "CMD-SHELL" } else { "CMD" }.to_owned());
    Ok(Check {
        test,
        interval: time("interval")?,
        timeout: time("timeout")?,
        start_period: time("start-period")?,
        start_interval: time("start-interval")?,
        retries: flags.get("retries").map_or(Ok(0), |value| {
            value
                .parse()
                .map_err(|_| format!("strconv.ParseInt: parsing {value:?}: invalid syntax"))
        })?,
    })
}

/// Go's way to write a time: `1m30s`, `500ms`.
fn nanoseconds(text: &str) -> Result<u64, String> {
    let invalid = || format!("time: invalid duration {text:?}");
    let mut total = 0_u64;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .ok_or_else(invalid)?;
        let (number, after) = rest.split_at(digits);
        let end = after
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let unit = match unit {
            "ns" => 1,
            "us" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return Err(invalid()),
        };
        let number: u64 = number.parse().map_err(|_| invalid())?;
        total = number
            .checked_mul(unit)
            .and_then(|part| total.checked_add(part))
            .ok_or_else(invalid)?;
        rest = after;
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::super::flags;
    use super::*;

    #[test]
    fn a_check_is_written_as_images_have_it() {
        let (flags, rest) = flags::take("--interval=1m30s --retries=3 CMD [\"a\", \"b\"]");
        let check = parse(&flags, rest).unwrap();
        assert_eq!(
            serde_json::to_string(&check).unwrap(),
            r#"{"Test":["CMD","a","b"],"Interval":90000000000,"Retries":3}"#
        );
    }

    #[test]
    fn an_unknown_type_is_refused() {
        let (flags, rest) = flags::take("EXEC a");
        assert!(parse(&flags, rest).unwrap_err().contains("try CMD"));
    }
}
