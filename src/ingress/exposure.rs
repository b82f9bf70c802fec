//! What a deployment asks of the load balancer.

use crate::{
    config::{GroupName, IngressSettings, Listeners, Scheme},
    domain::{DeploymentName, HealthPath, HostName, Invalid, Owner},
    manifest::IngressSpec,
};

/// Under which name a deployment is reached, and by which load balancer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exposure {
    /// The host name that is led to it.
    pub host: HostName,
    /// The group whose Ingresses share a load balancer.
    pub group: GroupName,
    /// Who can reach the load balancer.
    pub scheme: Scheme,
    /// What the load balancer listens to.
    pub listeners: Listeners,
    /// The certificates of HTTPS; with none the controller looks for one of the host's name.
    pub certificate_arn: Option<String>,
    /// The path of the load balancer's health checks.
    pub health_path: HealthPath,
}

impl Exposure {
    /// The exposure of an owner's deployment: under `hostname`, or else the owner's own name below the
    /// domain of the settings; with `dedicated_alb` by a load balancer of the owner's own.
    ///
    /// # Errors
    /// When there is neither a host name nor a domain, or the domain leaves no room for the owner's id;
    /// or when the owner's own group would be the shared one.
    pub fn of(
        owner: &Owner,
        settings: &IngressSettings,
        hostname: Option<HostName>,
        dedicated_alb: bool,
    ) -> Result<Self, Invalid> {
        let host = match (hostname, &settings.domain) {
            (Some(host), _) => host,
            (None, Some(domain)) => domain.below(owner.id())?,
            (None, None) => {
                return Err(Invalid::new(
                    "DEPLOYMENT_DOMAIN",
                    "",
                    "is not set, and no host name is given: there is no name to be reached under",
                    "set DEPLOYMENT_DOMAIN, give a host name, or deploy without an Ingress",
                ));
            }
        };
        let group = if dedicated_alb {
            own_group(owner, &settings.shared_group)?
        } else {
            settings.shared_group.clone()
        };
        Ok(Self {
            host,
            group,
            scheme: settings.scheme,
            listeners: settings.listeners,
            certificate_arn: settings.certificate_arn.clone(),
            health_path: HealthPath::default(),
        })
    }

    /// Sets the path of the load balancer's health checks.
    #[must_use]
    pub fn health_path(self, path: HealthPath) -> Self {
        Self {
            health_path: path,
            ..self
        }
    }

    /// The Ingress that leads the host to this port of the deployment's Service.
    #[must_use]
    pub fn spec(&self, owner: &Owner, name: &DeploymentName, service_port: u16) -> IngressSpec {
        IngressSpec {
            owner: owner.clone(),
            name: name.clone(),
            host: self.host.clone(),
            group: self.group.clone(),
            scheme: self.scheme,
            listeners: self.listeners,
            certificate_arn: self.certificate_arn.clone(),
            health_path: self.health_path.to_string(),
            service_port,
        }
    }
}

/// The name of the owner's namespace is valid for a group too, and nobody else's.
fn own_group(owner: &Owner, shared: &GroupName) -> Result<GroupName, Invalid> {
    let group: GroupName = owner.namespace().as_str().parse()?;
    if group == *shared {
        return Err(Invalid::new(
            "ALB_SHARED_GROUP_NAME",
            shared.as_str(),
            format!("is the name of {owner}'s own group as well"),
            "give the shared group another name",
        ));
    }
    Ok(group)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingress::samples::settings;

    fn shop() -> Owner {
        Owner::project("shop").unwrap()
    }

    #[test]
    fn a_project_has_its_own_name_below_the_domain() {
        let exposure = Exposure::of(&shop(), &settings(), None, false).unwrap();
        assert_eq!(exposure.host.as_str(), "shop.deploy.example.com");
        assert_eq!(exposure.group, settings().shared_group);
        assert_eq!(exposure.health_path.as_str(), "/health");
        let named = Some("www.shop.example".parse().unwrap());
        let exposure = Exposure::of(&shop(), &settings(), named, false).unwrap();
        assert_eq!(exposure.host.as_str(), "www.shop.example");
    }

    #[test]
    fn without_domain_and_host_name_there_is_nothing_to_be_reached_under() {
        let settings = IngressSettings {
            domain: None,
            ..settings()
        };
        let refused = Exposure::of(&shop(), &settings, None, false).unwrap_err();
        assert_eq!(refused.field(), "DEPLOYMENT_DOMAIN");
        assert!(refused.remedy().contains("host name"));
        let named = Some("www.shop.example".parse().unwrap());
        assert!(Exposure::of(&shop(), &settings, named, false).is_ok());
    }

    #[test]
    fn a_group_of_ones_own_is_nobody_elses() {
        let long = "a".repeat(255);
        let mut groups = std::collections::HashSet::new();
        for id in ["shop", "Shop", "s.hop", "🚢", "--", "../x", &long] {
            let owner = Owner::project(id).unwrap();
            let exposure = Exposure::of(&owner, &settings(), None, true).unwrap();
            assert!(groups.insert(exposure.group), "{id}");
        }
        let mut settings = settings();
        settings.shared_group = "project-shop".parse().unwrap();
        let refused = Exposure::of(&shop(), &settings, None, true).unwrap_err();
        assert_eq!(refused.field(), "ALB_SHARED_GROUP_NAME");
    }

    #[test]
    fn the_load_balancer_asks_for_the_path_that_the_pods_are_asked_for() {
        let path: HealthPath = "/ready?deep=1".parse().unwrap();
        let exposure = Exposure::of(&shop(), &settings(), None, false).unwrap();
        let exposure = exposure.health_path(path);
        let spec = exposure.spec(&shop(), &"web".parse().unwrap(), 80);
        assert_eq!(spec.health_path, "/ready?deep=1");
    }
}
