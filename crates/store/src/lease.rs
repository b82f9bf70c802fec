//! Leases: one process at a time acts on an owner's pod, and everybody can read which one.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{Holder, PodRecord, holder::Life};
use berth_core::Owner;

/// Who holds a lease, since when, and until when it holds unless it is renewed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LeaseInfo {
    /// The process that holds it.
    pub holder: Holder,
    /// When it was taken.
    pub since: DateTime<Utc>,
    /// When anybody may take it over.
    pub until: DateTime<Utc>,
}

impl LeaseInfo {
    /// Whether nobody else may take it at this time: it has not run out, and its holder is not known to be
    /// dead.
    #[must_use]
    pub fn is_held(&self, now: DateTime<Utc>) -> bool {
        self.until > now && self.holder.life() != Life::Dead
    }
}

/// `host:pid/random since 2025-01-01 12:00:00 UTC`.
impl fmt::Display for LeaseInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = self.since.format("%F %T UTC");
        write!(f, "{} since {since}", self.holder)
    }
}

/// A lease on an owner's record that was taken by [`Store::claim`](super::Store::claim) or
/// [`Store::find_and_lease`](super::Store::find_and_lease).
///
/// It stays its holder's until it is released, or until it has run out *and* somebody else has
/// taken it over. It does not renew or release itself: that is for the capability that holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    pub(super) owner: Owner,
    pub(super) record: i64,
    pub(super) number: i64,
    pub(super) info: LeaseInfo,
}

impl Lease {
    /// Whose record is leased.
    #[must_use]
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// Holder and times, as they were when the lease was taken; renewing does not change them here.
    #[must_use]
    pub fn info(&self) -> &LeaseInfo {
        &self.info
    }
}

/// What came of asking for a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Claim {
    /// The lease is the caller's.
    Taken {
        /// The owner's record, with this lease on it.
        record: PodRecord,
        /// The lease.
        lease: Lease,
        /// Whether there was a record before.
        existed: bool,
        /// The lease that had run out and was taken over.
        taken_over_from: Option<LeaseInfo>,
    },
    /// The lease is somebody else's, who has not released it and whose time is not up.
    Held {
        /// The owner's record as it is now.
        record: PodRecord,
        /// Who holds the lease.
        by: LeaseInfo,
    },
}
