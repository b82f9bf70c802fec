//! Kubernetes objects in memory: a store that keeps, changes and watches them as an API server does.
//!
//! - A [`Store`] gives each write the next revision, keeps a log of changes for [`Watcher`]s, and refuses
//!   a write that names an older `resourceVersion`.
//! - [`mod@write`] creates, updates and applies on the server side; each field has its managers
//!   (`metadata.managedFields`), and taking another's is a conflict. [`patch`] reads JSON, merge and
//!   strategic-merge patches. A new object gets its defaults, identity and `generation`.
//! - [`delete`] honors finalizers, preconditions, grace periods and propagation policies; [`garbage`] and
//!   [`namespaces`] hold the rounds of the controllers that delete dependents and contents.
//! - [`selector`] reads label and field selectors, [`resources`] is the table of kinds, [`schema`] their
//!   fields, and [`decode`] puts an object into its canonical form.
//!
//! Refusals are [`ApiError`]s, whose [`status`](ApiError::status) is the `metav1.Status` of the API server.
//!
//! Left out, for those that put a server or a client over it: HTTP and authentication; validation of
//! values, admission and quotas, which an [`Admission`](write::Admission) may add; and everything that
//! happens by itself: no controller runs, no pod starts, and nothing here waits for time to pass, except
//! [`Watcher::next`] for the next change.

// Most functions answer a question and do nothing else; the attribute would be noise on all of them.
#![allow(clippy::must_use_candidate)]

pub mod decode;
mod defaults;
pub mod delete;
pub mod garbage;
pub mod ids;
pub mod json;
pub mod managed;
pub mod namespaces;
pub mod patch;
pub mod quantity;
pub mod resources;
pub mod schema;
pub mod selector;
pub mod status_error;
pub mod store;
pub mod write;

pub use resources::{Kind, Resource};
pub use status_error::ApiError;
pub use store::{Change, Lagged, State, Store, StoreEvent, Watcher};
