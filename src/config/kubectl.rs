//! How the settings of `kubectl` on the host are read.

use super::{
    host,
    reader::{IN_QUOTES, Reader},
    variables,
};
use crate::cluster::kubectl::KubectlSettings;

/// The settings of kubectl.
#[expect(clippy::unnecessary_wraps, reason = "all concerns are read alike")]
pub(super) fn read(reader: &mut Reader<'_>) -> Option<KubectlSettings> {
    let program = reader
        .quoted_text(&variables::K8S_KUBECTL)
        .unwrap_or_default();
    let program = read_program(&program).unwrap_or_else(|(word, problem, remedy)| {
        reader.refuse(&variables::K8S_KUBECTL, &word, problem, remedy);
        Vec::new()
    });
    Some(KubectlSettings {
        program,
        kubeconfig: reader.text(&variables::K8S_KUBECONFIG),
        context: reader.text(&variables::K8S_CONTEXT),
        node_address: node_address(reader),
        ..KubectlSettings::default()
    })
}

/// The words of a command, with quotes as a POSIX shell reads them and without anything else that a
/// shell does: a word, what is wrong with it, and what to write in its place when that is asked for.
fn read_program(text: &str) -> Result<Vec<String>, (String, &'static str, &'static str)> {
    const SHELL: [char; 7] = ['$', '`', ';', '|', '&', '<', '>'];
    let Some(words) = shlex::split(text) else {
        return Err((
            text.to_owned(),
            "has a quote without its end",
            "quote a path with spaces as a shell does: '/opt/my tools/kubectl'",
        ));
    };
    if words.first().is_none_or(String::is_empty) {
        return Err((text.to_owned(), "names no program", "such as kubectl"));
    }
    // A path may have a space in it; a command line has been put in quotes by mistake.
    if let [word] = words.as_slice()
        && word.contains(char::is_whitespace)
        && !word.starts_with(['/', '.', '~'])
    {
        return Err((text.to_owned(), IN_QUOTES.0, IN_QUOTES.1));
    }
    // A word that stands in the text as it is has no quotes around it.
    let is_bare = |word: &String| text.split_whitespace().any(|part| part == word);
    if let Some(word) = words
        .iter()
        .find(|word| is_bare(word) && word.contains(SHELL))
    {
        return Err((
            word.clone(),
            "contains shell syntax, which is not supported",
            "use plain words such as kubectl or sudo -n k3s kubectl, and quote what is no more than text",
        ));
    }
    if let Some(word) = words.first().filter(|word| word.contains('=')) {
        return Err((
            word.clone(),
            "sets a variable, which is not supported",
            "name a kubeconfig with K8S_KUBECONFIG, or begin with env: env NAME=VALUE kubectl",
        ));
    }
    if let Some(word) = words
        .iter()
        .find(|word| word.starts_with('~') && !is_in_home(word))
    {
        return Err((
            word.clone(),
            "names the home of another user, which only a shell finds",
            "use the full path",
        ));
    }
    Ok(words.into_iter().map(in_home).collect())
}

fn is_in_home(word: &str) -> bool {
    word.starts_with("~/")
}

/// No shell expands `~` in a quoted word; a session starts in the home directory.
fn in_home(word: String) -> String {
    match word.strip_prefix('~') {
        Some(rest) if is_in_home(&word) => format!(".{rest}"),
        _ => word,
    }
}

fn node_address(reader: &mut Reader<'_>) -> Option<String> {
    let rules = host::Rules {
        remedy: "set it to the name or address at which node ports are reached",
        user: "leave the user out",
        port: "leave the port out: each Service has its own",
        zone: false,
    };
    host::read(reader, &variables::K8S_NODE_ADDRESS, &rules)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_a_shell_would() {
        for (text, words) in [
            ("kubectl", &["kubectl"][..]),
            ("sudo  -n k3s kubectl", &["sudo", "-n", "k3s", "kubectl"]),
            ("'/opt/my tools/kubectl'", &["/opt/my tools/kubectl"]),
            (
                "\"/opt/my tools/kubectl\" -v 0",
                &["/opt/my tools/kubectl", "-v", "0"],
            ),
            (r"/opt/my\ tools/kubectl", &["/opt/my tools/kubectl"]),
            ("'/opt/a&b/kubectl'", &["/opt/a&b/kubectl"]),
            ("~/bin/kubectl", &["./bin/kubectl"]),
            ("~/kubectl", &["./kubectl"]),
            ("sudo -n ~/bin/kubectl", &["sudo", "-n", "./bin/kubectl"]),
            (
                "env KUBECONFIG=/x kubectl",
                &["env", "KUBECONFIG=/x", "kubectl"],
            ),
        ] {
            assert_eq!(read_program(text).unwrap(), words, "{text}");
        }
    }

    #[test]
    fn what_only_a_shell_can_do_is_refused_with_the_word() {
        for (text, word) in [
            ("kubectl; reboot", "kubectl;"),
            ("$HOME/bin/kubectl", "$HOME/bin/kubectl"),
            ("kubectl $(id)", "$(id)"),
            ("'kubectl", "'kubectl"),
            ("KUBECONFIG=/x kubectl", "KUBECONFIG=/x"),
            ("~ann/bin/kubectl", "~ann/bin/kubectl"),
            ("~", "~"),
            ("''", "''"),
            ("'sudo -n k3s kubectl'", "'sudo -n k3s kubectl'"),
            ("# kubectl", "# kubectl"),
        ] {
            assert_eq!(read_program(text).unwrap_err().0, word, "{text}");
        }
    }
}
