//! The manifest of a deployment's Ingress, for the AWS Load Balancer Controller.
//!
//! The annotations are those of
//! <https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/ingress/annotations/>.

use serde::Serialize;

use super::{Manifest, ManifestError, Templates, check::Expected, kinds::Kind, templates::BuiltIn};
use crate::{
    config::{GroupName, Listeners, Scheme},
    domain::{
        ANNOTATION_OWNER_ID, DeploymentName, HostName, LABEL_DEPLOYMENT, LABEL_MANAGED_BY,
        LABEL_NAME, MANAGED_BY, Owner,
    },
};

const INGRESS: &str = "ingress/ingress.yaml";

pub(super) const TEMPLATES: [BuiltIn; 1] = [(
    INGRESS,
    include_str!("../../../templates/ingress/ingress.yaml"),
)];

/// How a deployment is reached from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IngressSpec {
    /// Whose deployment it is.
    pub owner: Owner,
    /// The deployment's name, which its Service and its Ingress share.
    pub name: DeploymentName,
    /// The host name that is led to it.
    pub host: HostName,
    /// The group whose Ingresses share a load balancer.
    pub group: GroupName,
    /// Who can reach the load balancer.
    pub scheme: Scheme,
    /// What the load balancer listens to.
    pub listeners: Listeners,
    /// The certificates of HTTPS, with commas between several; with none, and without HTTPS, none is
    /// named.
    pub certificate_arn: Option<String>,
    /// What the load balancer asks a pod for to see whether it is well, such as `/health`.
    pub health_path: String,
    /// The port of the Service.
    pub service_port: u16,
}

impl IngressSpec {
    /// The class of Ingresses that the controller makes load balancers of.
    pub const CLASS: &str = "alb";
    /// What all annotations of the controller begin with.
    pub const PREFIX: &str = "alb.ingress.kubernetes.io";

    /// The annotation that tags what AWS has of this deployment, its target group, as key and value.
    ///
    /// It is the Service's: tags of an Ingress go to the load balancer too, and the controller refuses
    /// a group whose Ingresses have different ones (`conflicting tag`,
    /// <https://github.com/kubernetes-sigs/aws-load-balancer-controller/issues/1940>). Neither name can
    /// have a character that is not a tag's.
    #[must_use]
    pub fn service_tags(name: &DeploymentName, host: &HostName) -> (String, String) {
        let key = format!("{}/tags", Self::PREFIX);
        (key, format!("deployment={name},hostname={host}"))
    }
}

/// What `{{ … }}` can name in `templates/ingress/`.
#[derive(Debug, Serialize)]
struct IngressValues<'a> {
    name: &'a str,
    namespace: String,
    managed_by: &'static str,
    owner_id: &'a str,
    class: &'static str,
    group: &'a str,
    scheme: &'static str,
    /// JSON, as the annotation takes it.
    listen_ports: String,
    ssl_redirect: Option<String>,
    certificate_arn: Option<&'a str>,
    health_path: &'a str,
    host: &'a str,
    service_port: u16,
}

impl<'a> IngressValues<'a> {
    fn new(spec: &'a IngressSpec) -> Self {
        let ports = spec.listeners.ports();
        let entries: Vec<_> = ports
            .iter()
            .map(|(protocol, port)| format!("{{\"{protocol}\": {port}}}"))
            .collect();
        let certificate = spec.certificate_arn.as_deref();
        Self {
            name: spec.name.as_str(),
            namespace: spec.owner.namespace().to_string(),
            managed_by: MANAGED_BY,
            owner_id: spec.owner.id(),
            class: IngressSpec::CLASS,
            group: spec.group.as_str(),
            scheme: spec.scheme.as_str(),
            listen_ports: format!("[{}]", entries.join(", ")),
            ssl_redirect: spec.listeners.redirect().map(|port| port.to_string()),
            certificate_arn: certificate.filter(|_| spec.listeners.has_https()),
            health_path: &spec.health_path,
            host: spec.host.as_str(),
            service_port: spec.service_port,
        }
    }

    /// What deletes, and the comparison with the others of the group, rely on.
    fn expected(&self) -> Expected<'_> {
        let annotation = |suffix: &str| format!("{}/{suffix}", IngressSpec::PREFIX);
        let labels = [
            (LABEL_MANAGED_BY, self.managed_by),
            (LABEL_NAME, self.name),
            (LABEL_DEPLOYMENT, self.name),
        ];
        let annotations = [
            (ANNOTATION_OWNER_ID.to_owned(), self.owner_id),
            (annotation("group.name"), self.group),
            (annotation("scheme"), self.scheme),
            (annotation("listen-ports"), self.listen_ports.as_str()),
        ];
        let expected = Expected::new(Kind::Ingress, self.name, Some(&self.namespace))
            .labels(&["metadata"], labels)
            .field(&["spec", "ingressClassName"], self.class)
            .field(&["spec", "rules", "0", "host"], self.host);
        annotations.iter().fold(expected, |expected, (key, value)| {
            expected.field(&["metadata", "annotations", key], *value)
        })
    }
}

impl Templates {
    /// The manifest of a deployment's Ingress.
    ///
    /// # Errors
    /// When the template can't be filled in, or renders anything but the object that it must.
    pub fn ingress_manifest(&self, spec: &IngressSpec) -> Result<Manifest, ManifestError> {
        let values = IngressValues::new(spec);
        self.render(INGRESS, &values, &values.expected())
    }
}

#[cfg(test)]
mod tests;
