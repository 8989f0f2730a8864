//! tcpload: bounded TCP load with numbers known in advance, for the live tests, the
//! lab, the demo and the benchmark. Every process it starts ends with it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

mod actor;
mod ask;
mod burst;
mod churn;
mod connects;
mod hold;
mod life;
mod listen;
mod named;
mod nbsend;
mod pass;
mod raw;
mod reqresp;
mod ring;
mod sock;
mod talk;

/// Makes TCP load of a known amount and prints, as JSON, what it did.
#[derive(Parser)]
#[command(name = "tcpload")]
struct Cli {
    #[command(subcommand)]
    load: Load,
}

#[derive(Subcommand)]
enum Load {
    /// Short connections, one byte in each direction, at full speed
    Churn(churn::Churn),
    /// Requests and answers of a fixed size on kept connections
    Reqresp(reqresp::Reqresp),
    /// Requests that a server takes and answers through `io_uring`
    Ring(ring::Ring),
    /// Requests that the server sleeps over
    Ask(ask::Ask),
    /// Connects that fail, or succeed late
    Connects(connects::Connects),
    /// Conversations of every shape, with the latencies that they must show
    Talk(talk::Talk),
    /// A scripted life of connections that end in every manner, with the expected transitions
    Life(life::Life),
    /// A listener with more clients than it takes
    Listen(listen::Listen),
    /// Bursts of clients at a server that accepts at a known pace
    Burst(burst::Burst),
    /// Many sockets in one state, until standard input ends
    Hold(hold::Hold),
    /// A few connections by a process with any name
    Named(named::Named),
    /// A non-blocking sender that fills its buffer
    Nbsend(nbsend::Nbsend),
    /// A socket that another process uses than the one that opened it, until standard input ends
    Pass(pass::Pass),
    #[command(hide = true)]
    ChurnServer(churn::Server),
    #[command(hide = true)]
    ReqrespServer(reqresp::Server),
    #[command(hide = true)]
    AskServer(ask::Server),
    #[command(hide = true)]
    LifeMaster,
    #[command(hide = true)]
    LifeWorker(life::worker::Worker),
    #[command(hide = true)]
    LifeClient(life::client::Client),
    #[command(hide = true)]
    HoldPart(hold::Part),
    #[command(hide = true)]
    NbsendReader(nbsend::Reader),
    #[command(hide = true)]
    PassGiver(pass::Giver),
    #[command(hide = true)]
    PassUser(pass::User),
}

/// Where the traffic goes.
#[derive(Args, Clone)]
struct Target {
    /// Use the IPv6 loopback address
    #[arg(short = '6', long = "ipv6", conflicts_with = "addr")]
    ipv6: bool,
    /// The server's address; it must be this machine's
    #[arg(long)]
    addr: Option<IpAddr>,
    /// The server's port; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
}

impl Target {
    fn ip(&self) -> IpAddr {
        let loopback: IpAddr =
            if self.ipv6 { Ipv6Addr::LOCALHOST.into() } else { Ipv4Addr::LOCALHOST.into() };
        self.addr.unwrap_or(loopback)
    }

    fn socket_addr(&self) -> SocketAddr {
        SocketAddr::new(self.ip(), self.port)
    }

    /// The flags that give this target to another actor.
    fn args(&self) -> [String; 4] {
        ["--addr".into(), self.ip().to_string(), "--port".into(), self.port.to_string()]
    }
}

fn main() -> Result<()> {
    actor::bound()?;
    match Cli::parse().load {
        Load::Churn(load) => load.run(),
        Load::Reqresp(load) => load.run(),
        Load::Ring(load) => load.run(),
        Load::Ask(load) => load.run(),
        Load::Connects(load) => load.run(),
        Load::Talk(load) => load.run(),
        Load::Life(load) => load.run(),
        Load::Hold(load) => load.run(),
        Load::Listen(load) => load.run(),
        Load::Burst(load) => load.run(),
        Load::Named(load) => load.run(),
        Load::Nbsend(load) => load.run(),
        Load::ChurnServer(server) => server.run(),
        Load::ReqrespServer(server) => server.run(),
        Load::AskServer(server) => server.run(),
        Load::LifeMaster => life::master::run(),
        Load::LifeWorker(worker) => worker.run(),
        Load::LifeClient(client) => client.run(),
        Load::HoldPart(part) => part.run(),
        Load::NbsendReader(reader) => reader.run(),
        Load::Pass(load) => load.run(),
        Load::PassGiver(giver) => giver.run(),
        Load::PassUser(user) => user.run(),
    }
}
