//! The load generator and other programs that make traffic.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::netns::Netns;
use crate::tool::{output, path_of};

/// The generator, which cargo builds beside the tools.
pub fn tcpload() -> Result<PathBuf> {
    let path = path_of("tcpload");
    ensure!(path.exists(), "{} is missing: cargo build --bins", path.display());
    Ok(path)
}

/// Runs the generator in `netns` to its end and returns its report.
pub fn run(netns: &Netns, arguments: &str) -> Result<Value> {
    let text = output(netns.command(tcpload()?).args(arguments.split_whitespace()))?;
    let line = text.lines().last().context("tcpload said nothing")?;
    serde_json::from_str(line).with_context(|| format!("tcpload says {line:?}"))
}

/// A program that runs beside the test; ended when dropped.
pub struct Running {
    child: Child,
    /// Its ready message, for the generator.
    pub ready: Value,
}

impl Running {
    /// Starts `tcpload hold` and waits until all its sockets are there.
    pub fn hold(netns: &Netns, arguments: &str) -> Result<Self> {
        Self::actor(netns, "hold", arguments)
    }

    /// Starts `tcpload listen` the same way.
    pub fn listen(netns: &Netns, arguments: &str) -> Result<Self> {
        Self::actor(netns, "listen", arguments)
    }

    /// Starts `tcpload named` the same way.
    pub fn named(netns: &Netns, arguments: &str) -> Result<Self> {
        Self::actor(netns, "named", arguments)
    }

    /// Starts `tcpload pass` and waits until the socket was passed on and used.
    pub fn pass(netns: &Netns, how: &str) -> Result<Self> {
        Self::actor(netns, "pass", &format!("--how {how}"))
    }

    /// Starts the generator, which runs until dropped.
    pub fn start(netns: &Netns, arguments: &str) -> Result<Self> {
        let mut command = netns.command(tcpload()?);
        let command = command.args(arguments.split_whitespace()).stdin(Stdio::null());
        Ok(Self { child: command.stdout(Stdio::null()).spawn()?, ready: Value::Null })
    }

    fn actor(netns: &Netns, load: &str, arguments: &str) -> Result<Self> {
        let mut command = netns.command(tcpload()?);
        command.arg(load).args(arguments.split_whitespace());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().context("no standard output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let ready = serde_json::from_str(&line).with_context(|| format!("hold says {line:?}"))?;
        Ok(Self { child, ready })
    }

    /// Starts a server and waits until `port` of the namespace listens.
    pub fn server(netns: &Netns, command: &mut Command, port: u16) -> Result<Self> {
        let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().with_context(|| format!("{command:?}"))?;
        let running = Self { child, ready: Value::Null };
        let filter = format!("sport = :{port}");
        crate::tool::until("the server listens", || {
            let listening = output(netns.command("ss").args(["-Hltn", &filter]))?;
            Ok((!listening.is_empty()).then_some(()))
        })?;
        Ok(running)
    }

    /// Its process number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends what was started with [`Running::listen`].
    pub fn stop(&mut self) -> Result<()> {
        drop(self.child.stdin.take());
        let status = self.child.wait()?;
        ensure!(status.success(), "tcpload listen: {status}");
        Ok(())
    }

    /// Ends the generator's hold: every socket is reset. Returns when all its processes are gone.
    pub fn release(mut self) -> Result<()> {
        drop(self.child.stdin.take());
        let status = self.child.wait()?;
        ensure!(status.success(), "tcpload hold: {status}");
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Already gone after release().
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
