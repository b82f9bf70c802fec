//! Ends a command's processes in the pod. kubectl's end does not: a real cluster leaves them running.

use std::{sync::Arc, time::Duration};

use super::{super::Kubectl, command};
use crate::{
    domain::{CONTAINER, Namespace},
    ssh::{RunLimits, Script},
};

/// Kills every process with the mark in its environment, again and again until there is none, and then
/// says so. PID 1 is the container itself. `$1` the mark, `$2` the token.
///
/// `tr` is there because some builds of busybox's `grep` see nothing behind a NUL byte.
const SWEEP: &str = r#"command -v tr >/dev/null && command -v grep >/dev/null || exit 1
round=0
while [ "$round" -lt 100 ]; do
found=
for folder in /proc/[0-9]*; do
pid=${folder#/proc/}
[ "$pid" = 1 ] && continue
if tr '\0' '\n' 2>/dev/null <"$folder/environ" | grep -q -x "BERTH_COMMAND=$1"; then
found=1
kill -9 "$pid" 2>/dev/null
fi
done
[ -n "$found" ] || { echo "$2 swept"; exit 0; }
round=$((round + 1))
done 2>/dev/null
exit 1"#;

/// The time in which a pod's processes are to be ended.
const LIMIT: Duration = Duration::from_secs(15);

/// A command whose processes in the pod are to be ended when nobody waits for them any more.
///
/// Dropping it does that in the background; [`disarm`](Self::disarm) it when the command has ended.
pub(super) struct Sweep {
    lane: Kubectl,
    namespace: Namespace,
    mark: String,
    token: String,
    /// Where the command runs, once that is known.
    pub(super) pod: Option<String>,
    /// The container there.
    pub(super) container: String,
    is_armed: bool,
}

impl Sweep {
    /// Armed only when the command's processes carry the mark.
    pub(super) fn new(
        lane: &Kubectl,
        namespace: &Namespace,
        is_marked: bool,
        mark: &str,
        token: &str,
    ) -> Self {
        Self {
            lane: lane.clone(),
            namespace: namespace.clone(),
            mark: mark.to_owned(),
            token: token.to_owned(),
            pod: None,
            container: CONTAINER.to_owned(),
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
                sweep(&self.lane, &script, &self.token).await
            }
            None => false,
        }
    }

    /// What ends the processes; none when they carry no mark or their pod is not known.
    fn script(&self) -> Option<Script> {
        let pod = self.pod.as_deref().filter(|_| self.is_armed)?;
        let argv = ["/bin/sh", "-c", SWEEP, "sh", &self.mark, &self.token].map(str::to_owned);
        let settings = &self.lane.settings;
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
            let (lane, token) = (self.lane.clone(), self.token.clone());
            // Closing the lane waits for this.
            let tidying = Arc::clone(&lane.tidying).try_read_owned();
            runtime.spawn(async move {
                sweep(&lane, &script, &token).await;
                drop(tidying);
            });
        }
    }
}

async fn sweep(lane: &Kubectl, script: &Script, token: &str) -> bool {
    let result = lane.ssh.run(script, "", RunLimits::within(LIMIT)).await;
    let is_swept = result.is_ok_and(|output| {
        output.status.success() && output.stdout.text().trim() == format!("{token} swept")
    });
    tracing::debug!(
        is_swept,
        "ended what an abandoned command had left in the pod"
    );
    is_swept
}

#[cfg(test)]
mod tests {
    use std::{
        io::Read as _,
        process::{Command as Local, Stdio},
    };

    use super::*;

    /// A `PATH` with busybox's programs alone, when it is installed.
    fn busybox(folder: &std::path::Path) -> Option<std::process::Command> {
        let find = Local::new("sh")
            .args(["-c", "command -v busybox"])
            .output()
            .unwrap();
        let busybox = String::from_utf8(find.stdout).unwrap();
        if busybox.is_empty() {
            eprintln!("skipped: busybox is not installed");
            return None;
        }
        for name in ["sh", "grep", "tr", "kill"] {
            std::os::unix::fs::symlink(busybox.trim(), folder.join(name)).unwrap();
        }
        let mut shell = Local::new(folder.join("sh"));
        shell.env("PATH", folder);
        Some(shell)
    }

    #[test]
    fn marked_processes_and_their_children_are_ended_and_no_others() {
        let folder = tempfile::tempdir().unwrap();
        let shells = [Some(Local::new("sh")), busybox(folder.path())];
        for (number, mut shell) in shells.into_iter().flatten().enumerate() {
            let mark = format!("test{}n{number}", std::process::id());
            let mut marked = Local::new("sh")
                .args(["-c", "sleep 100 & sleep 100 & echo up; wait"])
                .env("BERTH_COMMAND", &mark)
                .env("LAST", "1")
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut other = Local::new("sleep")
                .arg("100")
                .env("BERTH_COMMAND", format!("{mark}0"))
                .spawn()
                .unwrap();
            let mut up = [0; 3];
            marked.stdout.as_mut().unwrap().read_exact(&mut up).unwrap();
            let swept = shell
                .args(["-c", SWEEP, "sh", &mark, "token"])
                .output()
                .unwrap();
            assert_eq!(String::from_utf8(swept.stdout).unwrap(), "token swept\n");
            assert_eq!(String::from_utf8(swept.stderr).unwrap(), "");
            assert!(!marked.wait().unwrap().success());
            // All of them: the pipe that they shared has no writer any more.
            let mut rest = String::new();
            marked
                .stdout
                .as_mut()
                .unwrap()
                .read_to_string(&mut rest)
                .unwrap();
            assert_eq!(other.try_wait().unwrap(), None);
            other.kill().unwrap();
            other.wait().unwrap();
        }
    }
}
