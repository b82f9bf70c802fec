//! The log, on stderr: off by default, `-v` and `-vv` turn it up, `BERTH_LOG` says exactly what.
//!
//! Libraries that see bytes on their way to the host are never logged below `info`: those bytes may be
//! a key or a secret value.

use tracing_subscriber::{EnvFilter, filter::Directive};

use super::args::Args;
use crate::config::{ConfigError, Variables, variables::Variable};

/// The libraries through which bytes pass to the host or the database.
const CARRIERS: [&str; 5] = [
    "russh=info",
    "ssh_key=info",
    "tokio_postgres=info",
    "rustls=info",
    "tera=info",
];

const LOG: Variable = Variable {
    name: "BERTH_LOG",
    default: None,
};

impl Args {
    /// Starts the log as it was asked for. To be called once.
    pub(super) fn start_tracing(&self) -> Result<(), ConfigError> {
        let by_flags = match self.global.verbose {
            0 => "off",
            1 => "berth=debug",
            _ => "berth=trace,info",
        };
        // Not from a `.env` file: that one is read later.
        let asked = Variables::default().text(&LOG)?;
        let filter = EnvFilter::builder().parse_lossy(asked.as_deref().unwrap_or(by_flags));
        let is_off = asked.is_none() && self.global.verbose == 0;
        let carriers = CARRIERS.iter().filter(|_| !is_off);
        let filter = carriers
            .filter_map(|cap| cap.parse::<Directive>().ok())
            .fold(filter, EnvFilter::add_directive);
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr)
            .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
            .init();
        Ok(())
    }
}
