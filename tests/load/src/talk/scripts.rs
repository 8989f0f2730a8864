//! The conversations.

use std::io::Write;
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::net::{SendFlags, Shutdown, sockopt};

use super::pair::{BYTES, Bounds, PAUSE, Pair, Step, arrived, pause, recv, send};
use crate::actor::now_ns;

/// A conversation.
pub type Script = fn(&mut Pair) -> Result<()>;

pub const CASES: [(&str, Script); 9] = [
    ("several sends before an answer", Pair::several_sends),
    ("an answer in many segments", Pair::long_answer),
    ("an answer before the request is complete", Pair::early_answer),
    ("pipelined requests", Pair::pipelined),
    ("a greeting", Pair::greeting),
    ("both at once", Pair::at_once),
    ("MSG_MORE", Pair::held_back),
    ("a send that fails", Pair::failed_send),
    ("half closed", Pair::half_closed),
];

/// Those that take seconds, or the loopback away.
pub const SLOW: [(&str, Script); 2] =
    [("keep-alive pings", Pair::keepalive), ("a request sent again", Pair::lost)];

impl Pair {
    /// One request, one answer after a pause.
    fn exchange(&mut self) -> Result<()> {
        let request = send(&self.client)?;
        let came = recv(&self.server, BYTES)?;
        pause();
        let answer = send(&self.server)?;
        let read = recv(&self.client, BYTES)?;
        self.response(request, answer, read, BYTES);
        self.service(request, came, answer);
        Ok(())
    }

    fn several_sends(&mut self) -> Result<()> {
        let first = send(&self.client)?;
        let came = recv(&self.server, BYTES)?;
        pause();
        send(&self.client)?;
        pause();
        let last = send(&self.client)?;
        recv(&self.server, 2 * BYTES)?;
        pause();
        let answer = send(&self.server)?;
        let read = recv(&self.client, BYTES)?;
        self.response(last, answer, read, 3 * BYTES);
        self.service(first, came, answer);
        self.exchange()
    }

    fn long_answer(&mut self) -> Result<()> {
        let request = send(&self.client)?;
        let came = recv(&self.server, BYTES)?;
        pause();
        let answer = send(&self.server)?;
        let read = recv(&self.client, BYTES)?;
        for _ in 0..3 {
            pause();
            send(&self.server)?;
            recv(&self.client, BYTES)?;
        }
        self.response(request, answer, read, BYTES);
        self.service(request, came, answer);
        self.exchange()
    }

    /// The server answers before the request is complete, and once more what comes after.
    fn early_answer(&mut self) -> Result<()> {
        let first = send(&self.client)?;
        let came = recv(&self.server, BYTES / 2)?;
        pause();
        let early = send(&self.server)?;
        let read = recv(&self.client, BYTES)?;
        self.response(first, early, read, BYTES);
        self.service(first, came, early);
        pause();
        let rest = send(&self.client)?;
        let came = recv(&self.server, BYTES - BYTES / 2 + BYTES)?;
        pause();
        let answer = send(&self.server)?;
        let read = recv(&self.client, BYTES)?;
        self.response(rest, answer, read, BYTES);
        self.service(rest, came, answer);
        Ok(())
    }

    /// Three requests in flight are answered one by one: the first answer ends the
    /// exchange.
    fn pipelined(&mut self) -> Result<()> {
        let first = send(&self.client)?;
        send(&self.client)?;
        let last = send(&self.client)?;
        let came = recv(&self.server, 3 * BYTES)?;
        pause();
        let answer = send(&self.server)?;
        let read = recv(&self.client, BYTES)?;
        for _ in 0..2 {
            pause();
            send(&self.server)?;
            recv(&self.client, BYTES)?;
        }
        self.response(last, answer, read, 3 * BYTES);
        self.service(first, came, answer);
        self.exchange()
    }

    /// What the server says unasked answers nothing.
    fn greeting(&mut self) -> Result<()> {
        send(&self.server)?;
        recv(&self.client, BYTES)?;
        pause();
        self.exchange()
    }

