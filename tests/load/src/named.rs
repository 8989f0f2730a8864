//! A process with any name that makes a few connections.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde::Serialize;

use crate::{Target, actor, sock};

/// Arguments of `tcpload named`.
#[derive(Args)]
pub struct Named {
    /// The name's bytes in hexadecimal
    #[arg(long, value_parser = bytes)]
    comm_hex: Name,
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    conns: u32,
    /// Keep the listener and a last connection until standard input ends
    #[arg(long)]
    hold: bool,
    #[command(flatten)]
    target: Target,
}

/// A process name: any bytes.
#[derive(Clone)]
struct Name(Vec<u8>);

#[derive(Serialize)]
struct Report {
    kind: &'static str,
    pid: u32,
    port: u16,
    connections: u32,
    /// Bytes sent, and bytes received.
    bytes: u32,
}

fn bytes(hex: &str) -> Result<Name> {
    ensure!(hex.len().is_multiple_of(2) && hex.is_ascii(), "an even number of digits");
    let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).context("hexadecimal digits");
    Ok(Name((0..hex.len()).step_by(2).map(byte).collect::<Result<_>>()?))
}

impl Named {
    /// Makes the connections to itself.
    pub fn run(self) -> Result<()> {
        actor::rename(&self.comm_hex.0)?;
        let listener = sock::listen(SocketAddr::new(self.target.ip(), self.target.port), false)?;
        let to = listener.local_addr()?;
        for _ in 0..self.conns {
            let mut client = TcpStream::connect(to)?;
            let (mut server, _) = listener.accept()?;
            client.write_all(b"q")?;
            server.read_exact(&mut [0])?;
            server.write_all(b"a")?;
            client.read_exact(&mut [0])?;
            drop(client);
            sock::drain(&server)?;
        }
        let held = self.hold.then(|| anyhow::Ok((TcpStream::connect(to)?, listener.accept()?)));
        let held = held.transpose()?;
        actor::say(&Report {
            kind: "named",
            pid: std::process::id(),
            port: to.port(),
            connections: self.conns,
            bytes: 2 * self.conns,
        })?;
        if held.is_some() {
            io::copy(&mut io::stdin(), &mut io::sink())?;
        }
        Ok(())
    }
}
