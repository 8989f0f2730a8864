//! The listening process: a pre-fork server whose workers accept.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::process::{Child, Stdio};

use anyhow::Result;

use super::{Listeners, Ready};
use crate::{actor, sock};

/// Workers of each listener that accepts at once.
const WORKERS: usize = 2;

/// Listens, starts the workers, and ends them when standard input ends.
pub fn run() -> Result<()> {
    actor::rename(b"life-master")?;
    let v4 = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, 0));
    let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
    let mut workers = Vec::new();
    let mut open = Vec::new();
    let mut listen = |addr, both, late| -> Result<u16> {
        let listener = sock::listen(addr, both)?;
        sock::small_window(&listener)?;
        for _ in 0..if late { 1 } else { WORKERS } {
            workers.push(start_worker(&listener, late)?);
        }
        let port = listener.local_addr()?.port();
        open.push(listener);
        Ok(port)
    };
    let (refuse_v4, refuse_v6) = (sock::bound(v4)?, sock::bound(v6)?);
    let listeners = Listeners {
        v4: listen(v4, false, false)?,
        v6: listen(v6, false, false)?,
        both: listen(any, true, false)?,
        late_v4: listen(v4, false, true)?,
        late_v6: listen(v6, false, true)?,
        late_both: listen(any, true, true)?,
        refuse_v4: refuse_v4.local_addr()?.port(),
        refuse_v6: refuse_v6.local_addr()?.port(),
    };
    let pids = workers.iter().map(Child::id).collect();
    actor::say(&Ready { pid: std::process::id(), workers: pids, listeners })?;
    actor::until_stdin_ends()?;
    // The master closes the listeners last, so that their end is its own.
    for mut worker in workers {
        worker.kill()?;
        worker.wait()?;
    }
    drop(open);
    Ok(())
}
/// Starts a worker with the listener as standard input.
fn start_worker(listener: &TcpListener, late: bool) -> Result<Child> {
    let mut command = actor::actor("life-worker")?;
    if late {
        command.arg("--late");
    }
    Ok(command.stdin(Stdio::from(OwnedFd::from(listener.try_clone()?))).spawn()?)
}