    /// Both speak before either listens: each hears the other's words as the answer to its own.
    fn at_once(&mut self) -> Result<()> {
        let asked = send(&self.client)?;
        // The request lies in the server's socket, unread, though a softirq may bring it late.
        let there = arrived(&self.server)?;
        let said = send(&self.server)?;
        recv(&self.server, BYTES)?;
        let read = recv(&self.client, BYTES)?;
        self.response(asked, said, read, BYTES);
        self.service(asked, there, said);
        self.exchange()
    }

    /// `MSG_MORE` holds the beginning back: it is sent with the end.
    fn held_back(&mut self) -> Result<()> {
        rustix::net::send(&self.client, &[7; BYTES], SendFlags::MORE).context("MSG_MORE")?;
        pause();
        let last = send(&self.client)?;
        let came = recv(&self.server, 2 * BYTES)?;
        pause();
        let answer = send(&self.server)?;
        let read = recv(&self.client, BYTES)?;
        self.response(last, answer, read, 2 * BYTES);
        self.service(last, came, answer);
        self.exchange()
    }

    /// A send that fails is no send.
    fn failed_send(&mut self) -> Result<()> {
        self.client.set_nonblocking(true)?;
        let (mut sent, mut last) = (0, Step { from: 0, to: 0 });
        let block = vec![7; 65_536];
        let mut fails = 0;
        // The second failure comes long after the last bytes that were taken.
        while fails < 2 {
            let from = now_ns();
            match (&self.client).write(&block) {
                Ok(bytes) => (sent, last, fails) = (sent + bytes, Step { from, to: now_ns() }, 0),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    fails += 1;
                    pause();
                }
                Err(error) => return Err(error.into()),
            }
        }
        let first = last;
        self.client.set_nonblocking(false)?;
        recv(&self.server, sent)?;
        let answer = send(&self.server)?;
        let read = recv(&self.client, BYTES)?;
        self.response(last, answer, read, sent);
        // When its first bytes came is not known here, only that it was before the first pause.
        self.case
            .services
            .push(Bounds((2 * PAUSE).as_nanos().try_into()?, answer.to - first.from + 500_000_000));
        self.exchange()
    }

    /// The client has nothing more to say.
    fn half_closed(&mut self) -> Result<()> {
        self.exchange()?;
        let request = send(&self.client)?;
        rustix::net::shutdown(&self.client, Shutdown::Write)?;
        let came = recv(&self.server, BYTES)?;
        pause();
        let answer = send(&self.server)?;
        let read = recv(&self.client, BYTES)?;
        self.response(request, answer, read, BYTES);
        self.service(request, came, answer);
        self.case.half_closed = true;
        Ok(())
    }

    /// Pings while the server thinks for long.
    fn keepalive(&mut self) -> Result<()> {
        sockopt::set_socket_keepalive(&self.server, true)?;
        sockopt::set_tcp_keepidle(&self.server, Duration::from_secs(1))?;
        sockopt::set_tcp_keepintvl(&self.server, Duration::from_secs(1))?;
        let request = send(&self.client)?;
        let came = recv(&self.server, BYTES)?;
        thread::sleep(Duration::from_millis(2_500));
        let answer = send(&self.server)?;
        let read = recv(&self.client, BYTES)?;
        self.response(request, answer, read, BYTES);
        self.service(request, came, answer);
        Ok(())
    }

    /// A request that is lost once.
    fn lost(&mut self) -> Result<()> {
        self.exchange()?;
        loopback("down")?;
        let request = send(&self.client)?;
        pause();
        loopback("up")?;
        let came = recv(&self.server, BYTES)?;
        pause();
        let answer = send(&self.server)?;
        let read = recv(&self.client, BYTES)?;
        self.response(request, answer, read, BYTES);
        // It comes when it is retransmitted, between the two.
        self.service(request, came, answer);
        self.case.retrans = 1;
        Ok(())
    }
}

fn loopback(state: &str) -> Result<()> {
    let done = Command::new("ip").args(["link", "set", "lo", state]).status()?;
    ensure!(done.success(), "ip link set lo {state}: {done}");
    Ok(())
}
