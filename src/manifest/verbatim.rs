//! Text that Kubernetes would expand, written so that it comes out as it is.

/// The text that Kubernetes turns into `text`: in a container's command and variables it replaces
/// `$(NAME)` by the variable's value and `$$` by `$`
/// (<https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/>).
pub(super) fn verbatim(text: &str) -> String {
    if text.contains("$(") || text.contains("$$") {
        text.replace('$', "$$")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kubelet makes of a text, with no variable set to expand
    /// (`k8s.io/kubernetes/third_party/forked/golang/expansion`).
    fn expanded(text: &str) -> String {
        let mut out = String::new();
        let mut rest = text.chars().peekable();
        while let Some(c) = rest.next() {
            match (c, rest.peek()) {
                ('$', Some('$')) => {
                    rest.next();
                    out.push('$');
                }
                ('$', Some('(')) => out.push_str("EXPANDED"),
                _ => out.push(c),
            }
        }
        out
    }

    #[test]
    fn variables_of_the_cluster_are_never_expanded_in_a_value() {
        for text in [
            "$(HOME)", "$$", "$$(HOME)", "wait $!", "$", "a$", "$$$", "$$$(A)$", "plain",
        ] {
            assert_eq!(expanded(&verbatim(text)), text);
        }
        assert_eq!(
            verbatim("wait $!"),
            "wait $!",
            "harmless text stays readable"
        );
    }
}
