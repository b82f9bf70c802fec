//! How long something may take, as people write it.

use std::time::Duration;

use super::Invalid;

/// The longest duration that can be asked for: 7 days.
pub const LONGEST_DURATION: Duration = Duration::from_hours(7 * 24);

/// Reads a duration of more than nothing and at most [`LONGEST_DURATION`]: seconds (`90`, `0.5`), or
/// with units (`90s`, `5m`, `1h 30m`).
///
/// # Errors
/// When the text is no duration, is zero, or is too long.
pub fn duration(text: &str) -> Result<Duration, Invalid> {
    duration_up_to(LONGEST_DURATION, text)
}

/// As [`duration`], with another bound.
///
/// # Errors
/// As [`duration`].
pub fn duration_up_to(longest: Duration, text: &str) -> Result<Duration, Invalid> {
    let text = text.trim();
    let refuse = |problem: &str, remedy: &str| Err(Invalid::new("duration", text, problem, remedy));
    // A number first: to humantime a bare one is no duration.
    let read = match text.parse::<f64>() {
        Ok(seconds) if seconds > longest.as_secs_f64() => Some(Duration::MAX),
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        Err(_) => match humantime::parse_duration(text) {
            Ok(read) => Some(read),
            Err(humantime::DurationError::NumberOverflow) => Some(Duration::MAX),
            Err(_) => None,
        },
    };
    match read {
        Some(read) if read > longest => {
            let most = format!("use at most {}d", longest.as_secs() / (24 * 60 * 60));
            refuse("is too long", &most)
        }
        Some(read) if !read.is_zero() => Ok(read),
        _ => refuse(
            "is not a duration",
            "use seconds, or a duration such as 90s or 5m; it must be more than zero",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_units_are_read() {
        for (text, expected) in [
            ("90", Duration::from_secs(90)),
            (" 0.5 ", Duration::from_millis(500)),
            ("5m", Duration::from_mins(5)),
            ("1h 30m", Duration::from_mins(90)),
            ("7d", LONGEST_DURATION),
        ] {
            assert_eq!(duration(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_or_endless_is_refused_with_a_remedy() {
        for text in ["", "0", "0s", "-1", "soon", "NaN"] {
            let refused = duration(text).unwrap_err();
            assert!(refused.to_string().ends_with("is not a duration"), "{text}");
        }
        let endless = "8d 604801 1e300 inf 18446744073709551615 18446744073709551615s 99999999999y";
        for text in endless.split(' ') {
            let refused = duration(text).unwrap_err();
            assert!(refused.to_string().ends_with("is too long"), "{refused}");
            assert_eq!(refused.remedy(), "use at most 7d");
        }
    }
}
