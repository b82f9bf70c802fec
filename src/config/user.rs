//! Who runs berth: the home directory and the login name.
//!
//! Cron and containers may run berth without HOME and USER; the user database has both.

use std::path::PathBuf;

use nix::unistd::{User, getuid};

/// The home directory of the user who runs berth: `$HOME` when it is an absolute path, else the one in
/// the user database.
#[cfg(feature = "cli")]
#[must_use]
pub(crate) fn home_dir() -> Option<PathBuf> {
    home_from(std::env::var_os("HOME").map(PathBuf::from))
}

/// The home directory, with the value of HOME.
pub(super) fn home_from(variable: Option<PathBuf>) -> Option<PathBuf> {
    variable
        .filter(|home| home.is_absolute())
        .or_else(|| entry().map(|user| user.dir))
        .filter(|home| home.is_absolute())
}

/// The login name of the user who runs berth, from the user database.
#[must_use]
pub(crate) fn login_name() -> Option<String> {
    entry()
        .map(|user| user.name)
        .filter(|name| !name.is_empty())
}

fn entry() -> Option<User> {
    User::from_uid(getuid()).ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn home_is_absolute_or_that_of_the_user_database() {
        let recorded = entry().unwrap();
        assert_eq!(home_from(Some("/h".into())), Some("/h".into()));
        for unusable in [None, Some(""), Some("~"), Some("h")] {
            let home = home_from(unusable.map(PathBuf::from));
            assert_eq!(home.as_ref(), Some(&recorded.dir), "{unusable:?}");
        }
        assert_eq!(login_name(), Some(recorded.name));
    }
}
