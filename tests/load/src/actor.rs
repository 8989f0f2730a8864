//! What every process of the generator does: take a name, die with its parent, end in time.

use std::ffi::CString;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Signal, getppid, set_parent_process_death_signal};
use rustix::time::{ClockId, clock_gettime};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// No process of the generator lives longer than this, whatever happens to the others.
const LIFETIME: Duration = Duration::from_mins(15);

/// Where a child finds the process it must not outlive.
const PARENT: &str = "TCPLOAD_PARENT";

/// Takes `name` as the process name, any bytes but NUL (the kernel keeps the first 15).
pub fn rename(name: &[u8]) -> Result<()> {
    let name = CString::new(name).context("a process name has no NUL byte")?;
    rustix::thread::set_name(&name).context("prctl(PR_SET_NAME)")
}

/// Bounds this process: it ends with its parent when it is a child, and in any case in time.
pub fn bound() -> Result<()> {
    if let Ok(parent) = std::env::var(PARENT) {
        set_parent_process_death_signal(Some(Signal::KILL)).context("PR_SET_PDEATHSIG")?;
        // The parent may have died before the line above.
        let now = getppid().map(|pid| pid.as_raw_nonzero().to_string());
        ensure!(now.as_deref() == Some(&parent), "the parent process is gone");
    }
    thread::Builder::new().name("tcpload-limit".into()).spawn(|| {
        thread::sleep(LIFETIME);
        std::process::exit(124);
    })?;
    Ok(())
}

/// The file of this program.
pub fn program() -> Result<PathBuf> {
    std::env::current_exe().context("own path")
}

/// A command that starts another actor of this same program.
pub fn actor(subcommand: &str) -> Result<Command> {
    let mut command = Command::new(program()?);
    command.arg(subcommand).env(PARENT, std::process::id().to_string());
    Ok(command)
}

/// A command that does not end with this process; `program` leads to this one.
pub fn orphan(program: &Path, subcommand: &str) -> Command {
    let mut command = Command::new(program);
    command.arg(subcommand).env_remove(PARENT);
    command
}

/// An actor in the network namespace of this name, in the same process.
pub fn actor_in(netns: Option<&str>, subcommand: &str) -> Result<Command> {
    let inner = actor(subcommand)?;
    let Some(netns) = netns else { return Ok(inner) };
    let mut command = Command::new("ip");
    command.args(["netns", "exec", netns]).arg(inner.get_program()).args(inner.get_args());
    command.env(PARENT, std::process::id().to_string());
    Ok(command)
}

/// A child that speaks JSON Lines on its standard output and works until its standard input ends.
pub struct Peer {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Peer {
    /// Starts `command` with both streams connected.
    pub fn start(command: &mut Command) -> Result<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().context("the child has no standard output")?;
        Ok(Self { child, lines: BufReader::new(stdout) })
    }

    /// The process number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line; an error when the child ended without one.
    pub fn line<T: DeserializeOwned>(&mut self) -> Result<T> {
        let mut line = String::new();
        if self.lines.read_line(&mut line)? == 0 {
            bail!("actor {} ended: {}", self.child.id(), self.child.wait()?);
        }
        serde_json::from_str(&line).with_context(|| format!("actor says {line:?}"))
    }

    /// Lets the child's standard input end, so that it finishes by itself.
    pub fn release(&mut self) {
        drop(self.child.stdin.take());
    }

    /// Releases the child and waits for its end.
    pub fn finish(mut self) -> Result<()> {
        self.release();
        let status = self.child.wait()?;
        ensure!(status.success(), "actor {} ended: {status}", self.child.id());
        Ok(())
    }
}

/// What a server says when it listens.
#[derive(Serialize, Deserialize)]
pub struct Ready {
    pub port: u16,
}

impl Ready {
    /// Says it of this listener.
    pub fn say(listener: &TcpListener) -> Result<()> {
        say(&Self { port: listener.local_addr()?.port() })
    }
}

/// Prints one line of JSON at once.
pub fn say(value: &impl Serialize) -> Result<()> {
    let mut line = serde_json::to_string(value)?;
    line.push('\n');
    // One write: several actors may share the pipe.
    io::stdout().lock().write_all(line.as_bytes()).context("standard output")
}

/// Blocks until standard input ends.
pub fn until_stdin_ends() -> Result<()> {
    io::stdin().lock().read_to_end(&mut Vec::new()).context("standard input")?;
    Ok(())
}

/// `CLOCK_MONOTONIC` in nanoseconds: the clock of BPF programs, and one for all processes.
pub fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let parts = (u64::try_from(now.tv_sec), u64::try_from(now.tv_nsec));
    let (Ok(seconds), Ok(nanoseconds)) = parts else { return 0 };
    seconds * 1_000_000_000 + nanoseconds
}
