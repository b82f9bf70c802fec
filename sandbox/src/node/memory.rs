//! The memory limit without cgroups: what a container's processes hold is measured, and who holds
//! too much is killed, as the kernel would do it for the whole group.

use std::fs;
use std::sync::Weak;
use std::sync::atomic::Ordering;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::container::Running;
use crate::host::processes::descendants;

/// Short enough that a command which fills its memory and ends is still caught.
const EVERY: Duration = Duration::from_millis(15);

/// Watches a container until it has ended.
pub(crate) async fn watch(container: Weak<Running>, limit_bytes: u64) {
    loop {
        tokio::time::sleep(EVERY).await;
        let Some(container) = container.upgrade() else {
            return;
        };
        let pids: Vec<u32> = container
            .roots()
            .into_iter()
            .flat_map(|root| descendants(root).into_iter())
            .collect();
        if pids.is_empty() {
            return;
        }
        // Pages that processes share after a fork count twice in the quick sum, once in the slow one.
        if sum(&pids, quick) > limit_bytes && sum(&pids, exact) > limit_bytes {
            container.out_of_memory.store(true, Ordering::SeqCst);
            container.signal(Signal::SIGKILL);
            return;
        }
    }
}

fn sum(pids: &[u32], measure: fn(u32) -> Option<u64>) -> u64 {
    pids.iter().filter_map(|pid| measure(*pid)).sum()
}

/// Resident pages without files behind them.
fn quick(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    Some(kibibytes(&text, "RssAnon:")? + kibibytes(&text, "RssShmem:").unwrap_or(0))
}

/// The same, shared pages divided among those who share them.
fn exact(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    Some(kibibytes(&text, "Pss_Anon:")? + kibibytes(&text, "Pss_Shmem:").unwrap_or(0))
}

fn kibibytes(text: &str, field: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(field))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}
