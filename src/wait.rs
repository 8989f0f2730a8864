//! Waits for time, signals, the ring buffer, or a closed reader.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Instant;

use rustix::event::epoll;

use crate::report::Stop;

/// What ended a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// The time is over, or the ring buffer asks to be read.
    Work,
    /// SIGINT, SIGTERM or SIGHUP: finish.
    Stop,
    /// The reader of our output is gone.
    OutputClosed,
}

const SIGNAL: u64 = 0;
const RING: u64 = 1;
const OUTPUT: u64 = 2;

/// One epoll for everything a tool waits for.
#[derive(Debug)]
pub struct Waiter {
    epoll: OwnedFd,
}

impl Waiter {
    /// Ends waits as soon as `stop` is requested.
    ///
    /// # Errors
    /// Descriptors cannot be had.
    pub fn new(stop: &Stop) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, stop, epoll::EventData::new_u64(SIGNAL), epoll::EventFlags::IN)?;
        Ok(Self { epoll })
    }

    /// Ends waits when the programs ask for it. Edge-triggered: records that may wait for
    /// the next batch are no reason to wake.
    ///
    /// # Errors
    /// epoll refuses the descriptor.
    pub fn watch_ring(&self, map: BorrowedFd<'_>) -> io::Result<()> {
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
        Ok(epoll::add(&self.epoll, map, epoll::EventData::new_u64(RING), flags)?)
    }

    /// Ends waits when the other end of a pipe or socket is gone. Files have no other end.
    pub fn watch_output(&self, output: BorrowedFd<'_>) {
        // A regular file cannot be polled (EPERM), and need not be.
        let _ = epoll::add(
            &self.epoll,
            output,
            epoll::EventData::new_u64(OUTPUT),
            epoll::EventFlags::empty(),
        );
    }

    /// Waits until `deadline`, or less.
    ///
    /// # Errors
    /// epoll fails.
    pub fn wait(&self, deadline: Instant) -> io::Result<Wake> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = rustix::event::Timespec::try_from(left).map_err(io::Error::other)?;
            let mut events = Vec::with_capacity(3);
            match epoll::wait(
                &self.epoll,
                rustix::buffer::spare_capacity(&mut events),
                Some(&timeout),
            ) {
                Err(rustix::io::Errno::INTR) => continue,
                other => other?,
            };
            let ready = |source: u64| events.iter().any(|event| event.data.u64() == source);
            return Ok(if ready(SIGNAL) {
                Wake::Stop
            } else if ready(OUTPUT) {
                Wake::OutputClosed
            } else {
                Wake::Work
            });
        }
    }
}
