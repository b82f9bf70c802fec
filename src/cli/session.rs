//! One run of the program: the options of all commands, and the client once one is needed.

use std::{
    process::ExitCode,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::OnceCell;

use super::{args::Global, exit, printer::Printer};
use crate::{
    Berth, Records,
    config::{Config, ConfigError, Variables, database_url, variables},
    domain::Namespace,
    error::Error,
    store::StoreError,
};

/// What every command is given.
pub(super) struct Session {
    pub(super) global: Global,
    pub(super) printer: Printer,
    variables: OnceLock<Result<Variables, ConfigError>>,
    opened: OnceCell<Berth>,
    /// Whether the user has been told that `KUBECONFIG` is not used.
    is_told: AtomicBool,
}

impl Session {
    pub(super) fn new(global: Global, printer: Printer) -> Self {
        Self {
            global,
            printer,
            variables: OnceLock::new(),
            opened: OnceCell::new(),
            is_told: AtomicBool::new(false),
        }
    }

    /// The settings: flags over the environment over the `.env` file.
    pub(super) fn config(&self) -> Result<Config, ConfigError> {
        let found = self.variables()?;
        // A key file that was typed is meant, whatever key string stands in the environment.
        let typed_key = self.global.ssh_key_file.is_some();
        Config::from_vars(|name| {
            let hidden = typed_key && name == variables::K8S_SSH_KEY_STRING.name;
            if hidden { None } else { found.get(name) }
        })
    }

    /// The namespace of deployments for which neither a project nor a namespace was typed.
    pub(super) fn namespace(&self) -> Result<Option<Namespace>, ConfigError> {
        let variable = variables::KUBERNETES_NAMESPACE;
        let set = self.variables()?.text(&variable)?;
        let parsed = set.map(|set| set.trim().parse::<Namespace>());
        Ok(parsed.transpose().map_err(|it| it.named(variable.name))?)
    }

    /// The records. No setting but the database's is read.
    pub(super) async fn records(&self) -> Result<Records, Error> {
        let found = self.variables()?;
        Berth::open_records(&database_url(|name| found.get(name))?).await
    }

    /// The variables that are set, by flags, the environment and the `.env` file. They are read once: the
    /// file may be a pipe.
    pub(super) fn variables(&self) -> Result<&Variables, ConfigError> {
        let read = self.variables.get_or_init(|| self.read_variables());
        read.as_ref().map_err(Clone::clone)
    }

    fn read_variables(&self) -> Result<Variables, ConfigError> {
        let global = &self.global;
        let mut found = match &global.env_file {
            Some(file) => Variables::load_file(file)?,
            None => Variables::load()?,
        };
        for (variable, flag) in [
            (variables::K8S_SSH_HOST, &global.ssh_host),
            (variables::K8S_SSH_PORT, &global.ssh_port),
            (variables::K8S_SSH_USERNAME, &global.ssh_user),
            (variables::K8S_SSH_KEY_FILE, &global.ssh_key_file),
            (variables::K8S_SSH_KNOWN_HOSTS, &global.known_hosts),
            (variables::K8S_SSH_HOST_KEY, &global.host_key),
            (variables::K8S_SSH_HOST_KEY_POLICY, &global.host_key_policy),
            (variables::K8S_KUBECTL, &global.kubectl),
            (variables::K8S_KUBECONFIG, &global.kubeconfig),
            (variables::K8S_CONTEXT, &global.context),
            (variables::BERTH_TEMPLATES, &global.templates),
        ] {
            if let Some(value) = flag {
                found.set(variable.name, value);
            }
        }
        Ok(found)
    }

    /// The client with these settings. Nothing has been sent yet when it is first returned.
    pub(super) async fn berth(&self) -> Result<&Berth, Error> {
        self.opened
            .get_or_try_init(|| async {
                let events = Arc::clone(self.printer.progress());
                let client = Berth::builder().config(self.config()?).events(events);
                client.open().await
            })
            .await
    }

    /// The same client, for a command that changes the cluster: the user should know which one.
    pub(super) async fn berth_to_change(&self) -> Result<&Berth, Error> {
        let berth = self.berth().await?;
        if !self.global.quiet {
            self.tell_of_kubeconfig();
        }
        Ok(berth)
    }

    /// Prints an error; after one of the cluster also that `KUBECONFIG` is not used.
    pub(super) fn error(&self, error: &Error) {
        self.printer.error(error);
        if error.is_from_cluster() {
            self.tell_of_kubeconfig();
        }
    }

    /// Prints what is wrong with records that can't be read; returns the exit code that they lead to.
    pub(super) fn unreadable(&self, problems: Vec<StoreError>) -> ExitCode {
        let mut code = ExitCode::SUCCESS;
        for problem in problems {
            let problem = Error::from(problem);
            self.printer.problem(&problem);
            code = exit::code(&problem);
        }
        code
    }

    /// Warns of settings that are probably misspelled, and so have no effect.
    pub(super) fn warn_of_misspelled(&self) {
        // What keeps them from being read is the command's to say.
        let Ok(found) = self.variables() else {
            return;
        };
        for (name, nearest) in found.misspelled() {
            self.printer.note(&format!(
                "warning: {name} is not a setting; did you mean {nearest}?"
            ));
        }
    }

    /// Says once that `KUBECONFIG` is not used, when it is set in place of berth's own variable: the
    /// cluster may be another one than the user expects.
    fn tell_of_kubeconfig(&self) {
        let Ok(found) = self.variables() else {
            return;
        };
        let own = variables::K8S_KUBECONFIG.name;
        let is_misled = found.get("KUBECONFIG").is_some() && found.get(own).is_none();
        if is_misled && !self.is_told.swap(true, Ordering::Relaxed) {
            self.printer.note(&format!(
                "hint: KUBECONFIG is not used, since kubectl runs on the host; {own} names the \
                 kubeconfig there"
            ));
        }
    }

    /// Ends what still runs on the host.
    pub(super) async fn close(&self) {
        if let Some(berth) = self.opened.get() {
            let warnings = berth.take_warnings().into_iter();
            for warning in warnings.filter(|_| !self.global.quiet) {
                self.printer.note(&format!("warning: {warning}"));
            }
            berth.close().await;
        }
    }
}
