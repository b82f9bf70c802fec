//! The commands that look at how deployments are reached from outside.

mod list;
mod status;
mod validate;

pub(super) use self::{list::run as list, status::run as status, validate::run as validate};
use super::session::Session;
use crate::{config::GroupName, domain::Invalid, error::Error, ingress::IngressManager};

/// The manager of the way in.
async fn manager(session: &Session) -> Result<&IngressManager, Error> {
    Ok(session.berth().await?.ingress())
}

/// The group that was typed.
fn group(typed: Option<&str>) -> Result<Option<GroupName>, Invalid> {
    let parsed = typed.map(|name| name.parse().map_err(|it: Invalid| it.named("--group")));
    parsed.transpose()
}
