//! A list of records that a row which can't be read does not spoil.

use super::StoreError;

/// What a list found: the records, and beside them what is wrong with each row that is none.
#[derive(Debug)]
#[must_use]
#[non_exhaustive]
pub struct Listed<T> {
    /// The records that can be read.
    pub records: Vec<T>,
    /// One [`StoreError::Unreadable`] for each row that can't be.
    pub unreadable: Vec<StoreError>,
}

impl<T> FromIterator<Result<T, StoreError>> for Listed<T> {
    fn from_iter<I: IntoIterator<Item = Result<T, StoreError>>>(rows: I) -> Self {
        let mut listed = Self {
            records: Vec::new(),
            unreadable: Vec::new(),
        };
        for row in rows {
            match row {
                Ok(record) => listed.records.push(record),
                Err(problem) => listed.unreadable.push(problem),
            }
        }
        listed
    }
}
