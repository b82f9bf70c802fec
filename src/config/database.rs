//! How the database's URL is read.

use std::{ffi::OsString, path::Path};

use super::{ConfigError, reader::Reader, variables};
use crate::store::DatabaseUrl;

/// Reads where the records are, and no other setting. `lookup` is as for
/// [`Config::from_vars`](super::Config::from_vars).
///
/// # Errors
/// [`ConfigError`] when the URL can't be used, or there is none and no home folder either.
pub fn database_url<V: Into<OsString>>(
    lookup: impl Fn(&str) -> Option<V>,
) -> Result<DatabaseUrl, ConfigError> {
    let lookup = |name: &str| lookup(name).map(Into::into);
    let mut reader = Reader::new(&lookup);
    let url = read(&mut reader);
    reader.finish()?;
    url.ok_or_else(ConfigError::default)
}

pub(super) fn read(reader: &mut Reader<'_>) -> Option<DatabaseUrl> {
    if reader.text(&variables::DATABASE_URL).is_some() {
        return reader.parsed(&variables::DATABASE_URL);
    }
    let (data, home) = (reader.given("XDG_DATA_HOME"), reader.home());
    let home = home.as_deref().and_then(Path::to_str);
    match DatabaseUrl::in_user_data(data.as_deref(), home) {
        Ok(url) => Some(url),
        Err(refused) => {
            reader.push(refused);
            None
        }
    }
}
