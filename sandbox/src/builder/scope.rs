//! Which names a Dockerfile's words may use: `ARG`s that were declared, and the image's `ENV`.

use super::dockerfile::expand;
use super::fault::{Fault, Outcome};

/// Arguments that need no `ARG`.
const UNDECLARED: [&str; 10] = [
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "FTP_PROXY",
    "ftp_proxy",
    "NO_PROXY",
    "no_proxy",
    "ALL_PROXY",
    "all_proxy",
];

/// The arguments of a build, and those that a stage has declared so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope {
    /// From the command line.
    given: Vec<(String, String)>,
    /// Declared before the first `FROM`, or known everywhere.
    outer: Vec<(String, String)>,
    declared: Vec<(String, String)>,
}

impl Scope {
    /// The scope of all stages: `known` everywhere, `arguments` before the first `FROM`.
    pub(crate) fn new(
        given: &[(String, String)],
        known: Vec<(String, String)>,
        arguments: &[(String, Option<String>)],
    ) -> Outcome<Self> {
        let mut scope = Self {
            given: given.to_vec(),
            outer: known,
            declared: Vec::new(),
        };
        for (name, default) in arguments {
            let value = match (find(&scope.given, name), default) {
                (Some(value), _) => value,
                (None, Some(default)) => scope.outside(default)?,
                (None, None) => continue,
            };
            set(&mut scope.outer, name, value);
        }
        Ok(scope)
    }

    /// Expands a word outside of any stage.
    pub(crate) fn outside(&self, word: &str) -> Outcome<String> {
        expand::word(word, &|name| find(&self.outer, name)).map_err(Fault::said)
    }

    /// `ARG` within a stage.
    pub(crate) fn declare(
        &mut self,
        name: &str,
        default: Option<&str>,
        env: &[String],
    ) -> Outcome<()> {
        let value = match (find(&self.given, name), default) {
            (Some(value), _) => Some(value),
            (None, Some(default)) => Some(self.expand(default, env)?),
            (None, None) => find(&self.outer, name),
        };
        if let Some(value) = value {
            set(&mut self.declared, name, value);
        }
        Ok(())
    }

    /// Expands a word within a stage.
    pub(crate) fn expand(&self, word: &str, env: &[String]) -> Outcome<String> {
        let all = self.environment(env);
        expand::word(word, &|name| {
            all.iter()
                .filter_map(|entry| entry.split_once('='))
                .find(|(key, _)| *key == name)
                .map(|(_, value)| value.to_owned())
        })
        .map_err(Fault::said)
    }

    /// What a command sees: the image's `ENV`, and the arguments that it does not hide.
    pub(crate) fn environment(&self, env: &[String]) -> Vec<String> {
        let undeclared = self
            .given
            .iter()
            .filter(|(name, _)| UNDECLARED.contains(&name.as_str()));
        let mut all = env.to_vec();
        for (name, value) in self.declared.iter().chain(undeclared) {
            let prefix = format!("{name}=");
            if !all.iter().any(|entry| entry.starts_with(&prefix)) {
                all.push(format!("{name}={value}"));
            }
        }
        all
    }
}

fn find(pairs: &[(String, String)], name: &str) -> Option<String> {
    pairs
        .iter()
        .rfind(|(key, _)| key == name)
        .map(|(_, value)| value.clone())
}

fn set(pairs: &mut Vec<(String, String)>, name: &str, value: String) {
    pairs.retain(|(key, _)| key != name);
    pairs.push((name.to_owned(), value));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    fn scope() -> Scope {
        let arguments = [
            ("BASE".to_owned(), Some("alpine".to_owned())),
            ("FULL".to_owned(), Some("$BASE:${TAG:-1}".to_owned())),
        ];
        let given = [pair("BASE", "busybox"), pair("SECRET", "x")];
        Scope::new(&given, vec![pair("TARGETOS", "linux")], &arguments).unwrap()
    }

    #[test]
    fn the_command_line_wins_over_defaults() {
        assert_eq!(scope().outside("${FULL}").unwrap(), "busybox:1");
    }

    #[test]
    fn only_what_a_stage_declares_is_seen_in_it() {
        let mut scope = scope();
        assert_eq!(scope.expand("$SECRET$BASE$TARGETOS", &[]).unwrap(), "");
        scope.declare("SECRET", None, &[]).unwrap();
        scope.declare("TARGETOS", None, &[]).unwrap();
        scope.declare("BASE", Some("other"), &[]).unwrap();
        let seen = scope.expand("$SECRET $BASE $TARGETOS", &[]).unwrap();
        assert_eq!(seen, "x busybox linux");
    }

    #[test]
    fn the_images_environment_hides_arguments() {
        let mut scope = scope();
        scope.declare("SECRET", None, &[]).unwrap();
        let env = ["SECRET=env".to_owned()];
        assert_eq!(scope.environment(&env), ["SECRET=env"]);
        assert_eq!(scope.environment(&[]), ["SECRET=x"]);
    }
}
