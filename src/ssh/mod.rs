//! The connection to the host.

mod fingerprint;
mod host_trust;
mod keys;
mod known_hosts;
mod quote;
mod script;
mod settings;

pub use fingerprint::{Fingerprint, FingerprintError};
pub use host_trust::HostKeyError;
pub use keys::{KeyError, KeyOrigin};
pub use script::{
    CapturedLine, Command, CommandError, NOTHING_CAPTURED, SCRIPT_MAX, Script, WORD_MAX, Word,
};
pub use settings::{HostKeyPolicy, HostTrust, KeySource, SshLimits, SshSettings};
