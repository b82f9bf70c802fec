//! How `kubectl` is called on the host.

use std::time::Duration;

use super::{reader::Reader, variables};

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

impl KubectlSettings {
    #[expect(clippy::unnecessary_wraps, reason = "all concerns are read alike")]
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let program = reader.text(&variables::K8S_KUBECTL).unwrap_or_default();
        // Words are split at spaces alone: a path with a space in it needs a link without one.
        let program: Vec<String> = program.split_whitespace().map(str::to_owned).collect();
        if let Some(word) = program
            .iter()
            .find(|word| word.contains(['\'', '"', '\\', '$', '`', ';', '|', '&', '<', '>']))
        {
            reader.refuse(
                &variables::K8S_KUBECTL,
                word,
                "has characters of a shell, and no shell reads it",
                "use plain words such as kubectl or sudo -n k3s kubectl",
            );
        }
        Some(Self {
            program,
            kubeconfig: reader.text(&variables::K8S_KUBECONFIG),
            context: reader.text(&variables::K8S_CONTEXT),
            node_address: reader.text(&variables::K8S_NODE_ADDRESS),
            ..Self::default()
        })
    }
}
