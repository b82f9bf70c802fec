//! The home folder of the user who runs berth.

use std::path::PathBuf;

use nix::unistd::{User, getuid};

/// The folder in `HOME`, or else the one in the user database: cron and containers may run berth
/// without `HOME`.
pub(super) fn home(lookup: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    lookup("HOME")
        .filter(|home| !home.is_empty())
        .map(PathBuf::from)
        .or_else(|| Some(User::from_uid(getuid()).ok()??.dir))
        .filter(|home| home.is_absolute())
}
