//! The manager of the way in: what the looks at it share.

use k8s_openapi::api::networking::v1::Ingress;

use super::{
    Admission, Exposure, GroupStatus, IngressEntry, Resolved, RoutingReport, ValidateRequest,
    admit, gather, reading, routing, status::Elb,
};
use crate::{
    cluster::{LoadBalancer, Query, Resource},
    config::{GroupName, IngressSettings},
    domain::{DeploymentName, Namespace, Owner},
    engine::Site,
    error::Error,
};

/// Looks at how deployments are reached from outside. Nothing is changed, and nothing recorded.
///
/// ```no_run
/// use berth::{Berth, ingress::ValidateRequest};
///
/// # async fn example(berth: Berth) -> Result<(), berth::Error> {
/// let ingress = berth.ingress();
/// let status = ingress.status(None).await?;
/// println!("{} has {:?}", status.group, status.addresses);
///
/// let report = ingress.validate(&ValidateRequest::new("shop.deploy.example.com")?).await?;
/// for step in &report.steps {
///     println!("{step}");
/// }
/// report.result()
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct IngressManager {
    site: Site,
    settings: IngressSettings,
}

impl IngressManager {
    /// Returns a manager of this site's Ingresses.
    pub(crate) fn new(site: Site, settings: IngressSettings) -> Self {
        Self { site, settings }
    }

    /// How a group is, or the shared one. Two trips, unless something may not be looked at; its
    /// addresses are resolved from here.
    ///
    /// # Errors
    /// When the cluster can't be asked, or its Ingresses may not be listed.
    pub async fn status(&self, group: Option<&GroupName>) -> Result<GroupStatus, Error> {
        let group = group.unwrap_or(&self.settings.shared_group);
        let ingresses = Query::everywhere([Resource::INGRESSES]);
        let events = gather::events(&ingresses);
        let [controller, class] = gather::controller();
        let queries = [ingresses, controller, class, events];
        let found = gather::find(self.site.cluster(), &queries).await?;
        let mut status = GroupStatus::of(group, &found)?;
        status.resolved = Resolved::all(&status.addresses).await;
        self.add_load_balancers(&mut status).await;
        Ok(status)
    }

    /// Adds what the host's `aws` shows of the group's load balancers; what it fails to show of one in
    /// AWS is a note.
    async fn add_load_balancers(&self, status: &mut GroupStatus) {
        let Some(first) = status.addresses.first() else {
            return;
        };
        let region = Elb::of(first).map(|elb| elb.region);
        let note = match self.site.host().load_balancers(region).await {
            Ok(None) => return,
            Ok(Some(found)) => {
                let is_ours = |it: &LoadBalancer| {
                    let ours = status.addresses.iter();
                    ours.map(|address| Elb::of(address).map_or(address.as_str(), |elb| elb.name))
                        .any(|name| name.eq_ignore_ascii_case(&it.dns_name))
                };
                status.load_balancers = found.into_iter().filter(is_ours).collect();
                let is_known = !status.load_balancers.is_empty();
                (!is_known).then(|| format!("aws on the host knows no load balancer {first}"))
            }
            Err(error) => Some(error.to_string()),
        };
        // Of what is not in AWS it need not know anything.
        status.notes.extend(note.filter(|_| region.is_some()));
    }

    /// The Ingresses of all load balancers, of one namespace or group alone when they are named. The
    /// oldest comes first. One trip.
    ///
    /// # Errors
    /// When the cluster can't be asked, or its Ingresses may not be listed.
    pub async fn list(
        &self,
        namespace: Option<&Namespace>,
        group: Option<&GroupName>,
    ) -> Result<Vec<IngressEntry>, Error> {
        let found = self.site.cluster().find(&[ingresses(namespace)]).await?;
        let mut ingresses: Vec<Ingress> = found.of()?;
        reading::by_age(&mut ingresses);
        let wanted = ingresses.iter().filter(|it| {
            reading::is_alb(it) && group.is_none_or(|group| reading::group(it) == group.as_str())
        });
        Ok(wanted.map(IngressEntry::of).collect())
    }

    /// Follows the way from a host name to an answer, step by step, as far as it goes: two trips to the
    /// host, then questions to the DNS and the load balancer from here.
    ///
    /// # Errors
    /// When the cluster can't be asked. A way that is broken is in the report.
    pub async fn validate(&self, request: &ValidateRequest) -> Result<RoutingReport, Error> {
        let domain = self.settings.domain.as_ref();
        routing::validate(self.site.cluster(), request, domain).await
    }

    /// Checks whether the deployment `name` of `owner` can have the host name and the group that it
    /// asks for: one round trip for all Ingresses of the cluster.
    ///
    /// A user who may not list them all learns so from a note, and only the owner's namespace is
    /// checked; what the cluster itself refuses fails later.
    ///
    /// # Errors
    /// [`Error::HostTaken`] and [`Error::GroupConflict`], which name the Ingress in conflict; others when
    /// the cluster can't be asked.
    pub async fn admit(
        &self,
        owner: &Owner,
        name: &DeploymentName,
        exposure: &Exposure,
    ) -> Result<Admission, Error> {
        admit(&self.site, owner, name, exposure).await
    }
}

pub(super) fn ingresses(namespace: Option<&Namespace>) -> Query {
    let resources = [Resource::INGRESSES];
    match namespace {
        Some(namespace) => Query::in_namespace(resources, namespace),
        None => Query::everywhere(resources),
    }
}
