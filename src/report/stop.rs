//! Shutdown request as a pollable fd.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pipe::{PipeFlags, pipe_with};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// How long a reader may take for the rest of the output after a shutdown request. Short enough
/// that the whole end stays under a second.
const OUTPUT_TIMEOUT: Duration = Duration::from_millis(500);

/// Becomes readable, permanently, on a shutdown request. Clones share it.
#[derive(Clone, Debug)]
pub struct Stop(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    reader: OwnedFd,
    /// Kept open, as a pipe without writer would read as ended.
    _writer: OwnedFd,
    noticed: OnceLock<Instant>,
}

impl Stop {
    /// A stop and the end of its pipe that a byte is written to.
    pub fn pair() -> io::Result<(Self, OwnedFd)> {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        let shared = Shared { reader, _writer: writer.try_clone()?, noticed: OnceLock::new() };
        Ok((Self(Arc::new(shared)), writer))
    }

    /// A stop for Ctrl-C, SIGTERM and SIGHUP; `nohup` and shells in the background have some of them
    /// ignored, and that stays so.
    pub fn on_signals() -> io::Result<Self> {
        let (stop, writer) = Self::pair()?;
        let ignored = ignored_signals();
        for signal in [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| !ignored.has(*signal)) {
            signal_hook::low_level::pipe::register(signal, writer.try_clone()?)?;
        }
        Ok(stop)
    }

    /// Whether shutdown is requested.
    pub fn requested(&self) -> bool {
        self.0.noticed.get().is_some() || self.wait(Duration::ZERO)
    }

    /// Waits for a shutdown request (`true`) or until the time has passed (`false`).
    pub fn wait(&self, time: Duration) -> bool {
        let deadline = Instant::now() + time;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let mut fds = [PollFd::new(self, PollFlags::IN)];
            match poll(&mut fds, Some(&timespec(left))) {
                Ok(0) => return false,
                Ok(_) => {
                    self.notice();
                    return true;
                }
                Err(rustix::io::Errno::INTR) => {}
                // A failed wait must not keep the program running.
                Err(_) => return true,
            }
        }
    }

    /// Starts the output timeout of this stop and its clones; call it when it polls readable.
    pub(super) fn notice(&self) {
        self.0.noticed.get_or_init(Instant::now);
    }

    /// The rest of the output timeout; `None` before a shutdown request.
    pub(super) fn time_left(&self) -> Option<Duration> {
        self.0.noticed.get().map(|at| OUTPUT_TIMEOUT.saturating_sub(at.elapsed()))
    }
}

/// A set of signals as `/proc/PID/status` writes it: bit n - 1 is signal n.
#[derive(Clone, Copy, Debug, Default)]
pub struct SignalSet(u64);

impl SignalSet {
    /// Whether a signal is in it.
    pub fn has(self, signal: i32) -> bool {
        u32::try_from(signal - 1)
            .is_ok_and(|bit| self.0.checked_shr(bit).is_some_and(|set| set & 1 == 1))
    }
}

/// The signals that whoever started this process has it ignore; none where /proc does not say. Ask before
/// any handler is set.
pub fn ignored_signals() -> SignalSet {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    SignalSet(mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0))
}

impl AsFd for Stop {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.reader.as_fd()
    }
}

/// The form that `poll` takes a time in.
pub(super) fn timespec(time: Duration) -> Timespec {
    // Longer times than the kernel can represent are infinite.
    Timespec::try_from(time).unwrap_or(Timespec { tv_sec: i64::MAX, tv_nsec: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_the_request() {
        let (stop, writer) = Stop::pair().unwrap();
        let clone = stop.clone();
        assert!(!stop.requested());
        assert!(!stop.wait(Duration::from_millis(5)));
        assert!(stop.time_left().is_none());
        rustix::io::write(&writer, b"x").unwrap();
        assert!(clone.wait(Duration::from_secs(5)));
        assert!(stop.requested() && stop.requested());
        assert!(stop.time_left().unwrap() <= OUTPUT_TIMEOUT);
    }

    #[test]
    fn a_set_of_signals_is_read_from_its_bits() {
        let set = SignalSet(0b101);
        assert_eq!(
            [1, 2, 3, 64, 65, 0, -1].map(|signal| set.has(signal)),
            [true, false, true, false, false, false, false]
        );
    }

    #[test]
    fn a_signal_requests_it() {
        let (stop, writer) = Stop::pair().unwrap();
        signal_hook::low_level::pipe::register(signal_hook::consts::SIGUSR2, writer).unwrap();
        signal_hook::low_level::raise(signal_hook::consts::SIGUSR2).unwrap();
        assert!(stop.requested());
    }
}
