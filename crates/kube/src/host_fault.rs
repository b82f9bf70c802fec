//! What is wrong with the host's `sudo` or `kubectl`, and what to change.

use std::fmt;

/// Why the host does not run kubectl as `K8S_KUBECTL` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum HostFault {
    /// sudo has `requiretty`.
    SudoTerminal,
    /// sudoers does not allow this user this command.
    SudoNotAllowed,
    /// sudoers does not allow this user to pass variables on.
    SudoEnvironment,
    /// sudo works for no command: it has lost its rights, the account is locked, and the like.
    SudoBroken,
    /// sudo looks for the program only in its `secure_path`.
    SudoPath,
    /// There is no sudo.
    SudoMissing,
    /// The file is there and may not be executed.
    NotExecutable,
    /// The file is for another machine, damaged, or lacks its interpreter or libraries.
    CannotRun,
    /// It runs, and is not kubectl.
    NotKubectl,
    /// kubectl has no kubeconfig and falls back to `localhost:8080`.
    NoKubeconfig,
}

impl HostFault {
    /// Whether someone has to allow it, rather than to install or set something.
    #[must_use]
    pub fn is_denial(self) -> bool {
        matches!(
            self,
            Self::SudoTerminal | Self::SudoNotAllowed | Self::SudoEnvironment | Self::SudoBroken
        )
    }

    /// What to change.
    #[must_use]
    pub fn hint(self) -> &'static str {
        match self {
            Self::SudoTerminal => {
                "add `Defaults:USER !requiretty` to the host's sudoers (visudo), or name a kubeconfig that \
                 the SSH user may read (K8S_KUBECONFIG) and leave sudo out of K8S_KUBECTL"
            }
            Self::SudoNotAllowed => {
                "allow it in the host's sudoers (visudo): `USER ALL=(root) NOPASSWD: /PATH/OF/kubectl`, \
                 with the program that K8S_KUBECTL names"
            }
            Self::SudoEnvironment => {
                "name the kubeconfig with K8S_KUBECONFIG, and leave variables and -E out of K8S_KUBECTL"
            }
            Self::SudoBroken => {
                "check on the host that `sudo -n true` works for the SSH user, or leave sudo out of \
                 K8S_KUBECTL"
            }
            Self::SudoPath => {
                "give the program's full path, such as K8S_KUBECTL='sudo -n /usr/local/bin/kubectl', or \
                 add its folder to secure_path in the host's sudoers"
            }
            Self::SudoMissing => "leave sudo out of K8S_KUBECTL, or install it on the host",
            Self::NotExecutable => {
                "check the path in K8S_KUBECTL: it has to be a file with permission to be executed \
                 (`chmod +x`)"
            }
            Self::CannotRun => {
                "install a kubectl for the host's architecture (`uname -m`) and name it with K8S_KUBECTL"
            }
            Self::NotKubectl => "K8S_KUBECTL has to be kubectl, such as `sudo -n k3s kubectl`",
            Self::NoKubeconfig => {
                "name one with K8S_KUBECONFIG, a path on the host: sudo drops the variable KUBECONFIG, and \
                 a session without a terminal may not get it"
            }
        }
    }
}

impl fmt::Display for HostFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SudoTerminal => "sudo on the host requires a terminal (requiretty)",
            Self::SudoNotAllowed => "sudo on the host does not allow the SSH user this command",
            Self::SudoEnvironment => {
                "sudo on the host does not allow the SSH user to pass variables on"
            }
            Self::SudoBroken => "sudo on the host failed",
            Self::SudoPath => "sudo on the host does not find the program in its secure_path",
            Self::SudoMissing => "sudo was not found on the host",
            Self::NotExecutable => "the program for kubectl on the host can't be executed",
            Self::CannotRun => "the program for kubectl does not run on this host",
            Self::NotKubectl => {
                "the program for kubectl on the host does not answer as kubectl does"
            }
            Self::NoKubeconfig => "kubectl on the host has no kubeconfig",
        })
    }
}
