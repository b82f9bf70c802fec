//! From settings to command lines: kubectl's own words come first.

use crate::{config::KubectlSettings, ssh::Command};

impl KubectlSettings {
    /// kubectl with these arguments.
    pub(super) fn kubectl<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> Command {
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
