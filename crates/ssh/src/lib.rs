//! The connection to the host: keys, host trust, channels, one quoting type.
//!
//! Everything that reaches the host goes through [`SshClient`]: a [`Script`] in, bytes and an
//! exit status out. This crate knows SSH (RFC 4251 to 4254, as OpenSSH speaks it) and POSIX sh,
//! and nothing of Kubernetes. `russh` is used here and nowhere else, and does not show in the
//! public API.
//!
//! | file | what for |
//! |---|---|
//! | `client` | the shared, lazily made connection, back-off |
//! | `handshake`, `algorithms`, `identities`, `login`, `connection` | making one, and opening channels on it |
//! | `link` | the TCP stream, with a limit for writes that make no progress |
//! | `slots` | how many channels the server allows |
//! | `script`, `quote` | command lines |
//! | `launcher`, `preamble` | how a command is started, whatever the login shell does |
//! | `command`, `process`, `run`, `listening` | one command: on the wire, for its caller, to its end, until nobody listens |
//! | `tunnel` | a TCP connection from the host |
//! | `settings` | the SSH target, the key, the policy for host keys, limits |
//! | `keys` | private keys |
//! | `known_hosts`, `host_certificate`, `host_trust`, `fingerprint` | host keys |
//!
//! What must not happen here: a host key accepted unseen, a key replaced by another, a command
//! run twice that may have started, a success without an exit status, user text read by the
//! login shell or sent before the launcher has been heard.

mod algorithms;
mod client;
mod command;
mod connection;
mod error;
mod fingerprint;
mod handshake;
mod host_certificate;
mod host_trust;
mod identities;
mod keys;
mod known_hosts;
mod launcher;
mod link;
mod listening;
mod login;
mod preamble;
mod process;
mod quote;
mod run;
mod script;
mod settings;
mod slots;
mod ssh_config;
mod tunnel;

pub use client::SshClient;
pub use error::{ConnectStage, LoginEnd, SshError};
use fingerprint::fingerprint_of;
pub use host_trust::HostKeyError;
pub use keys::{KeyError, KeyOrigin};
pub use listening::Listening;
pub use process::{ExitStatus, Process, ProcessEvent, StdinClosed, StdinWriter};
pub use run::{Captured, Output, RunLimits, Stdin, TAIL_BYTES};
pub use script::{
    CapturedLine, Command, CommandError, NOTHING_CAPTURED, SCRIPT_MAX, Script, WORD_MAX, Word,
};
pub use settings::{Fingerprint, HostKeyPolicy, HostTrust, KeySource, SshLimits, SshSettings};
pub use tunnel::Tunnel;
