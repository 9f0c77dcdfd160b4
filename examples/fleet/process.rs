//! Servers as processes on a core of their own, and what they take of it.

use std::{
    fs,
    io::{self, Write},
    process::{Child, ChildStdin, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result};
use rustix::{
    process::{Resource, Rlimit, getrlimit, setrlimit},
    thread::{CpuSet, sched_getaffinity, sched_setaffinity},
};

/// A running server; it ends with its owner.
#[derive(Debug)]
pub struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
}

/// Which core is whose: the first for the server, another for the sidecars where there is one.
#[derive(Debug, Clone)]
pub struct Cores {
    server: CpuSet,
    sidecars: CpuSet,
}

impl Cores {
    /// Takes the first two of those this process may use, and moves this thread to the second.
    pub fn take() -> io::Result<Self> {
        let allowed = sched_getaffinity(None)?;
        let mut cores = (0..CpuSet::MAX_CPU).filter(|&core| allowed.is_set(core));
        let only = |core: Option<usize>| {
            let Some(core) = core else { return allowed };
            let mut set = CpuSet::new();
            set.set(core);
            set
        };
        let server = only(cores.next());
        let sidecars = cores.next().map_or(server, |core| only(Some(core)));
        sched_setaffinity(None, &sidecars)?;
        Ok(Self { server, sidecars })
    }

    /// Starts a server on its core: a child inherits the place of the thread that starts it.
    pub fn start(&self, command: &mut Command) -> Result<Process> {
        sched_setaffinity(None, &self.server)?;
        let child = command.stdin(Stdio::piped()).spawn();
        sched_setaffinity(None, &self.sidecars)?;
        let mut child = child.with_context(|| format!("starting {}", command.get_program().display()))?;
        let stdin = child.stdin.take();
        Ok(Process { child, stdin })
    }
}

/// As many open files as the system grants; children inherit it.
pub fn raise_file_limit() -> io::Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    Ok(())
}

impl Process {
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Says a line to its standard input.
    pub fn say(&mut self, line: &str) -> io::Result<()> {
        let stdin = self.stdin.as_mut().ok_or_else(|| io::Error::other("the server's standard input is closed"))?;
        writeln!(stdin, "{line}")?;
        stdin.flush()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Processor time that a process has taken, its own and the kernel's for it.
pub fn cpu(id: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).context("the server is gone")?;
    // Behind the command's name, which may have spaces, the 12th and 13th are utime and stime.
    let behind = stat.rsplit_once(')').map_or("", |(_, behind)| behind);
    let ticks = |position: usize| behind.split_whitespace().nth(position).and_then(|ticks| ticks.parse::<u64>().ok());
    let (user, system) = ticks(11).zip(ticks(12)).context("/proc/PID/stat reads otherwise than expected")?;
    Ok(Duration::from_millis((user + system) * 1000 / rustix::param::clock_ticks_per_second()))
}

/// Resident memory of a process, in bytes.
pub fn resident(id: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).context("the server is gone")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS in /proc/PID/status")?;
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().context("VmRSS is no number")?;
    Ok(kilobytes * 1024)
}
