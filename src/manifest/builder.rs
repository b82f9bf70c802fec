//! The manifests of the place where images are built: namespace, service account, credentials.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Serialize;

use super::{Manifest, ManifestError, Templates, check::Expected, kinds::Kind, templates::BuiltIn};
use crate::{
    domain::{
        ANNOTATION_ROLE, AWS_CREDENTIALS, BUILDER_ACCOUNT, LABEL_MANAGED_BY, MANAGED_BY, Namespace,
        REGISTRY_CREDENTIALS,
    },
    secret::Secret,
};

const NAMESPACE: &str = "build/builder-namespace.yaml";
const ACCOUNT: &str = "build/service-account.yaml";
const AWS: &str = "build/aws-credentials.yaml";
const REGISTRY: &str = "build/registry-credentials.yaml";

pub(super) const TEMPLATES: [BuiltIn; 4] = [
    (
        NAMESPACE,
        include_str!("../../templates/build/builder-namespace.yaml"),
    ),
    (
        ACCOUNT,
        include_str!("../../templates/build/service-account.yaml"),
    ),
    (
        AWS,
        include_str!("../../templates/build/aws-credentials.yaml"),
    ),
    (
        REGISTRY,
        include_str!("../../templates/build/registry-credentials.yaml"),
    ),
];

/// What `berth setup-builder` puts into the builder's namespace.
#[derive(Debug)]
pub(crate) struct BuilderSpec {
    /// The namespace.
    pub namespace: Namespace,
    /// The files `credentials` and `config` of the AWS CLI.
    pub aws: Option<[Secret<String>; 2]>,
    /// Docker's `config.json`.
    pub docker_config: Option<Secret<String>>,
    /// The IAM role of the pods that build.
    pub role_arn: Option<String>,
}

#[derive(Serialize)]
struct Values<'a> {
    namespace: &'a str,
    managed_by: &'static str,
    service_account: &'static str,
    role_arn: Option<&'a str>,
}

#[derive(Serialize)]
struct SecretValues<'a> {
    name: &'static str,
    namespace: &'a str,
    managed_by: &'static str,
    /// Base64, as a Secret's `data` is.
    credentials: String,
    config: String,
    docker_config: String,
}

impl Templates {
    /// The manifests of the place where images are built, in the order in which they are applied.
    ///
    /// # Errors
    /// When a template can't be filled in, or renders anything but the object that it must.
    pub(crate) fn builder_manifests(
        &self,
        spec: &BuilderSpec,
    ) -> Result<Vec<Manifest>, ManifestError> {
        let namespace = spec.namespace.as_str();
        let values = Values {
            namespace,
            managed_by: MANAGED_BY,
            service_account: BUILDER_ACCOUNT,
            role_arn: spec.role_arn.as_deref(),
        };
        let mut account = marked(Kind::ServiceAccount, BUILDER_ACCOUNT, Some(namespace));
        if let Some(role_arn) = values.role_arn {
            account = account.field(&["metadata", "annotations", ANNOTATION_ROLE], role_arn);
        }
        let mut manifests = vec![
            self.render(
                NAMESPACE,
                &values,
                &marked(Kind::Namespace, namespace, None),
            )?,
            self.render(ACCOUNT, &values, &account)?,
        ];
        let encoded = |text: &Secret<String>| STANDARD.encode(text.expose());
        let mut secret = SecretValues {
            name: AWS_CREDENTIALS,
            namespace,
            managed_by: MANAGED_BY,
            credentials: String::new(),
            config: String::new(),
            docker_config: String::new(),
        };
        if let Some([credentials, config]) = &spec.aws {
            secret.credentials = encoded(credentials);
            secret.config = encoded(config);
            let expected = marked(Kind::Secret, AWS_CREDENTIALS, Some(namespace)).secret_field(
                &["data", "credentials"],
                secret.credentials.as_str(),
                "{{ credentials }}",
            );
            manifests.push(self.render(AWS, &secret, &expected)?);
        }
        if let Some(config) = &spec.docker_config {
            secret.name = REGISTRY_CREDENTIALS;
            secret.docker_config = encoded(config);
            let expected = marked(Kind::Secret, REGISTRY_CREDENTIALS, Some(namespace))
                .secret_field(
                    &["data", ".dockerconfigjson"],
                    secret.docker_config.as_str(),
                    "{{ docker_config }}",
                )
                .field(&["type"], "kubernetes.io/dockerconfigjson");
            manifests.push(self.render(REGISTRY, &secret, &expected)?);
        }
        Ok(manifests)
    }
}

fn marked<'a>(kind: Kind, name: &'a str, namespace: Option<&'a str>) -> Expected<'a> {
    Expected::new(kind, name, namespace).labels(&["metadata"], [(LABEL_MANAGED_BY, MANAGED_BY)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_builds_has_a_namespace_an_account_and_its_credentials() {
        let secret = |text: &str| Secret::new(text.to_owned());
        let spec = BuilderSpec {
            namespace: "builder".parse().unwrap(),
            aws: Some([
                secret("[default]\nhunter2\n"),
                secret("[default]\nregion = a\n"),
            ]),
            docker_config: Some(secret("{\"auths\":{}}")),
            role_arn: None,
        };
        let manifests = Templates::built_in()
            .unwrap()
            .builder_manifests(&spec)
            .unwrap();
        let shown: Vec<_> = manifests.iter().map(|it| it.text().into_owned()).collect();
        insta::assert_snapshot!(shown.join("---\n"), @r#"
apiVersion: v1
kind: Namespace
metadata:
  name: "builder"
  labels:
    app.kubernetes.io/managed-by: "berth"
    berth.dev/builder: "true"
---
apiVersion: v1
kind: ServiceAccount
metadata:
  name: "builder"
  namespace: "builder"
  labels:
    app.kubernetes.io/managed-by: "berth"
# What builds an image needs nothing of the cluster.
automountServiceAccountToken: false
---
apiVersion: v1
kind: Secret
metadata:
  name: aws-credentials
  namespace: builder
# its values are not shown
---
apiVersion: v1
kind: Secret
metadata:
  name: registry-credentials
  namespace: builder
# its values are not shown
"#);
        let aws = &manifests[2].object()["data"]["credentials"];
        assert_eq!(aws, &STANDARD.encode("[default]\nhunter2\n"));
        assert!(!format!("{manifests:?}").contains(aws.as_str().unwrap()));
        let docker = &manifests[3].object()["data"][".dockerconfigjson"];
        assert_eq!(docker, &STANDARD.encode("{\"auths\":{}}"));
    }

    #[test]
    fn without_credentials_there_are_namespace_and_account_alone() {
        let spec = BuilderSpec {
            namespace: "builder".parse().unwrap(),
            aws: None,
            docker_config: None,
            role_arn: None,
        };
        let templates = Templates::built_in().unwrap();
        assert_eq!(templates.builder_manifests(&spec).unwrap().len(), 2);
        let role = "arn:aws:iam::123456789012:role/builder";
        let spec = BuilderSpec {
            role_arn: Some(role.to_owned()),
            ..spec
        };
        let manifests = templates.builder_manifests(&spec).unwrap();
        let annotations = &manifests[1].object()["metadata"]["annotations"];
        assert_eq!(annotations[ANNOTATION_ROLE], role);
    }
}
