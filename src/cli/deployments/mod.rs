//! The commands for deployments, one file each.

pub(super) mod deploy;
pub(super) mod list_instances;
pub(super) mod revisions;
pub(super) mod rollback;
pub(super) mod secret;
pub(super) mod stop;
mod view;

use super::{args::ProjectArgs, session::Session};
use crate::{
    deployments::{DeploymentManager, Target},
    domain::{Invalid, Owner},
    error::Error,
};

/// The manager of deployments.
async fn manager(session: &Session) -> Result<&DeploymentManager, Error> {
    Ok(session.berth().await?.deployments())
}

/// The project or namespace that was typed, or else the namespace of the settings.
fn target(args: &ProjectArgs, session: &Session) -> Result<Target, Error> {
    let typed = (args.project_id.as_deref(), args.namespace.as_deref());
    let target = match typed {
        (_, Some(namespace)) => Some(Target::Namespace(namespace.parse()?)),
        (Some(id), None) => Some(Target::Project(Owner::project(id)?)),
        (None, None) => session.namespace()?.map(Target::Namespace),
    };
    Ok(target.ok_or_else(|| {
        Invalid::new(
            "--project-id",
            "",
            "is missing, and no namespace is given",
            "give --project-id ID or --namespace NAMESPACE, or set KUBERNETES_NAMESPACE",
        )
    })?)
}
