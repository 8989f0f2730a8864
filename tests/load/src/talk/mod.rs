//! Conversations over one connection each, step by step from one thread that holds both ends, so
//! that what a tool must measure is known in advance, and between which times.

mod pair;
mod scripts;

use std::net::SocketAddr;

use anyhow::{Context, Result};
use clap::Args;
use serde::Serialize;

use crate::actor;
use crate::{Target, sock};
use pair::{Case, Pair};
use scripts::{CASES, SLOW};

/// Arguments of `tcpload talk`.
#[derive(Args)]
pub struct Talk {
    /// With cases that take seconds, or take the loopback down for a moment
    #[arg(long)]
    slow: bool,
    #[command(flatten)]
    target: Target,
}

#[derive(Serialize)]
struct Report {
    kind: &'static str,
    pid: u32,
    cases: Vec<Case>,
}

impl Talk {
    /// Holds all conversations and prints what must be seen of them.
    pub fn run(self) -> Result<()> {
        actor::rename(b"talker")?;
        let listener = sock::listen(SocketAddr::new(self.target.ip(), self.target.port), false)?;
        let slow = if self.slow { &SLOW[..] } else { &[] };
        let mut cases = Vec::new();
        for &(name, script) in CASES.iter().chain(slow) {
            let mut pair = Pair::new(name, &listener)?;
            script(&mut pair).context(name)?;
            cases.push(pair.case);
        }
        actor::say(&Report { kind: "talk", pid: std::process::id(), cases })
    }
}
