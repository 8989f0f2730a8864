//! Sockets that change hands: the process that uses one is not the one that opened or accepted it.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize};

use crate::actor::{self, Peer};
use crate::sock;

/// Names of both processes.
const GIVER: &[u8] = b"giver";
const USER: &[u8] = b"user";

/// Bytes of a request, and of its answer.
const SIZE: usize = 100;

/// What is passed on, and how.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum How {
    /// An accepted connection, to a child
    Child,
    /// An accepted connection, to a process that runs already (`SCM_RIGHTS`)
    Scm,
    /// A listener, to a child; the parent ends
    Daemon,
    /// A listener, to a child; the parent keeps it
    Activate,
    /// A listener, to another program in the same process
    Exec,
    /// A connection that has been used, to a child; the parent ends
    Client,
}

impl How {
    fn passes_listener(self) -> bool {
        matches!(self, Self::Daemon | Self::Activate | Self::Exec)
    }

    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

/// Arguments of `tcpload pass`.
#[derive(Args)]
pub struct Pass {
    /// What is passed on, and how
    #[arg(long)]
    how: How,
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    requests: u32,
}

/// Arguments of the process that passes a socket on.
#[derive(Args)]
pub struct Giver {
    #[arg(long)]
    how: How,
    #[arg(long)]
    port: u16,
    #[arg(long)]
    requests: u32,
}

/// Arguments of the process that gets it as its standard input.
#[derive(Args)]
pub struct User {
    #[arg(long)]
    how: How,
    #[arg(long)]
    requests: u32,
}

/// Which process is which, and the port of the service.
#[derive(Serialize, Deserialize)]
struct Who {
    pid: u32,
    port: u16,
}

#[derive(Serialize)]
struct Ready {
    kind: &'static str,
    giver: u32,
    user: u32,
    port: u16,
    /// Answered by the user, or asked by it.
    requests: u32,
    bytes: u64,
}

fn say(port: u16) -> Result<()> {
    actor::say(&Who { pid: std::process::id(), port })
}

/// Answers requests until the other end has closed.
fn answer(mut stream: &TcpStream) -> Result<()> {
    let mut bytes = [0; SIZE];
    while stream.read_exact(&mut bytes).is_ok() {
        stream.write_all(&bytes)?;
    }
    Ok(())
}

fn ask(mut stream: &TcpStream, requests: u32) -> Result<()> {
    let mut bytes = [b'q'; SIZE];
    for _ in 0..requests {
        stream.write_all(&bytes)?;
        stream.read_exact(&mut bytes)?;
    }
    Ok(())
}

impl Pass {
    /// Has a socket passed on and used, and keeps everything open until standard input ends.
    pub fn run(self) -> Result<()> {
        let Self { how, requests } = self;
        let own = (how == How::Client).then(|| sock::listen("127.0.0.1:0".parse()?, false));
        let own = own.transpose()?;
        let port = own.as_ref().map_or(Ok(0), |own| own.local_addr().map(|at| at.port()))?;
        let mut command = actor::actor("pass-giver")?;
        command.args(["--how", &how.name(), "--port", &port.to_string()]);
        let mut peer = Peer::start(command.args(["--requests", &requests.to_string()]))?;
        let giver: Who = peer.line()?;
        let stream = match &own {
            Some(listener) => listener.accept()?.0,
            None => TcpStream::connect(("127.0.0.1", giver.port))?,
        };
        let user: Who = if own.is_some() {
            let mut request = [0; SIZE];
            let mut answer = || -> Result<()> {
                (&stream).read_exact(&mut request)?;
                Ok((&stream).write_all(&request)?)
            };
            answer()?;
            let user = peer.line()?;
            (0..requests).try_for_each(|_| answer())?;
            user
        } else {
            let user = peer.line()?;
            ask(&stream, requests)?;
            user
        };
        actor::say(&Ready {
            kind: "pass",
            giver: giver.pid,
            user: user.pid,
            port: if how == How::Client { port } else { giver.port },
            requests,
            bytes: u64::from(requests) * SIZE as u64,
        })?;
        actor::until_stdin_ends()?;
        stream.shutdown(Shutdown::Write)?;
        peer.finish()
    }
}

/// A user whose standard input is the socket. It outlives the giver, and ends with the connection.
fn user(program: &Path, how: How, requests: u32, input: impl Into<OwnedFd>) -> Command {
    let mut command = actor::orphan(program, "pass-user");
    command.args(["--how", &how.name(), "--requests", &requests.to_string()]);
    command.stdin(Stdio::from(input.into()));
    command
}

/// Starts it; from then on it alone has the socket. Its file has its name, so that it has the name before a tool
/// can find it.
fn start(how: How, requests: u32, input: impl Into<OwnedFd>) -> Result<Child> {
    let folder = std::env::temp_dir().join(format!("tcpload-{}", std::process::id()));
    fs::create_dir(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let program = folder.join(OsStr::from_bytes(USER));
    let child = symlink(actor::program()?, &program)
        .and_then(|()| user(&program, how, requests, input).spawn());
    fs::remove_dir_all(&folder)?;
    Ok(child?)
}

impl Giver {
    /// Opens a socket and passes it on.
    pub fn run(self) -> Result<()> {
        let Self { how, port, requests } = self;
        actor::rename(GIVER)?;
        if how == How::Client {
            let stream = TcpStream::connect(("127.0.0.1", port))?;
            say(port)?;
            ask(&stream, 1)?;
            start(how, requests, stream)?;
            return Ok(());
        }
        let listener = sock::listen("127.0.0.1:0".parse()?, false)?;
        let port = listener.local_addr()?.port();
        if how == How::Scm {
            let (ours, theirs) = UnixStream::pair()?;
            say(port)?;
            let mut child = start(how, requests, theirs)?;
            send(&ours, &listener.accept()?.0)?;
            child.wait()?;
            return Ok(());
        }
        say(port)?;
        match how {
            How::Child => {
                start(how, requests, listener.accept()?.0)?.wait()?;
            }
            How::Daemon => {
                start(how, requests, listener)?;
            }
            How::Activate => {
                start(how, requests, listener.try_clone()?)?.wait()?;
            }
            _ => return Err(user(&actor::program()?, how, requests, listener).exec().into()),
        }
        Ok(())
    }
}

/// Gives a connection away.
fn send(to: &UnixStream, stream: &TcpStream) -> Result<()> {
    let descriptors = [stream.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&descriptors));
    sendmsg(to, &[io::IoSlice::new(b"x")], &mut control, SendFlags::empty())?;
    Ok(())
}

fn receive(from: impl AsFd) -> Result<TcpStream> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    recvmsg(from, &mut [io::IoSliceMut::new(&mut [0])], &mut control, RecvFlags::empty())?;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(mut descriptors) = message {
            return Ok(descriptors.next().context("no descriptor")?.into());
        }
    }
    bail!("no descriptor came")
}

impl User {
    /// Uses the socket that is, or comes through, its standard input.
    pub fn run(self) -> Result<()> {
        let Self { how, requests } = self;
        actor::rename(USER)?;
        let input = io::stdin().as_fd().try_clone_to_owned()?;
        say(0)?;
        if how == How::Client {
            let stream = TcpStream::from(input);
            ask(&stream, requests)?;
            // The other end closes first.
            return answer(&stream);
        }
        let stream = match how {
            How::Scm => receive(&input)?,
            _ if how.passes_listener() => TcpListener::from(input).accept()?.0,
            _ => TcpStream::from(input),
        };
        answer(&stream)
    }
}
