//! The instructions that change an image's configuration and no files.

use std::collections::BTreeMap;

use serde_json::json;

use super::dockerfile::{Instruction, Kind, Words};
use super::fault::{Fault, Outcome};
use super::image::Run;
use super::report::{Event, Report};
use super::scope::Scope;

/// A stage's configuration so far, and the names that its words may use.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) run: Run,
    pub(crate) scope: Scope,
}

/// Whether an instruction leaves the files alone.
pub(crate) fn is_metadata(kind: &Kind) -> bool {
    match kind {
        Kind::Workdir(path) => path == "/",
        kind => !matches!(kind, Kind::Copy(_) | Kind::Add(_) | Kind::Run(_)),
    }
}

impl State {
    /// The image's environment.
    pub(crate) fn env(&self) -> &[String] {
        self.run.env.as_deref().unwrap_or_default()
    }

    /// Replaces variables in a word.
    pub(crate) fn expand(&self, word: &str) -> Outcome<String> {
        self.scope.expand(word, self.env())
    }

    fn expand_all(&self, words: &[String]) -> Outcome<Vec<String>> {
        words.iter().map(|word| self.expand(word)).collect()
    }

    fn expand_pairs(&self, pairs: &[(String, String)]) -> Outcome<Vec<(String, String)>> {
        // All of one instruction see what was before it.
        pairs
            .iter()
            .map(|(key, value)| Ok((self.expand(key)?, self.expand(value)?)))
            .collect()
    }

    /// Carries out an instruction of [`is_metadata`].
    pub(crate) fn apply(&mut self, instruction: &Instruction, report: &dyn Report) -> Outcome<()> {
        let detail = |words: String| report.tell(&Event::Detail(words));
        match &instruction.kind {
            Kind::Arg(arguments) => {
                for (name, default) in arguments {
                    let env = self.run.env.clone().unwrap_or_default();
                    let name = self.expand(name)?;
                    self.scope.declare(&name, default.as_deref(), &env)?;
                }
            }
            Kind::Env(pairs) => self.set_env(pairs)?,
            Kind::Label(pairs) => {
                let pairs = self.expand_pairs(pairs)?;
                self.run.labels.get_or_insert_default().extend(pairs);
            }
            Kind::Cmd(words) => self.run.cmd = Some(self.command_line(words)),
            Kind::Entrypoint(words) => self.run.entrypoint = Some(self.command_line(words)),
            Kind::Workdir(path) => {
                detail("Cmd: workdir".to_owned());
                self.change_workdir(path)?;
                detail(format!(
                    "Changed working directory to {}",
                    self.run.working_dir
                ));
            }
            Kind::User(user) => {
                detail("Cmd: USER".to_owned());
                self.run.user = self.expand(user)?;
            }
            Kind::Expose(ports) => {
                detail("Cmd: EXPOSE".to_owned());
                self.expose(ports, &detail)?;
            }
            Kind::Volume(volumes) => {
                detail("Cmd: VOLUME".to_owned());
                let volumes = self.expand_all(volumes)?;
                let known = self.run.volumes.get_or_insert_with(BTreeMap::new);
                known.extend(volumes.into_iter().map(|volume| (volume, json!({}))));
            }
            Kind::Shell(shell) => self.run.shell = Some(shell.clone()),
            Kind::StopSignal(signal) => {
                detail("Cmd: STOPSIGNAL".to_owned());
                self.run.stop_signal = Some(self.expand(signal)?);
            }
            Kind::Healthcheck(check) => self.run.healthcheck = Some(check.clone()),
            Kind::OnBuild(trigger) => {
                let triggers = self.run.on_build.get_or_insert_default();
                triggers.push(trigger.clone());
            }
            Kind::Maintainer(_) | Kind::Copy(_) | Kind::Add(_) | Kind::Run(_) => {}
        }
        Ok(())
    }

    fn set_env(&mut self, pairs: &[(String, String)]) -> Outcome<()> {
        let pairs = self.expand_pairs(pairs)?;
        let env = self.run.env.get_or_insert_default();
        for (key, value) in pairs {
            let prefix = format!("{key}=");
            let entry = format!("{key}={value}");
            match env.iter_mut().find(|known| known.starts_with(&prefix)) {
                Some(known) => *known = entry,
                None => env.push(entry),
            }
        }
        Ok(())
    }

    /// `WORKDIR`: relative to the one before.
    pub(crate) fn change_workdir(&mut self, path: &str) -> Outcome<()> {
        let path = self.expand(path)?;
        let whole = if path.starts_with('/') {
            path
        } else {
            format!("/{}/{path}", self.run.working_dir)
        };
        let clean = super::tree::clean(whole.as_ref());
        self.run.working_dir = clean.display().to_string();
        Ok(())
    }

