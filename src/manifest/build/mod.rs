//! The manifests of a build: its Job, the context that it is made from, and a git repository's token.

mod values;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};

use self::values::{ContextValues, JobValues, RegistryCaValues, TokenValues};
use super::{Manifest, ManifestError, Templates, check::Expected, kinds::Kind, templates::BuiltIn};
use crate::{
    domain::{BuildId, Image, LABEL_MANAGED_BY, MANAGED_BY, Namespace, Platform, Resources},
    secret::Secret,
};

const JOB: &str = "build/job.yaml";
const CONTEXT: &str = "build/context.yaml";
const GIT_TOKEN: &str = "build/git-token.yaml";

const REGISTRY_CA: &str = "build/registry-ca.yaml";

pub(super) const TEMPLATES: [BuiltIn; 4] = [
    (
        REGISTRY_CA,
        include_str!("../../../templates/build/registry-ca.yaml"),
    ),
    (JOB, include_str!("../../../templates/build/job.yaml")),
    (
        CONTEXT,
        include_str!("../../../templates/build/context.yaml"),
    ),
    (
        GIT_TOKEN,
        include_str!("../../../templates/build/git-token.yaml"),
    ),
];

/// The container that builds.
pub(crate) const BUILD_CONTAINER: &str = "build";

/// The image that is built.
pub(crate) const ANNOTATION_IMAGE: &str = "berth.dev/image";
/// What it is built from, for people.
pub(crate) const ANNOTATION_SOURCE: &str = "berth.dev/source";
/// The whole hash of a build's context, which is too long for a label.
pub(crate) const ANNOTATION_CONTEXT_HASH: &str = "berth.dev/context-hash";
/// When a context was last asked for.
pub(crate) const ANNOTATION_USED_AT: &str = "berth.dev/used-at";

/// Where things are in a build's containers.
pub(crate) mod paths {
    /// The context: `context.tar.gz`, or the folder `source`.
    pub(crate) const CONTEXT: &str = "/context";
    /// The token of a git repository, as the file `token`.
    pub(crate) const GIT_TOKEN: &str = "/var/run/secrets/berth/git";
    /// The certificates of the registry's authorities, as the file `ca.crt`.
    pub(crate) const REGISTRY_CA: &str = "/var/run/secrets/berth/registry-ca";
    /// AWS credentials: the files `credentials` and `config`.
    pub(crate) const AWS: &str = "/var/run/secrets/berth/aws";
}

/// A container of a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BuildContainer {
    /// Its name.
    pub name: &'static str,
    /// Its image.
    pub image: Image,
    /// What runs in place of the image's entrypoint; nothing to leave that as it is.
    pub command: Vec<String>,
    /// What it is given.
    pub arguments: Vec<String>,
    /// Its variables. Nothing secret: they can be read in the Job.
    pub environment: Vec<(&'static str, String)>,
}

/// What a build's Job is to be.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct BuildRender<'a> {
    /// Its name, and its pod's label.
    pub id: &'a BuildId,
    /// Where it runs.
    pub namespace: &'a Namespace,
    /// What it pushes.
    pub image: &'a Image,
    /// What it is built from, for people.
    pub source: &'a str,
    /// The context's hash, when there is one.
    pub context_hash: Option<String>,
    /// The `ConfigMap` with the context; without one the context is a volume that `init` fills.
    pub context_config_map: Option<String>,
    /// The `ConfigMap` of [`Templates::registry_ca_manifest`], when there is one.
    pub registry_ca: Option<String>,
    /// What runs before the build.
    pub init: Option<BuildContainer>,
    /// What builds.
    pub build: BuildContainer,
    /// Whether the builder runs as a user of its own, in namespaces of its own.
    pub rootless: bool,
    /// Where the registry's credentials are for the builder.
    pub docker_config_path: &'a str,
    /// A folder that the builder may write to, when it needs one.
    pub work_path: Option<&'a str>,
    /// Whether `init` is given the token of [`Templates::git_token_manifest`].
    pub has_token: bool,
    /// The platform that the image is for; its node is of that architecture.
    pub platform: Option<&'a Platform>,
    /// What each container may use.
    pub resources: &'a Resources,
    /// The longest that it may take, in seconds.
    pub deadline_seconds: u64,
    /// How long the Job stays once it has ended, in seconds.
    pub keep_seconds: u64,
}

