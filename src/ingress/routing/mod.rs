//! The way from a host name to an answer, step by step: the cluster's part of it, the DNS, and what the
//! load balancer says.
//!
//! Each step is decided by a function of what was seen, without I/O; what is seen is asked for here. A
//! broken step ends the way where the later ones could say nothing of their own.

mod answer;
mod balancer;
mod dns;
mod probe;
mod report;
mod request;
mod rule;
mod service;

use chrono::Utc;
use k8s_openapi::api::{
    core::v1::{Event, Pod, Service},
    discovery::v1::EndpointSlice,
    networking::v1::Ingress,
};

use self::{balancer::Balancer, probe::Probe, rule::Backend};
pub use self::{
    report::{RoutingReport, RoutingStep, Rung, StepState},
    request::ValidateRequest,
};
use super::{Controller, gather, manager, reading, resolved::look_up};
use crate::{
    cluster::{Client, Query, Resource},
    domain::{HostName, Namespace},
    error::Error,
    tls,
};

/// Follows the way that is asked for; `domain` is the one below which each project has its name.
pub(super) async fn validate(
    cluster: &Client,
    request: &ValidateRequest,
    domain: Option<&HostName>,
) -> Result<RoutingReport, Error> {
    let mut report = RoutingReport {
        host: request.host.clone(),
        path: request.path.clone(),
        steps: Vec::new(),
        notes: Vec::new(),
    };
    if let Some((balancer, is_ready)) = in_cluster(cluster, request, &mut report).await? {
        from_here(request, domain, &balancer, is_ready, &mut report).await?;
    }
    Ok(report)
}

/// The cluster's part of the way. The load balancer when there is one, and whether there is something
/// behind it that can answer.
async fn in_cluster(
    cluster: &Client,
    request: &ValidateRequest,
    report: &mut RoutingReport,
) -> Result<Option<(Balancer, bool)>, Error> {
    let ingresses = manager::ingresses(request.namespace.as_ref());
    let events = gather::events(&ingresses);
    let [controller, class] = gather::controller();
    let found = gather::find(cluster, &[ingresses, controller, class, events]).await?;
    report.notes.clone_from(&found.notes);
    let mut ingresses: Vec<Ingress> = found.of()?;
    reading::by_age(&mut ingresses);

    let (step, chosen) = rule::ingress(&request.host, &ingresses);
    report.steps.push(step);
    let Some(chosen) = chosen else {
        return Ok(None);
    };
    let (step, backend) = rule::path(chosen, &request.path);
    report.steps.push(step);
    let Some(backend) = backend else {
        return Ok(None);
    };
    let Some(is_ready) = behind(cluster, chosen.ingress, &backend, report).await? else {
        return Ok(None);
    };
    let events: Vec<Event> = found.of()?;
    let controller = Controller::of(&found)?;
    let step = balancer::controller(&controller, chosen.ingress, &events);
    report.steps.push(step);
    let (step, balancer) = balancer::address(chosen.ingress, Utc::now());
    report.steps.push(step);
    Ok(balancer.map(|balancer| (balancer, is_ready)))
}

/// The Service and its pods. None when there is no such Service, else whether a pod is ready.
async fn behind(
    cluster: &Client,
    ingress: &Ingress,
    backend: &Backend,
    report: &mut RoutingReport,
) -> Result<Option<bool>, Error> {
    let Backend::Service { name, port } = backend else {
        return Ok(Some(true));
    };
    let namespace: Namespace = reading::namespace(ingress).parse()?;
    let found = gather::find(cluster, &behind_queries(&namespace, name)).await?;
    report.notes.extend(found.notes.iter().cloned());
    let services: Vec<Service> = found.of()?;
    let service = services.first();
    let (step, port) = service::service(ingress, name, port, service);
    report.steps.push(step);
    let (Some(service), Some(port)) = (service, port) else {
        return Ok(None);
    };
    let slices: Vec<EndpointSlice> = found.of()?;
    let pods: Vec<Pod> = found.of()?;
    let (step, is_ready) = service::endpoints(service, port, &slices, &pods);
    report.steps.push(step);
    Ok(Some(is_ready))
}

fn behind_queries(namespace: &Namespace, service: &str) -> [Query; 3] {
    let of = |resource| Query::in_namespace([resource], namespace);
    [
        of(Resource::SERVICES).named(service),
        of(Resource::ENDPOINT_SLICES).labelled(format!("kubernetes.io/service-name={service}")),
        of(Resource::PODS),
    ]
}

/// The DNS and the answers, asked from here. Without anything that could answer, nothing is asked.
async fn from_here(
    request: &ValidateRequest,
    domain: Option<&HostName>,
    balancer: &Balancer,
    is_ready: bool,
    report: &mut RoutingReport,
) -> Result<(), Error> {
    let host = [request.host.to_string()];
    let (host_leads, balancer_leads) = tokio::join!(
        look_up(&host, request.time_limit),
        look_up(&balancer.points, request.time_limit),
    );
    let step = dns::dns(
        &request.host,
        domain,
        balancer,
        &host_leads,
        &balancer_leads,
    );
    let dns_is_good = step.state != StepState::Fail;
    report.steps.push(step);
    let Some(addresses) = balancer_leads.ok().filter(|_| is_ready) else {
        return Ok(());
    };
    let probe = Probe {
        host: &request.host,
        path: &request.path,
        balancer,
        tls: trust().await?,
        time_limit: request.time_limit,
    };
    let step = answer::answer(Rung::Answer, balancer, &probe.ask(&addresses).await);
    let is_answered = step.state != StepState::Fail;
    report.steps.push(step);
    if let Some(addresses) = host_leads.ok().filter(|_| dns_is_good && is_answered) {
        let heard = probe.ask(&addresses).await;
        report
            .steps
            .push(answer::answer(Rung::AnswerByDns, balancer, &heard));
    }
    Ok(())
}

/// The operating system's certificates are many files.
async fn trust() -> Result<rustls::ClientConfig, Error> {
    let read = tokio::task::spawn_blocking(|| tls::client_config(&[])).await;
    match read {
        Ok(Ok(config)) => Ok(config),
        Ok(Err(error)) => Err(Error::Tls(error.to_string())),
        Err(error) => Err(Error::Tls(error.to_string())),
    }
}
