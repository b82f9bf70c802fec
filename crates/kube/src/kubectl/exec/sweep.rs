//! Ends a command's processes in the pod. kubectl's end does not: a real cluster leaves them running.

use std::{sync::Arc, time::Duration};

use berth_core::Namespace;
use berth_ssh::{RunLimits, Script};

use super::{super::KubectlBackend, command};

/// Ends a command's processes: the prelude (process `$4`, or if that is empty the first one with the mark
/// among its arguments), what descends from it, what is in its session (container runtimes make one for
/// each exec), and what has the mark in its environment. All are stopped first, until no new one is found,
/// so that none can start another or lose its parent unseen.
///
/// The mark comes in two halves, so that this script's own arguments do not hold it. It prints the token
/// and a word: `swept` when all are gone and no other process can be the command's; `left` when the
/// prelude had ended before, so that what still runs was meant to; `alive` when some can't be ended;
/// `loose` when a process that began after the prelude has another session than the container's first
/// process, no parent that says where it belongs, and no other command's mark.
///
/// `tr` is there because some builds of busybox's `grep` see nothing behind a NUL byte.
const SWEEP: &str = r#"command -v tr >/dev/null && command -v grep >/dev/null || exit 1
berth_mark=$1$2 berth_token=$3 berth_leader=$4
tell() { echo "$berth_token $1"; exit 0; }
look() {
line=
IFS= read -r line <"/proc/$1/stat"
line=${line##*) }
[ -n "$line" ] || return 1
set -- $line
state=$1 parent=$2 session=$4 start=${20}
}
has() { tr '\0' '\n' <"/proc/$1/$2" | grep -q "$3"; }
{
[ -n "$berth_leader" ] || for folder in /proc/[0-9]*; do
pid=${folder#/proc/}
look "$pid" && has "$pid" cmdline "^$berth_mark\$" || continue
[ -z "$berth_leader" ] || [ "$start" -lt "$began" ] || continue
berth_leader=$pid began=$start
done
look "$berth_leader" && has "$berth_leader" cmdline "^$berth_mark\$" || tell left
began=$start leads=
[ "$session" = "$berth_leader" ] && leads=1
family=" $berth_leader " grown=1 round=0
kill -STOP "$berth_leader"
while [ -n "$grown" ] && [ "$round" -lt 100 ]; do
grown= round=$((round + 1))
for folder in /proc/[0-9]*; do
pid=${folder#/proc/}
case $family in *" $pid "*) continue ;; esac
[ "$pid" = 1 ] || [ "$pid" = "$$" ] && continue
look "$pid" || continue
case $family in *" $parent "*) parent=kin ;; esac
[ "$parent" = kin ] || { [ -n "$leads" ] && [ "$session" = "$berth_leader" ]; } || has "$pid" environ "^BERTH_COMMAND=$berth_mark\$" || continue
family="$family$pid " grown=1
kill -STOP "$pid"
done
done
kill -9 $family
round=0
for pid in $family; do
while look "$pid" && [ "$state" != Z ] && [ "$state" != X ]; do
[ "$round" -lt 50 ] || tell alive
round=$((round + 1))
kill -9 "$pid"
sleep 0.1 || sleep 1
done
done
look 1
first=$session
for folder in /proc/[0-9]*; do
pid=${folder#/proc/}
[ "$pid" = 1 ] || [ "$pid" = "$$" ] && continue
look "$pid" && [ "$state" != Z ] && [ "$start" -ge "$began" ] || continue
[ "$session" = "$first" ] && [ "$first" != 0 ] && continue
root=$pid
while [ "$parent" -gt 1 ]; do
root=$parent
look "$root" || parent=1
done
[ "$parent" = 0 ] && [ "$root" != 1 ] && continue
has "$pid" environ "^BERTH_COMMAND=$berth_mark\$" && tell alive
has "$pid" environ '^BERTH_COMMAND=' || [ ! -d "/proc/$pid" ] || tell loose
done
tell swept
} 2>/dev/null
exit 1"#;

/// The time in which a pod's processes are to be ended.
const LIMIT: Duration = Duration::from_secs(15);

/// A command whose processes in the pod are to be ended when nobody waits for them any more.
///
/// Dropping it does that in the background; [`disarm`](Self::disarm) it when the command has ended.
pub(super) struct Sweep {
    backend: KubectlBackend,
    namespace: Namespace,
    mark: String,
    token: String,
    /// Where the command runs, once that is known.
    pub(super) pod: Option<String>,
    /// The container there.
    container: String,
    /// The prelude's process id there, once it has begun.
    pub(super) leader: Option<u32>,
    is_armed: bool,
}

impl Sweep {
    /// Armed only when the command's processes carry the mark.
    pub(super) fn new(
        backend: &KubectlBackend,
        (namespace, container): (&Namespace, &str),
        is_marked: bool,
        mark: &str,
        token: &str,
    ) -> Self {
        Self {
            backend: backend.clone(),
            namespace: namespace.clone(),
            mark: mark.to_owned(),
            token: token.to_owned(),
            pod: None,
            leader: None,
            container: container.to_owned(),
            is_armed: is_marked,
        }
    }

    pub(super) fn disarm(&mut self) {
        self.is_armed = false;
    }

    /// Ends the processes now; whether that is certain.
    pub(super) async fn run(mut self) -> bool {
        match self.script() {
            Some(script) => {
                self.disarm();
                sweep(&self.backend, &script, &self.token).await
            }
            None => false,
        }
    }

    /// What ends the processes from inside the pod, also when they have not begun as far as is known.
    pub(super) fn argv(&self) -> [String; 8] {
        argv(&self.mark, &self.token, self.leader)
    }

    /// What ends the processes; none when they carry no mark, or have not begun as far as is known.
    fn script(&self) -> Option<Script> {
        let pod = self.pod.as_deref().filter(|_| self.is_armed)?;
        self.leader?;
        let argv = self.argv();
        let settings = &self.backend.settings;
        Some(command::in_pod(
            settings,
            &self.namespace,
            (pod, &self.container),
            false,
            &argv,
        ))
    }
}

impl Drop for Sweep {
    fn drop(&mut self) {
        if let (Some(script), Ok(runtime)) = (self.script(), tokio::runtime::Handle::try_current())
        {
            let (backend, token) = (self.backend.clone(), self.token.clone());
            // Closing the backend waits for this.
            let cleanup = Arc::clone(&backend.cleanup).try_read_owned();
            runtime.spawn(async move {
                sweep(&backend, &script, &token).await;
                drop(cleanup);
            });
        }
    }
}

/// What runs in the pod.
fn argv(mark: &str, token: &str, leader: Option<u32>) -> [String; 8] {
    let (first, second) = mark.split_at_checked(mark.len() / 2).unwrap_or((mark, ""));
    let leader = leader.map_or_else(String::new, |pid| pid.to_string());
    ["/bin/sh", "-c", SWEEP, "sh", first, second, token, &leader].map(str::to_owned)
}

async fn sweep(backend: &KubectlBackend, script: &Script, token: &str) -> bool {
    let result = backend.ssh.run(script, "", RunLimits::within(LIMIT)).await;
    let told = result.ok().map(|output| output.stdout.text());
    let told = told
        .as_deref()
        .and_then(|told| told.trim().strip_prefix(token));
    let outcome = told.map_or("failed", str::trim);
    tracing::debug!(outcome, "ended an abandoned command's processes in the pod");
    outcome == "swept"
}

#[cfg(test)]
mod tests {
    use std::{path::Path, process::Command as Local};

    use super::*;
    use crate::{ExecCommand, Program};
    use berth_core::Environment;
    use berth_ssh::Command;

    /// Words before the sweep's script, and the programs that it finds.
    struct Shell {
        words: Vec<String>,
        path: Option<String>,
    }

    /// The shells that an image may have, as far as they are installed here; busybox with its own
    /// programs alone.
    fn shells(folder: &Path) -> Vec<Shell> {
        let mut shells: Vec<_> = [&["sh"][..], &["dash"], &["bash", "--posix"]]
            .map(|words| Shell {
                words: words.iter().map(|word| (*word).to_owned()).collect(),
                path: None,
            })
            .into();
        let find = Local::new("sh")
            .args(["-c", "command -v busybox"])
            .output()
            .unwrap();
        let busybox = String::from_utf8(find.stdout).unwrap();
        for name in ["sh", "grep", "tr", "sleep"] {
            std::os::unix::fs::symlink(busybox.trim(), folder.join(name)).unwrap();
        }
        let folder = folder.to_str().unwrap().to_owned();
        shells.push(Shell {
            words: vec![format!("{folder}/sh")],
            path: Some(folder),
        });
        shells
    }

    /// The prelude's process id, in [`sweep_after`].
    const LEADER: &str = "$leader";

    /// Runs `line` under the prelude in a process namespace of its own, then the sweep once the line
    /// has printed `up` and `until` holds, for this leader: what the sweep prints, then the `sleep` that still live.
    fn sweep_after(shell: &Shell, line: &str, until: &str, leader: &str) -> String {
        let command = ExecCommand {
            program: Program::Shell(line.to_owned()),
            environment: Environment::new(),
            working_dir: None,
        };
        let plan = command::plan(&command, "MARKMARK", "TOKEN").unwrap();
        let [_, words @ .., _leader] = argv("MARKMARK", "TOKEN", None);
        let words = shell.words.iter().cloned().chain(words);
        let path = shell.path.as_deref().map(|path| format!("PATH={path} "));
        let (path, prelude, sweep) = (
            path.unwrap_or_default(),
            Command::new(plan.argv),
            Command::new(words),
        );
        let driver = format!(
            "cd \"$1\"; : >out; setsid {prelude} >out 2>err & until grep -q up out; do sleep 0.05; done; \
             leader=$(sed -n 's/TOKEN begun //p' err); until {until}; do sleep 0.05; done; \
             {path}{sweep} \"{leader}\"; \
             for one in /proc/[0-9]*; do tr '\\0' ' ' <$one/cmdline; echo; done 2>/dev/null | grep '^sleep 10'"
        );
        let scratch = tempfile::tempdir().unwrap();
        let output = Local::new("bwrap")
            .args(["--dev-bind", "/", "/", "--unshare-pid", "--as-pid-1"])
            .args(["--proc", "/proc", "--new-session", "--die-with-parent"])
            .args(["sh", "-c", &driver, "sh"])
            .arg(scratch.path())
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn a_commands_processes_are_ended_whatever_their_environment_session_or_parent() {
        let folder = tempfile::tempdir().unwrap();
        for shell in shells(folder.path()) {
            for line in [
                "sleep 1001 & echo up; wait",
                "echo up; exec env -i sleep 1002",
                "(env -i sleep 1003 &); echo up; sleep 1004",
                "(setsid sleep 1005 &); echo up; sleep 1006",
                "env -i setsid sleep 1007 & echo up; wait",
                "trap '' TERM HUP; echo up; while :; do sleep 1008 & sleep 1009; done",
            ] {
                // The host's guard does not know the leader.
                for leader in [LEADER, ""] {
                    let told = sweep_after(&shell, line, "true", leader);
                    assert_eq!(told, "TOKEN swept\n", "{:?}: {line}", shell.words);
                }
            }
        }
    }

    #[test]
    fn a_process_that_can_be_anybodys_is_not_called_ended() {
        let folder = tempfile::tempdir().unwrap();
        for shell in shells(folder.path()) {
            let line = "(env -i setsid sleep 1001 &); echo up; sleep 1002";
            // It has no parent that the prelude knows of once the subshell has ended.
            let until = "grep -q '(sleep) S 1 ' /proc/[0-9]*/stat";
            let told = sweep_after(&shell, line, until, LEADER);
            assert_eq!(told, "TOKEN loose\nsleep 1001 \n", "{:?}", shell.words);
        }
    }

    #[test]
    fn what_outlives_a_command_that_has_ended_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        for shell in shells(folder.path()) {
            let ended = "{ ! [ -e /proc/$leader ] || grep -q ' Z ' /proc/$leader/stat; }";
            let told = sweep_after(&shell, "sleep 1001 & echo up", ended, LEADER);
            assert_eq!(told, "TOKEN left\nsleep 1001 \n", "{:?}", shell.words);
        }
    }
}
