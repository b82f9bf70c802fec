//! Looks, before anything is sent, whether a deployment can have its host name and its group.

use k8s_openapi::api::networking::v1::{Ingress, IngressClass};

use super::{Controller, ControllerState, Exposure, gather, reading};
use crate::{
    cluster::{ClusterError, Query, Resource},
    config::Listeners,
    domain::{DeploymentName, Owner},
    engine::Site,
    error::Error,
};

/// A deployment may have its host name and its group, as far as could be seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Admission {
    /// What could not be checked, and what is missing for the host name to be served.
    pub notes: Vec<String>,
}

/// See [`IngressManager::admit`](super::IngressManager::admit).
///
/// Of two that claim one host name the older Ingress has it. So a second look after the Ingress was
/// made finds out when two were made at once.
pub(crate) async fn admit(
    site: &Site,
    owner: &Owner,
    name: &DeploymentName,
    exposure: &Exposure,
) -> Result<Admission, Error> {
    let all = Query::everywhere([Resource::INGRESSES]);
    let [deployments, classes] = gather::controller();
    let queries = [all.clone(), deployments, classes];
    let mut notes = Vec::new();
    match site.cluster().find(&queries).await {
        // Not all may be listed: the Ingresses alone, perhaps.
        Err(ClusterError::Forbidden { .. }) => {}
        found => {
            let found = found?;
            let mut ingresses = found.of::<Ingress>()?;
            reading::by_age(&mut ingresses);
            check(owner, name, exposure, &ingresses)?;
            let classes: Vec<IngressClass> = found.of()?;
            let controller = Controller::judge(&found.of()?, classes.first(), true);
            notes.extend(unserved(&controller, exposure));
            return Ok(Admission { notes });
        }
    }
    let found = match site.cluster().find(&[all]).await {
        Err(ClusterError::Forbidden { words, .. }) => {
            let own = Query::in_namespace([Resource::INGRESSES], owner.namespace());
            notes.push(format!(
                "whether {} is free and fits the group {} was looked at in the namespace {} alone: \
                 {words}",
                exposure.host,
                exposure.group,
                owner.namespace(),
            ));
            site.cluster().find(&[own]).await?
        }
        found => found?,
    };
    let mut ingresses = found.of::<Ingress>()?;
    reading::by_age(&mut ingresses);
    check(owner, name, exposure, &ingresses)?;
    Ok(Admission { notes })
}

/// Why the host name will not be served, although the Ingress can be made.
fn unserved(controller: &Controller, exposure: &Exposure) -> Option<String> {
    let problem = if controller.class.is_none() {
        "there is no IngressClass alb".to_owned()
    } else if !controller.has_class() {
        let class = controller.class.as_deref().unwrap_or_default();
        format!("the IngressClass alb is of {class}, which does not create load balancers")
    } else {
        match controller.state {
            ControllerState::Absent => {
                "no AWS Load Balancer Controller found in this cluster".to_owned()
            }
            ControllerState::Unavailable => format!(
                "no pod of the AWS Load Balancer Controller is available ({})",
                controller.phrase()
            ),
            ControllerState::Healthy | ControllerState::AutoMode | ControllerState::Unknown => {
                return None;
            }
        }
    };
    let host = &exposure.host;
    Some(format!(
        "warning: {problem}; nothing answers at {host} until that is changed \
         (the status of the group {} shows the controller)",
        exposure.group
    ))
}

/// The same over Ingresses that have been found, the oldest first.
fn check(
    owner: &Owner,
    name: &DeploymentName,
    exposure: &Exposure,
    ingresses: &[Ingress],
) -> Result<(), Error> {
    let namespace = owner.namespace();
    let is_own = |it: &Ingress| {
        reading::namespace(it) == namespace.as_str() && reading::name(it) == name.as_str()
    };
    let living = || ingresses.iter().filter(|it| !reading::is_ending(it));
    let first = living().find(|it| claims(it, exposure));
    if let Some(first) = first.filter(|first| !is_own(first)) {
        return Err(Error::HostTaken {
            host: exposure.host.to_string(),
            by: reading::whose(first),
        });
    }
    let others: Vec<_> = living()
        .filter(|it| !is_own(it) && reading::is_alb(it))
        .filter(|it| reading::group(it) == exposure.group.as_str())
        .collect();
    let conflict = scheme(exposure, &others)
        .or_else(|| listeners(exposure, &others))
        .or_else(|| redirect(exposure, &others));
    match conflict {
        None => Ok(()),
        Some(conflict) => Err(Error::GroupConflict {
            group: exposure.group.to_string(),
            setting: conflict.setting,
            ours: conflict.ours,
            theirs: conflict.theirs,
            by: reading::whose(conflict.by),
        }),
    }
}

fn claims(ingress: &Ingress, exposure: &Exposure) -> bool {
    let at_an_alb = reading::is_alb(ingress);
    let host = exposure.host.as_str();
    let hosts = reading::hosts(ingress);
    hosts.iter().any(|it| reading::matches(it, host, at_an_alb))
}

/// A setting in which a group and a newcomer differ.
struct Conflict<'a> {
    setting: &'static str,
    ours: String,
    theirs: String,
    by: &'a Ingress,
}

/// One that names no scheme takes the others'.
fn scheme<'a>(exposure: &Exposure, others: &[&'a Ingress]) -> Option<Conflict<'a>> {
    let ours = exposure.scheme.as_str();
    others.iter().find_map(|by| {
        let theirs = reading::annotation(by, "scheme").filter(|theirs| *theirs != ours)?;
        Some(Conflict {
            setting: "scheme",
            ours: ours.to_owned(),
            theirs: theirs.to_owned(),
            by,
        })
    })
}

/// One that names no listeners is reached by what the others have.
fn listeners<'a>(exposure: &Exposure, others: &[&'a Ingress]) -> Option<Conflict<'a>> {
    let ours = exposure.listeners.ports().iter();
    let ours = ours.map(|(protocol, port)| (*port, (*protocol).to_owned()));
    let ours = ours.collect();
    others.iter().find_map(|by| {
        let theirs = reading::listeners(by).filter(|theirs| *theirs != ours)?;
        Some(Conflict {
            setting: "listen-ports",
            ours: reading::phrase(&ours),
            theirs: reading::phrase(&theirs),
            by,
        })
    })
}

/// What one says of redirects is so for the whole group; when nobody says anything, there is none.
fn redirect<'a>(exposure: &Exposure, others: &[&'a Ingress]) -> Option<Conflict<'a>> {
    if exposure.listeners == Listeners::Https {
        return None;
    }
    let ours = exposure.listeners.redirect().map(|port| port.to_string());
    let said = others
        .iter()
        .find_map(|by| Some((*by, reading::annotation(by, "ssl-redirect")?)));
    let (by, theirs) = match said {
        Some((by, theirs)) => (by, Some(theirs)),
        None => (*others.iter().find(|it| reading::has_http(it))?, None),
    };
    let none = || "none".to_owned();
    (theirs != ours.as_deref()).then(|| Conflict {
        setting: "ssl-redirect",
        ours: ours.unwrap_or_else(none),
        theirs: theirs.map_or_else(none, str::to_owned),
        by,
    })
}

#[cfg(test)]
#[path = "admit_tests.rs"]
mod tests;
