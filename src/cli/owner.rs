//! Who is meant, and the variables that come with a command.

use std::env::VarError;

use super::args::OwnerArgs;
use crate::domain::{Environment, Invalid, Owner};

/// The owner that the flags name.
pub(super) fn owner(args: &OwnerArgs) -> Result<Owner, Invalid> {
    Owner::from_ids(args.project_id.as_deref(), args.conversation_id.as_deref())
}

/// The variables of `--env NAME=VALUE` and `--env NAME`, whose value is in berth's own environment
/// and so in nobody's argument vector.
pub(super) fn environment(pairs: &[String]) -> Result<Environment, Invalid> {
    let mut environment = Environment::new();
    for pair in pairs {
        if pair.contains('=') {
            environment.set_pair(pair)?;
        } else {
            let value = std::env::var(pair).map_err(|error| {
                let (problem, remedy) = match error {
                    VarError::NotPresent => (
                        "has no value, and berth's own environment has none for it",
                        "write NAME=VALUE, or export NAME",
                    ),
                    VarError::NotUnicode(_) => (
                        "is not UTF-8 in berth's own environment",
                        "set it to UTF-8 text",
                    ),
                };
                Invalid::new("--env", pair, problem, remedy)
            })?;
            environment.set(pair, &value)?;
        }
    }
    Ok(environment)
}
