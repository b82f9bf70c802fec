//! Which project or namespace a deployment belongs to.

use k8s_openapi::api::core::v1::Namespace as NamespaceObject;

use super::DeploymentManager;
use crate::{
    cluster::Query,
    domain::{
        ANNOTATION_OWNER_ID, Invalid, LABEL_MANAGED_BY, LABEL_OWNER_KIND, MANAGED_BY, Namespace,
        Owner,
    },
    error::Error,
    store::DeploymentFilter,
};

/// Names the project or the namespace that a deployment belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// This project.
    Project(Owner),
    /// This namespace: one that berth created for a project, or any other that exists.
    Namespace(Namespace),
}

impl Target {
    /// Returns the namespace.
    #[must_use]
    pub fn namespace(&self) -> Namespace {
        match self {
            Self::Project(owner) => owner.namespace().clone(),
            Self::Namespace(namespace) => namespace.clone(),
        }
    }

    /// Returns the owner as far as the names tell, without asking the cluster: a namespace that is
    /// named as one of a project is taken for the project's.
    #[must_use]
    pub fn presumed_owner(&self) -> Owner {
        let namespace = match self {
            Self::Project(owner) => return owner.clone(),
            Self::Namespace(namespace) => namespace,
        };
        let id = namespace.as_str().strip_prefix("project-");
        id.and_then(|id| Owner::project(id).ok())
            .filter(|owner| owner.namespace() == namespace)
            .unwrap_or_else(|| Owner::of_namespace(namespace))
    }
}

impl DeploymentManager {
    /// Returns the owner of the deployments that are meant. One round trip when they are named by
    /// their namespace.
    ///
    /// # Errors
    /// [`Error::NoNamespace`] when there is no such namespace; [`Error::Invalid`] when it is one in
    /// which berth builds images.
    pub async fn resolve(&self, target: &Target) -> Result<Owner, Error> {
        let namespace = match target {
            Target::Project(owner) => return Ok(owner.clone()),
            Target::Namespace(namespace) => namespace,
        };
        let query = Query::namespace(namespace);
        let found = self.cluster().find(&[query]).await?;
        match found.of::<NamespaceObject>()?.pop() {
            Some(object) => Ok(owner_of(namespace, &object)?),
            None => self.recorded_owner(target).await,
        }
    }

    /// Returns the owner of deployments on record whose namespace is gone, so that they can be
    /// stopped, which deletes their records.
    async fn recorded_owner(&self, target: &Target) -> Result<Owner, Error> {
        let owner = target.presumed_owner();
        let filter = DeploymentFilter {
            owner: Some(owner.clone()),
            status: None,
        };
        if self
            .store()
            .list_deployments(filter)
            .await?
            .records
            .is_empty()
        {
            return Err(no_namespace(&owner));
        }
        Ok(owner)
    }
}

pub(super) fn no_namespace(owner: &Owner) -> Error {
    Error::NoNamespace {
        namespace: owner.namespace().to_string(),
    }
}

/// The project or conversation that berth created the namespace for; the namespace itself when
/// another tool created it.
fn owner_of(namespace: &Namespace, object: &NamespaceObject) -> Result<Owner, Invalid> {
    let labels = object.metadata.labels.as_ref();
    let label = |key: &str| {
        labels
            .and_then(|labels| labels.get(key))
            .map(String::as_str)
    };
    if label(LABEL_MANAGED_BY) != Some(MANAGED_BY) {
        return Ok(Owner::of_namespace(namespace));
    }
    let annotations = object.metadata.annotations.as_ref();
    let id = annotations.and_then(|all| all.get(ANNOTATION_OWNER_ID));
    let kind = label(LABEL_OWNER_KIND).and_then(|kind| kind.parse().ok());
    id.zip(kind)
        .and_then(|(id, kind)| Owner::new(kind, id).ok())
        .filter(|owner| owner.namespace() == namespace && owner.owns(labels))
        .ok_or_else(|| {
            Invalid::new(
                "owner",
                "",
                format!(
                    "is missing: namespace {namespace} is managed by berth and belongs to no project"
                ),
                "give the project's id, or another namespace",
            )
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn owner(name: &str, labels: &serde_json::Value, id: &str) -> Result<Owner, Invalid> {
        let object = serde_json::from_value(json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": name,
                "labels": labels,
                "annotations": { "berth.dev/owner-id": id },
            },
        }));
        owner_of(&name.parse().unwrap(), &object.unwrap())
    }

    #[test]
    fn a_namespace_belongs_to_the_project_it_was_created_for_or_to_itself() {
        let project = json!({
            "app.kubernetes.io/managed-by": "berth",
            "berth.dev/owner": "project-shop",
            "berth.dev/owner-kind": "project",
        });
        let shop = Owner::project("shop").unwrap();
        assert_eq!(owner("project-shop", &project, "shop"), Ok(shop));
        let by_hand = owner("team-a", &json!({ "team": "a" }), "").unwrap();
        assert_eq!(by_hand, Owner::of_namespace(&"team-a".parse().unwrap()));
        // A name alone makes no namespace a project's.
        let alike = owner("project-shop", &json!({}), "shop").unwrap();
        assert_eq!(alike.to_string(), "namespace project-shop");
        // The builder's namespace has credentials that no deployment may have.
        let builder = json!({ "app.kubernetes.io/managed-by": "berth" });
        assert!(owner("builder", &builder, "").is_err());
        assert!(owner("elsewhere", &project, "shop").is_err());
    }

    #[test]
    fn without_the_cluster_a_name_tells_what_it_can() {
        let presumed = |name: &str| Target::Namespace(name.parse().unwrap()).presumed_owner();
        assert_eq!(presumed("project-shop"), Owner::project("shop").unwrap());
        assert_eq!(presumed("team-a").to_string(), "namespace team-a");
        // No id gives this namespace.
        assert_eq!(
            presumed("project-a--b").to_string(),
            "namespace project-a--b"
        );
    }
}
