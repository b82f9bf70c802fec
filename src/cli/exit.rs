//! The program's exit codes, as docs/reference.md lists them.
//!
//! Those below 80 follow sysexits(3); 124 to 126 follow timeout(1) and the shells.

use std::process::ExitCode;

use crate::error::{Error, Kind};

/// The exit code for what was typed wrong: `EX_USAGE`.
pub(super) const WRONG_USAGE: u8 = 64;

/// The exit code when nobody reads the output any more: 128 and SIGPIPE, as in shells.
pub(super) const BROKEN_PIPE: u8 = 141;

/// The exit code when the output could not be written: `EX_IOERR`.
pub(super) const NOT_WRITTEN: u8 = 74;

/// The exit code for an error.
pub(super) fn code(error: &Error) -> ExitCode {
    ExitCode::from(match error.kind() {
        Kind::PodFailed => 71,
        Kind::BadInput => WRONG_USAGE,
        Kind::NotFound => 66,
        Kind::Unreachable => 69,
        Kind::Internal => 70,
        Kind::Conflict => 73,
        Kind::Database => NOT_WRITTEN,
        Kind::Busy => 75,
        Kind::Denied => 77,
        Kind::Configuration => 78,
        Kind::TimedOut => 124,
        Kind::LinkLost => 125,
        Kind::CouldNotStart => 126,
    })
}