    fn expose(&mut self, ports: &[String], detail: &dyn Fn(String)) -> Outcome<()> {
        for port in self.expand_all(ports)? {
            // A variable may hold several.
            for port in port.split_whitespace() {
                let (number, protocol) = port.split_once('/').unwrap_or((port, "tcp"));
                let bounds = number.split_once('-').unwrap_or((number, number));
                let fits = |text: &str| text.parse::<u16>().is_ok();
                if !fits(bounds.0) || !fits(bounds.1) {
                    return Err(Fault::said(format!("invalid containerPort: {port}")));
                }
                let protocol = protocol.to_lowercase();
                if !["tcp", "udp", "sctp"].contains(&protocol.as_str()) {
                    return Err(Fault::said(format!("invalid protocol: {protocol}")));
                }
                let name = format!("{number}/{protocol}");
                detail(format!("Adding exposed port: {name}"));
                let known = self.run.exposed_ports.get_or_insert_with(BTreeMap::new);
                known.insert(name, json!({}));
            }
        }
        Ok(())
    }

    /// The shell that reads commands in shell form.
    fn shell(&self) -> Vec<String> {
        match &self.run.shell {
            Some(shell) if !shell.is_empty() => shell.clone(),
            _ => vec!["/bin/sh".to_owned(), "-c".to_owned()],
        }
    }

    /// A command line as arguments.
    pub(crate) fn command_line(&self, words: &Words) -> Vec<String> {
        if !words.shell {
            return words.words.clone();
        }
        let mut all = self.shell();
        all.extend(words.words.iter().cloned());
        all
    }
}

/// An image's own `CMD` belongs to its own `ENTRYPOINT`: a stage with a new one drops it.
pub(crate) fn review(run: &mut Run, instructions: &[Instruction]) {
    let has = |fits: fn(&Kind) -> bool| instructions.iter().any(|one| fits(&one.kind));
    if has(|kind| matches!(kind, Kind::Entrypoint(_))) && !has(|kind| matches!(kind, Kind::Cmd(_)))
    {
        run.cmd = None;
    }
}

#[cfg(test)]
mod tests {
    use super::super::dockerfile;
    use super::*;

    struct Silent;

    impl Report for Silent {
        fn tell(&self, _: &Event<'_>) {}
    }

    fn after(instructions: &str) -> Outcome<Run> {
        let text = format!("FROM scratch\n{instructions}");
        let dockerfile = dockerfile::parse(&text).unwrap();
        let mut state = State {
            run: Run::default(),
            scope: Scope::default(),
        };
        for instruction in &dockerfile.stages[0].instructions {
            state.apply(instruction, &Silent)?;
        }
        review(&mut state.run, &dockerfile.stages[0].instructions);
        Ok(state.run)
    }

    #[test]
    fn a_configuration_is_what_the_instructions_say() {
        let run = after(
            "ARG P=80\nENV A=1 B=\"two words\"\nENV A=$A$B\nEXPOSE $P 53/udp\nWORKDIR /srv\n\
             WORKDIR app\nUSER 7\nLABEL x=\"y z\"\nVOLUME /data\nSTOPSIGNAL SIGINT\n\
             CMD [\"a\"]\nSHELL [\"/bin/ash\", \"-c\"]\nENTRYPOINT b $A\nONBUILD RUN x",
        )
        .unwrap();
        assert_eq!(run.env.unwrap(), ["A=1two words", "B=two words"]);
        let ports: Vec<String> = run.exposed_ports.unwrap().into_keys().collect();
        assert_eq!(ports, ["53/udp", "80/tcp"]);
        assert_eq!(run.working_dir, "/srv/app");
        assert_eq!(run.user, "7");
        assert_eq!(run.labels.unwrap()["x"], "y z");
        assert_eq!(run.entrypoint.unwrap(), ["/bin/ash", "-c", "b $A"]);
        assert_eq!(run.cmd.unwrap(), ["a"]);
        assert_eq!(run.on_build.unwrap(), ["RUN x"]);
    }

    #[test]
    fn a_port_that_is_none_is_refused() {
        assert!(after("EXPOSE http").is_err());
        assert!(after("EXPOSE 80/icmp").is_err());
    }

    #[test]
    fn a_new_entrypoint_drops_the_bases_command() {
        let instructions = dockerfile::parse("FROM a\nENTRYPOINT [\"x\"]").unwrap();
        let mut run = Run {
            cmd: Some(vec!["old".to_owned()]),
            ..Run::default()
        };
        review(&mut run, &instructions.stages[0].instructions);
        assert_eq!(run.cmd, None);
    }
}
