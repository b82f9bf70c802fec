//! Which process holds a lease, and whether that process is known to be dead.

use std::{
    fmt, fs,
    io::{self, ErrorKind},
    os::unix::fs::MetadataExt as _,
    process,
};

use serde::{Serialize, Serializer};

/// The process that holds a lease: host name, process id and a random part, as `host:pid/random`.
///
/// The name is for people. What keeps two holders apart is the lease's number, so one process may claim
/// many times with the same holder.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Holder {
    name: String,
    /// None for a process of another system than Linux, or of an earlier version.
    process: Option<Process>,
}

/// What identifies a process on Linux, for ever and on all hosts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Process {
    /// Differs at each start of the kernel.
    boot: String,
    /// The inode of the PID namespace: a container has its own, in which process ids begin at 1.
    namespace: u64,
    pid: u32,
    /// In clock ticks since the kernel's start; process ids are used again.
    start: u64,
}

/// What is known of the process that holds a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// It runs, on this machine.
    Alive,
    /// It ran on this machine and has ended.
    Dead,
    /// It runs or ran on another machine or in another container, or can't be seen from here.
    Unknown,
}

impl Holder {
    /// This process on this host. The random part differs at each call, since process ids are
    /// used again, and in containers they are often 1.
    #[must_use]
    pub fn this_process() -> Self {
        // Without a source of randomness the name is less telling, and the lease just as good.
        let random = getrandom::u32().unwrap_or_default();
        Self {
            name: format!("{}:{}/{random:08x}", host_name(), process::id()),
            process: Process::this(),
        }
    }

    /// Reads what [`Holder::to_text`] wrote, or a name alone.
    pub(super) fn from_text(text: &str) -> Self {
        let (name, process) = text.split_once(' ').unwrap_or((text, ""));
        Self {
            name: name.to_owned(),
            process: Process::from_text(process),
        }
    }

    /// The text that is stored: the name, and what identifies the process.
    pub(super) fn to_text(&self) -> String {
        match &self.process {
            Some(process) => format!("{} {process}", self.name),
            None => self.name.clone(),
        }
    }

    /// The name, as `host:pid/random`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// The name of the host on which the process runs or ran.
    #[must_use]
    pub fn host(&self) -> &str {
        self.name.split(':').next().unwrap_or_default()
    }

    /// Whether the process still runs. It is [`Life::Dead`] only when that is certain: with the same boot
    /// id and the same PID namespace as this process, its process id is free or another process has it.
    #[must_use]
    pub fn life(&self) -> Life {
        match (&self.process, Process::this()) {
            (Some(process), Some(this)) => process.life_seen_by(&this),
            _ => Life::Unknown,
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// As it is displayed.
impl Serialize for Holder {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Process {
    fn this() -> Option<Self> {
        let pid = process::id();
        // A /proc of another PID namespace says nothing of this one's process ids.
        let shown = fs::read_link("/proc/self").ok()?;
        if shown.to_str()?.parse() != Ok(pid) {
            return None;
        }
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        Some(Self {
            boot: boot.trim().to_owned(),
            namespace: fs::metadata("/proc/self/ns/pid").ok()?.ino(),
            pid,
            start: stat(pid).ok()?.start,
        })
    }

    fn from_text(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let mut field = |name: &str| words.next()?.strip_prefix(name);
        Some(Self {
            boot: field("boot=")?.to_owned(),
            namespace: field("pidns=")?.parse().ok()?,
            pid: field("pid=")?.parse().ok()?,
            start: field("start=")?.parse().ok()?,
        })
    }

    fn life_seen_by(&self, this: &Self) -> Life {
        if (&self.boot, self.namespace) != (&this.boot, this.namespace) {
            return Life::Unknown;
        }
        match stat(self.pid) {
            Ok(stat) if stat.start != self.start || stat.has_ended => Life::Dead,
            Ok(_) => Life::Alive,
            Err(error) if error.kind() == ErrorKind::NotFound && is_free(self.pid) => Life::Dead,
            Err(_) => Life::Unknown,
        }
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            boot,
            namespace,
            pid,
            start,
        } = self;
        write!(f, "boot={boot} pidns={namespace} pid={pid} start={start}")
    }
}

struct Stat {
    start: u64,
    /// Whether it has ended and only waits for its parent to notice.
    has_ended: bool,
}

/// Fields 3 and 22 of `/proc/PID/stat` (`proc_pid_stat(5)`). The second, the program's name in brackets,
/// may hold anything.
fn stat(pid: u32) -> io::Result<Stat> {
    let text = fs::read(format!("/proc/{pid}/stat"))?;
    let text = String::from_utf8_lossy(&text);
    let fields = text.rsplit_once(')').map_or("", |(_, fields)| fields);
    let mut fields = fields.split_whitespace();
    let state = fields.next();
    let start = fields.nth(18).and_then(|start| start.parse().ok());
    Ok(Stat {
        start: start.ok_or(ErrorKind::InvalidData)?,
        has_ended: matches!(state, Some("Z" | "X")),
    })
}

/// Whether no process has this id: one of another user may only be hidden in /proc (`hidepid`).
fn is_free(pid: u32) -> bool {
    let pid = i32::try_from(pid)
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    pid.is_some_and(|pid| rustix::process::test_kill_process(pid) == Err(rustix::io::Errno::SRCH))
}

fn host_name() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname")
        .or_else(|_| fs::read_to_string("/etc/hostname"))
        .ok()
        .or_else(|| std::env::var("HOSTNAME").ok())
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "unknown-host".to_owned())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_holder_is_stored_and_read_back() {
        let holder = Holder::this_process();
        assert!(holder.process.is_some());
        assert!(!holder.as_str().contains(' '));
        assert_eq!(Holder::from_text(&holder.to_text()), holder);
        // As earlier versions wrote it.
        let old = Holder::from_text("old:1/0");
        assert_eq!((old.as_str(), old.life()), ("old:1/0", Life::Unknown));
        assert_eq!(old.to_text(), "old:1/0");
    }

    #[test]
    fn only_a_process_of_this_machine_and_container_is_judged() {
        let this = Process::this().unwrap();
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let running = Process {
            pid: child.id(),
            start: stat(child.id()).unwrap().start,
            ..this.clone()
        };
        assert_eq!(running.life_seen_by(&this), Life::Alive);
        let reused = Process {
            start: running.start - 1,
            ..running.clone()
        };
        assert_eq!(reused.life_seen_by(&this), Life::Dead);
        for elsewhere in [
            Process {
                boot: "other".to_owned(),
                ..reused.clone()
            },
            Process {
                namespace: this.namespace + 1,
                ..reused
            },
        ] {
            assert_eq!(elsewhere.life_seen_by(&this), Life::Unknown);
        }
        // Killed and not waited for by its parent, it can do nothing any more.
        child.kill().unwrap();
        while !stat(running.pid).unwrap().has_ended {
            std::thread::yield_now();
        }
        assert_eq!(running.life_seen_by(&this), Life::Dead);
        child.wait().unwrap();
        assert_eq!(running.life_seen_by(&this), Life::Dead);
    }
}
