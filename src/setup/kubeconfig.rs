//! A kubeconfig for the host: looked at here first, then put in place.

use std::collections::BTreeSet;

use serde_json::Value;

use super::SetupManager;
use crate::{
    cluster::{InstalledKubeconfig, KubeconfigSource},
    domain::{Invalid, Operation, Workload, WorkloadKind},
    error::Error,
    secret::Secret,
};

/// The path at which kubectl looks by itself.
pub const DEFAULT_KUBECONFIG: &str = "~/.kube/config";

/// A kubeconfig that kubectl can read, and what is to be said of it.
#[derive(Debug, Clone)]
pub struct Kubeconfig {
    text: Secret<String>,
    warnings: Vec<String>,
}

impl Kubeconfig {
    /// Looks at the text. Follows
    /// <https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/>.
    ///
    /// # Errors
    /// When it is no kubeconfig, or its current context does not lead to a cluster and a user.
    pub fn new(text: Secret<String>) -> Result<Self, Invalid> {
        let config: Value = serde_saphyr::from_str(text.expose())
            .map_err(|_| refused("", "is not YAML", "check that this is the right file"))?;
        if config.get("kind").and_then(Value::as_str) != Some("Config") {
            return Err(refused(
                "",
                "is not of kind Config",
                "check that this is the right file",
            ));
        }
        let current = config.get("current-context").and_then(Value::as_str);
        let Some(current) = current.filter(|current| !current.is_empty()) else {
            return Err(refused(
                "",
                "has no current context",
                "choose one with `kubectl config use-context`",
            ));
        };
        let context = named(&config, "contexts", current, "context")?;
        let of = |key| context.get(key).and_then(Value::as_str).unwrap_or_default();
        let cluster = named(&config, "clusters", of("cluster"), "cluster")?;
        let user = named(&config, "users", of("user"), "user")?;
        if cluster.get("server").and_then(Value::as_str).is_none() {
            return Err(refused(
                of("cluster"),
                "has no server",
                "add the API server's URL",
            ));
        }
        let warnings = warnings(cluster, user);
        Ok(Self { text, warnings })
    }

    /// What a person should know before it is used.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The kubeconfig as the host gets it.
    #[must_use]
    pub fn into_source(self) -> KubeconfigSource {
        KubeconfigSource::Text(self.text)
    }
}

impl SetupManager {
    /// Replaces the host's kubeconfig, of which a copy is kept. Without a path it is the one of the
    /// settings, and without that [`DEFAULT_KUBECONFIG`].
    ///
    /// # Errors
    /// When its API server can't be reached from the host with it, or refuses its credentials; the
    /// host's kubeconfig is then unchanged.
    pub async fn kubeconfig(
        &self,
        path: Option<&str>,
        source: &KubeconfigSource,
    ) -> Result<InstalledKubeconfig, Error> {
        let path = path.or(self.kubeconfig.as_deref());
        let path = path.unwrap_or(DEFAULT_KUBECONFIG);
        if path.is_empty() || path.ends_with('/') || path.contains(['\0', '\n']) {
            return Err(refused(path, "is no path of a file", "name the file on the host").into());
        }
        let file = Workload::unowned(WorkloadKind::Kubeconfig, Some(path.to_owned()));
        let site = &self.site;
        let running = site.begin(Operation::SetUp, file).await?;
        let done = site.host().install_kubeconfig(path, source).await;
        running.end(done.map_err(Error::from), |_| None).await
    }
}

/// The entry of this name in a list of the kubeconfig.
fn named<'a>(config: &'a Value, list: &str, name: &str, what: &str) -> Result<&'a Value, Invalid> {
    let entries = config.get(list).and_then(Value::as_array);
    entries
        .into_iter()
        .flatten()
        .find(|entry| entry.get("name").and_then(Value::as_str) == Some(name))
        .and_then(|entry| entry.get(what))
        .ok_or_else(|| {
            refused(
                name,
                format!("names a {what} that it does not have"),
                "export it with `kubectl config view --minify --flatten --raw`",
            )
        })
}

fn warnings(cluster: &Value, user: &Value) -> Vec<String> {
    let mut warnings = Vec::new();
    if cluster.get("insecure-skip-tls-verify") == Some(&Value::Bool(true)) {
        warnings.push("it does not check the API server's certificate".to_owned());
    }
    let files: BTreeSet<_> = [cluster, user]
        .into_iter()
        .flat_map(|part| {
            [
                "certificate-authority",
                "client-certificate",
                "client-key",
                "tokenFile",
            ]
            .into_iter()
            .filter_map(|key| part.get(key).and_then(Value::as_str))
        })
        .collect();
    for file in files {
        warnings.push(format!("it needs the file {file} on the host"));
    }
    let program = user.pointer("/exec/command").and_then(Value::as_str);
    if let Some(program) = program {
        warnings.push(format!("it needs the program {program} on the host"));
    }
    warnings
}

fn refused(value: &str, problem: impl Into<String>, remedy: &str) -> Invalid {
    Invalid::new("kubeconfig", value, problem, remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
        contexts: [{name: c, context: {cluster: k, user: u}}]\n\
        clusters: [{name: k, cluster: {server: 'https://a:6443', insecure-skip-tls-verify: true}}]\n\
        users: [{name: u, user: {client-key: /k.pem, exec: {command: aws}, token: hunter2}}]\n";

    fn refusal(text: &str) -> String {
        let error = Kubeconfig::new(text.to_owned().into()).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
        error.to_string()
    }

    #[test]
    fn what_the_host_must_have_is_told() {
        let config = Kubeconfig::new(GOOD.to_owned().into()).unwrap();
        assert_eq!(
            config.warnings(),
            [
                "it does not check the API server's certificate",
                "it needs the file /k.pem on the host",
                "it needs the program aws on the host",
            ]
        );
        assert!(!format!("{config:?}").contains("hunter2"));
    }

    #[test]
    fn what_leads_nowhere_is_refused() {
        insta::assert_snapshot!(refusal("a: [hunter2"), @"kubeconfig is not YAML");
        insta::assert_snapshot!(refusal("kind: Pod"), @"kubeconfig is not of kind Config");
        insta::assert_snapshot!(refusal(&GOOD.replace("current-context: c", "x: y")), @"kubeconfig has no current context");
        insta::assert_snapshot!(refusal(&GOOD.replace("current-context: c", "current-context: d")), @r#"kubeconfig "d" names a context that it does not have"#);
        insta::assert_snapshot!(refusal(&GOOD.replace("user: u}", "user: v}")), @r#"kubeconfig "v" names a user that it does not have"#);
        insta::assert_snapshot!(refusal(&GOOD.replace("server:", "sever:")), @r#"kubeconfig "k" has no server"#);
    }
}
