//! A private network namespace: no other traffic, and counters that begin at 0.

use std::os::unix::fs::MetadataExt;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};

use tcpscope::kernel;

use crate::tool::output;

/// The network of a pair, and the addresses of both ends.
pub const PREFIX: &str = "10.117.0.";
pub const NEAR: &str = "10.117.0.1";
pub const FAR: &str = "10.117.0.2";

/// A namespace with its loopback up, removed when dropped.
pub struct Netns {
    name: String,
}

impl Netns {
    /// Creates it. Tests run at the same time: `label` is only for people.
    pub fn new(label: &str) -> Result<Self> {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("tcpscope-test-{}-{number}-{label}", std::process::id());
        output(Command::new("ip").args(["netns", "add", &name]))?;
        let netns = Self { name };
        output(Command::new("ip").args(["-n", &netns.name, "link", "set", "lo", "up"]))?;
        Ok(netns)
    }

    /// Two of them with a link between, which both call `far`, and addresses [`NEAR`] and [`FAR`]. Nobody
    /// asks who the other is.
    pub fn pair() -> Result<(Self, Self)> {
        let ends = (Self::new("near")?, Self::new("far")?);
        let (near, far) = &ends;
        let link = ["link", "add", "far", "type", "veth", "peer", "name", "far", "netns"];
        near.ip(&[&link[..], &[far.name()]].concat())?;
        let hardware = ["02:00:00:00:00:01", "02:00:00:00:00:02"];
        for (netns, own, other) in [
            (near, (NEAR, hardware[0]), (FAR, hardware[1])),
            (far, (FAR, hardware[1]), (NEAR, hardware[0])),
        ] {
            netns.ip(&["link", "set", "far", "address", own.1, "up"])?;
            netns.ip(&["address", "add", &format!("{}/24", own.0), "dev", "far"])?;
            netns.ip(&["neighbour", "replace", other.0, "lladdr", other.1, "dev", "far"])?;
        }
        Ok(ends)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Takes the name from it: it ends when nothing else is in it.
    pub fn unname(&self) -> Result<()> {
        output(Command::new("ip").args(["netns", "del", &self.name])).map(drop)
    }

    /// Makes a new one of the same name.
    pub fn rename(&self) -> Result<()> {
        output(Command::new("ip").args(["netns", "add", &self.name]))?;
        self.ip(&["link", "set", "lo", "up"])
    }

    /// Runs `ip` inside.
    pub fn ip(&self, arguments: &[&str]) -> Result<()> {
        output(Command::new("ip").args(["-n", &self.name]).args(arguments))?;
        Ok(())
    }

    /// What `--netns` takes.
    pub fn path(&self) -> String {
        format!("/run/netns/{}", self.name)
    }

    /// The number that JSON shows.
    pub fn inode(&self) -> Result<u64> {
        Ok(std::fs::metadata(self.path()).context("the namespace's file")?.ino())
    }

    /// Does something inside, in this thread: a socket made there stays there.
    pub fn within<T>(&self, inside: impl FnOnce() -> Result<T>) -> Result<T> {
        kernel::netns::Netns::find(u32::try_from(self.inode()?)?)?.within(inside)
    }

    /// `program` to be run inside; it becomes the process itself.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }

    /// Sets sysctls of the namespace (`net.ipv4.tcp_rfc1337=1`).
    pub fn sysctl(&self, settings: &[&str]) -> Result<()> {
        output(self.command("sysctl").arg("-q").args(settings))?;
        Ok(())
    }

    /// The absolute counters of nstat (`TcpActiveOpens` …).
    pub fn counter(&self, name: &str) -> Result<u64> {
        let text = output(self.command("nstat").args(["-asz", name]))?;
        let line = text.lines().find(|line| line.starts_with(name));
        let value = line.and_then(|line| line.split_whitespace().nth(1));
        Ok(value.with_context(|| format!("no {name} in {text:?}"))?.parse()?)
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        // A failure here cannot be handled; the name shows the owner.
        let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}