/// A context that fits a `ConfigMap`.
#[derive(Clone, Copy)]
pub(crate) struct ContextRender<'a> {
    /// The `ConfigMap`'s name.
    pub name: &'a str,
    /// Where it is.
    pub namespace: &'a Namespace,
    /// The whole hash.
    pub hash: &'a str,
    /// The packed bytes.
    pub archive: &'a [u8],
    /// When it is asked for.
    pub used_at: DateTime<Utc>,
}

impl Templates {
    /// The manifest of a build's Job.
    ///
    /// # Errors
    /// When the template can't be filled in, or renders anything but the Job that it must.
    pub(crate) fn build_manifest(
        &self,
        render: &BuildRender<'_>,
    ) -> Result<Manifest, ManifestError> {
        let values = JobValues::new(render);
        let expected = Expected::new(Kind::Job, &values.name, Some(&values.namespace));
        let labels = values::pairs(&values.labels);
        let pod = ["spec", "template", "spec"];
        let container = [pod.as_slice(), &["containers", "0"]].concat();
        let expected = expected
            .labels(&["metadata"], labels.clone())
            .labels(&["spec", "template", "metadata"], labels)
            .field(&["spec", "backoffLimit"], 0)
            .field(&["spec", "activeDeadlineSeconds"], values.deadline_seconds)
            .field(&[pod.as_slice(), &["restartPolicy"]].concat(), "Never")
            .field(
                &[pod.as_slice(), &["automountServiceAccountToken"]].concat(),
                false,
            )
            .field(&[container.as_slice(), &["name"]].concat(), BUILD_CONTAINER)
            .field(
                &[container.as_slice(), &["args"]].concat(),
                values.build.arguments.clone(),
            );
        self.render(JOB, &values, &expected)
    }

    /// The manifest of a context. Equal contexts have equal manifests, but for the time.
    ///
    /// # Errors
    /// As [`Templates::build_manifest`].
    pub(crate) fn context_manifest(
        &self,
        render: &ContextRender<'_>,
    ) -> Result<Manifest, ManifestError> {
        let values = ContextValues::new(render);
        let expected = Expected::new(Kind::ConfigMap, values.name, Some(&values.namespace))
            .labels(&["metadata"], values::pairs(&values.labels))
            .field(&["immutable"], true)
            // Too long for a message.
            .secret_field(
                &["binaryData", "context.tar.gz"],
                values.archive.as_str(),
                "{{ archive }}",
            );
        self.render(CONTEXT, &values, &expected)
    }

    /// The manifest of the certificates that the builder trusts for the registry.
    ///
    /// # Errors
    /// As [`Templates::build_manifest`].
    pub(crate) fn registry_ca_manifest(
        &self,
        name: &str,
        namespace: &Namespace,
        certificates: &str,
    ) -> Result<Manifest, ManifestError> {
        let values = RegistryCaValues {
            name,
            namespace: namespace.to_string(),
            managed_by: MANAGED_BY,
            certificates,
        };
        let expected = Expected::new(Kind::ConfigMap, name, Some(&values.namespace))
            .labels(&["metadata"], [(LABEL_MANAGED_BY, MANAGED_BY)])
            .field(&["data", "ca.crt"], certificates);
        self.render(REGISTRY_CA, &values, &expected)
    }

    /// The manifest of a git repository's token for one build. With the Job's uid, the Secret is the
    /// Job's and goes with it.
    ///
    /// # Errors
    /// As [`Templates::build_manifest`].
    pub(crate) fn git_token_manifest(
        &self,
        id: &BuildId,
        namespace: &Namespace,
        token: &Secret<String>,
        job_uid: Option<&str>,
    ) -> Result<Manifest, ManifestError> {
        let encoded = Secret::new(STANDARD.encode(token.expose()));
        let values = TokenValues::new(id, namespace, encoded.expose(), job_uid);
        let expected = Expected::new(Kind::Secret, &values.name, Some(&values.namespace))
            .labels(&["metadata"], values::pairs(&values.labels))
            .secret_field(&["data", "token"], encoded.expose().as_str(), "{{ token }}");
        self.render(GIT_TOKEN, &values, &expected)
    }
}

/// The name of the Secret with the token for a build's git repository.
#[must_use]
pub(crate) fn git_token_name(build: &str) -> String {
    format!("{build}-git")
}
