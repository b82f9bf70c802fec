//! How kubectl is called on the host: the settings, and the command line that they give.

use std::{fmt, time::Duration};

use berth_ssh::Command;

/// The command that is `kubectl` on the host, and what it is told about the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubectlSettings {
    /// The program and its first words, such as `sudo -n k3s kubectl`. Never empty.
    pub program: Vec<String>,
    /// `--kubeconfig`, a path on the host.
    pub kubeconfig: Option<String>,
    /// `--context`.
    pub context: Option<String>,
    /// The address at which node ports are reached, in place of the node's own.
    pub node_address: Option<String>,
    /// The longest that one short call may take, the connection included: 1 min. Watches, logs and
    /// commands in pods have bounds of their own.
    pub call_limit: Duration,
}

/// Plain `kubectl`, which finds everything else out by itself.
impl Default for KubectlSettings {
    fn default() -> Self {
        Self {
            program: vec!["kubectl".to_owned()],
            kubeconfig: None,
            context: None,
            node_address: None,
            call_limit: Duration::from_mins(1),
        }
    }
}

/// What decides which cluster kubectl talks to: its command, kubeconfig and context.
impl fmt::Display for KubectlSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.program.join(" "))?;
        if let Some(kubeconfig) = &self.kubeconfig {
            write!(f, " --kubeconfig={kubeconfig}")?;
        }
        match &self.context {
            Some(context) => write!(f, " --context={context}"),
            None => Ok(()),
        }
    }
}

impl KubectlSettings {
    /// kubectl with these arguments.
    pub(crate) fn kubectl<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> Command {
        self.kubectl_after(Command::new(Vec::<String>::new()), words)
    }

    /// These words, and then kubectl with these arguments.
    pub(super) fn kubectl_after<'a>(
        &self,
        before: Command,
        words: impl IntoIterator<Item = &'a str>,
    ) -> Command {
        let mut command = before.args(self.program.iter().cloned());
        if let Some(path) = &self.kubeconfig {
            // No shell expands `~` in a quoted word; a session starts in the home directory.
            let path = path.strip_prefix("~/").unwrap_or(path);
            command = command.arg(format!("--kubeconfig={path}"));
        }
        if let Some(context) = &self.context {
            command = command.arg(format!("--context={context}"));
        }
        command.args(words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_words_and_nothing_else() {
        let settings = KubectlSettings {
            program: ["sudo", "-n", "k3s", "kubectl"].map(str::to_owned).to_vec(),
            kubeconfig: Some("~/my config; reboot".into()),
            context: Some("$(id) 'x'".into()),
            ..KubectlSettings::default()
        };
        insta::assert_snapshot!(settings.kubectl(["get", "pods"]), @r#"sudo -n k3s kubectl '--kubeconfig=my config; reboot' '--context=$(id) '"'"'x'"'" get pods"#);
        insta::assert_snapshot!(KubectlSettings::default().kubectl(["version"]), @"kubectl version");
    }
}
