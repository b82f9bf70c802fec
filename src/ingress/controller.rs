//! Whether there is somebody who makes load balancers of Ingresses, and is well.

use k8s_openapi::api::{apps::v1::Deployment, networking::v1::IngressClass};
use serde::Serialize;

use super::gather::Found;
use crate::{cluster::ClusterError, domain::Image};

/// The controller that the class must name
/// (<https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/ingress/ingress_class/>).
const CONTROLLER: &str = "ingress.k8s.aws/alb";
/// What the class names where AWS runs the controller out of sight (EKS Auto Mode).
const AUTO_MODE: &str = "eks.amazonaws.com/alb";

/// Where the controller's installation is described.
const INSTALL: &str = "install it: \
    https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/deploy/installation/";

/// How the load balancers' controller is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ControllerState {
    /// It is there and at work.
    Healthy,
    /// It is there, and none of its pods is available.
    Unavailable,
    /// There is none.
    Absent,
    /// AWS runs it out of sight.
    AutoMode,
    /// It may not be looked at.
    Unknown,
}

/// The load balancers' controller, as the cluster shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Controller {
    /// How it is.
    pub state: ControllerState,
    /// The namespace of its Deployment.
    pub namespace: Option<String>,
    /// The name of its Deployment.
    pub name: Option<String>,
    /// The tag of its image.
    pub version: Option<String>,
    /// How many of its pods are available.
    pub available: i32,
    /// How many are wanted.
    pub wanted: i32,
    /// The controller that the `IngressClass` `alb` names, when there is that class.
    pub class: Option<String>,
}

impl Controller {
    pub(super) fn of(found: &Found) -> Result<Self, ClusterError> {
        let classes: Vec<IngressClass> = found.of()?;
        let may_look = found.notes.is_empty();
        Ok(Self::judge(&found.of()?, classes.first(), may_look))
    }

    /// `may_look`: whether what is not there is known not to be there.
    pub(super) fn judge(
        deployments: &[Deployment],
        class: Option<&IngressClass>,
        may_look: bool,
    ) -> Self {
        let class = class.map(|class| {
            let controller = class.spec.as_ref().and_then(|it| it.controller.clone());
            controller.unwrap_or_default()
        });
        let best = deployments.iter().max_by_key(|it| available(it));
        let state = match best {
            Some(deployment) if available(deployment) > 0 => ControllerState::Healthy,
            Some(_) => ControllerState::Unavailable,
            None if class.as_deref() == Some(AUTO_MODE) => ControllerState::AutoMode,
            None if may_look => ControllerState::Absent,
            None => ControllerState::Unknown,
        };
        let spec = best.and_then(|it| it.spec.as_ref());
        Self {
            state,
            namespace: best.and_then(|it| it.metadata.namespace.clone()),
            name: best.and_then(|it| it.metadata.name.clone()),
            version: best.and_then(version),
            available: best.map_or(0, available),
            wanted: spec.map_or(0, |spec| spec.replicas.unwrap_or(1)),
            class,
        }
    }

    /// Whether its class names a controller that makes load balancers.
    #[must_use]
    pub fn has_class(&self) -> bool {
        matches!(self.class.as_deref(), Some(CONTROLLER | AUTO_MODE))
    }

    /// What to do about it, when it does no work.
    #[must_use]
    pub fn remedy(&self) -> Option<String> {
        match self.state {
            ControllerState::Absent => Some(INSTALL.to_owned()),
            ControllerState::Unavailable => Some(format!(
                "read `kubectl logs -n {} deployment/{}`: it does not start without its CRDs, its \
                 webhook certificate or AWS credentials; until then no change reaches the load \
                 balancer",
                self.namespace.as_deref().unwrap_or_default(),
                self.name.as_deref().unwrap_or_default(),
            )),
            _ => None,
        }
    }

    /// How it is, as a phrase.
    #[must_use]
    pub fn phrase(&self) -> String {
        let version = self.version.as_deref().unwrap_or("of an unknown version");
        let place = format!(
            "{} in {}",
            self.name.as_deref().unwrap_or_default(),
            self.namespace.as_deref().unwrap_or_default(),
        );
        match self.state {
            ControllerState::Healthy | ControllerState::Unavailable => format!(
                "{place}, {version}, {} of {} available",
                self.available, self.wanted
            ),
            ControllerState::Absent => {
                "no Deployment has the label app.kubernetes.io/name=aws-load-balancer-controller"
                    .to_owned()
            }
            ControllerState::AutoMode => "run by AWS (EKS Auto Mode)".to_owned(),
            ControllerState::Unknown => "may not be looked at".to_owned(),
        }
    }
}

fn available(deployment: &Deployment) -> i32 {
    let status = deployment.status.as_ref();
    status.and_then(|it| it.available_replicas).unwrap_or(0)
}

fn version(deployment: &Deployment) -> Option<String> {
    let pod = deployment.spec.as_ref()?.template.spec.as_ref()?;
    let image: Image = pod.containers.first()?.image.as_ref()?.parse().ok()?;
    image.tag().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment(available: i32) -> Deployment {
        let image = "public.ecr.aws/eks/aws-load-balancer-controller:v2.13.4";
        serde_json::from_value(json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": { "name": "aws-load-balancer-controller", "namespace": "kube-system" },
            "spec": {
                "replicas": 2,
                "selector": {},
                "template": { "spec": { "containers": [{ "name": "controller", "image": image }] } },
            },
            "status": { "availableReplicas": available },
        }))
        .unwrap()
    }

    fn class(controller: &str) -> IngressClass {
        serde_json::from_value(json!({
            "apiVersion": "networking.k8s.io/v1",
            "kind": "IngressClass",
            "metadata": { "name": "alb" },
            "spec": { "controller": controller },
        }))
        .unwrap()
    }

    #[test]
    fn a_controller_with_an_available_pod_is_healthy() {
        let found = Controller::judge(&[deployment(0), deployment(1)], None, true);
        assert_eq!(found.state, ControllerState::Healthy);
        assert_eq!(
            found.phrase(),
            "aws-load-balancer-controller in kube-system, v2.13.4, 1 of 2 available"
        );
        assert!(!found.has_class());
        let down = Controller::judge(&[deployment(0)], Some(&class("ingress.k8s.aws/alb")), true);
        assert_eq!(down.state, ControllerState::Unavailable);
        let remedy = down.remedy().unwrap();
        assert!(
            remedy
                .contains("`kubectl logs -n kube-system deployment/aws-load-balancer-controller`")
                && remedy.contains("CRDs"),
            "{remedy}"
        );
        assert_eq!(found.remedy(), None);
        assert!(down.has_class());
    }

    #[test]
    fn what_may_not_be_looked_at_is_not_called_absent() {
        let state =
            |class: Option<&IngressClass>, may_look| Controller::judge(&[], class, may_look).state;
        assert_eq!(state(None, true), ControllerState::Absent);
        assert_eq!(state(None, false), ControllerState::Unknown);
        let auto = class("eks.amazonaws.com/alb");
        assert_eq!(state(Some(&auto), true), ControllerState::AutoMode);
    }

    #[test]
    fn a_class_of_another_controller_is_not_the_load_balancers() {
        let found = Controller::judge(&[], Some(&class("k8s.io/ingress-nginx")), true);
        assert!(!found.has_class());
        assert_eq!(found.class.as_deref(), Some("k8s.io/ingress-nginx"));
    }
}
