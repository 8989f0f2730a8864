//! Line-buffered output that cannot block shutdown.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{FileType, fstat};
use rustix::io::Errno;
use rustix::net::{SendFlags, send};
use rustix::termios::isatty;

use super::Stop;
use super::stop::timespec;

/// A write of up to this many bytes goes into a pipe whole, and without waiting once it polls
/// writable (`PIPE_BUF`).
const PIPE_CHUNK: usize = 4096;
/// Bytes written to a regular file at a time.
const FILE_CHUNK: usize = 64 << 10;

/// Why output ends.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The reader closed the pipe; not an error.
    #[error("the reader of the output is gone")]
    Closed,
    /// The output fails: disk full, I/O error.
    #[error("cannot write the output: {0}")]
    Write(#[from] io::Error),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Takes everything at once: a regular file, /dev/null.
    File,
    /// A pipe or terminal with a possibly slow reader.
    Stream,
    /// As a stream, but only a special flag keeps a write from waiting.
    Socket,
}

/// A buffered output that writes whole lines.
///
/// A full pipe is waited for, so that a slow reader gets everything, but only until the program
/// stops: then the reader has half a second more and the remaining lines are discarded.
#[derive(Debug)]
pub struct Sink {
    fd: OwnedFd,
    kind: Kind,
    stop: Stop,
    buffer: Vec<u8>,
    dropped: u64,
    gone: bool,
}

impl Sink {
    /// The standard output.
    pub fn stdout(stop: Stop) -> io::Result<Self> {
        Self::new(rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3)?, stop)
    }

    /// The standard error output.
    pub fn stderr(stop: Stop) -> io::Result<Self> {
        Self::new(rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stderr(), 3)?, stop)
    }

    /// Any open file.
    pub fn new(fd: OwnedFd, stop: Stop) -> io::Result<Self> {
        let kind = match FileType::from_raw_mode(fstat(&fd)?.st_mode) {
            FileType::Fifo => Kind::Stream,
            FileType::Socket => Kind::Socket,
            FileType::CharacterDevice if isatty(&fd) => Kind::Stream,
            _ => Kind::File,
        };
        Ok(Self {
            fd,
            kind,
            stop,
            buffer: Vec::with_capacity(2 * FILE_CHUNK),
            dropped: 0,
            gone: false,
        })
    }

    /// Where to append lines. Each must end in a newline before the next [`flush`](Self::flush).
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Whether so much is waiting that it should be flushed now.
    pub fn is_full(&self) -> bool {
        self.buffer.len() >= FILE_CHUNK
    }

    /// Lines that were dropped because the program had to end before they were read.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Writes everything buffered, waiting for a slow reader. The buffer is empty afterwards,
    /// in any case. A closed reader is reported once; later lines are discarded, so
    /// that a tool can still count what it would have written.
    pub fn flush(&mut self) -> Result<(), SinkError> {
        let buffer = std::mem::take(&mut self.buffer);
        let result = if self.gone { Ok(()) } else { self.write_lines(&buffer) };
        self.gone |= matches!(result, Err(SinkError::Closed));
        self.buffer = buffer;
        self.buffer.clear();
        result
    }

    fn write_lines(&mut self, mut rest: &[u8]) -> Result<(), SinkError> {
        let limit = if self.kind == Kind::File { FILE_CHUNK } else { PIPE_CHUNK };
        while !rest.is_empty() {
            let (mut chunk, after) = rest.split_at(lines_within(rest, limit));
            while !chunk.is_empty() {
                if self.kind != Kind::File && !self.writable()? {
                    self.dropped += newlines(chunk) + newlines(after);
                    return Ok(());
                }
                chunk = &chunk[self.write(&chunk[..chunk.len().min(limit)])?..];
            }
            rest = after;
        }
        Ok(())
    }

    /// Waits until a write will not wait; `false` when the program has to end before.
    fn writable(&self) -> Result<bool, SinkError> {
        loop {
            let time_left = self.stop.time_left();
            let mut fds =
                [PollFd::new(&self.fd, PollFlags::OUT), PollFd::new(&self.stop, PollFlags::IN)];
            // Once it is readable the stop would end every wait at once.
            let watched = if time_left.is_some() { &mut fds[..1] } else { &mut fds[..] };
            match poll(watched, time_left.map(timespec).as_ref()) {
                Ok(0) => return Ok(false),
                Ok(_) => {}
                Err(Errno::INTR) => continue,
                Err(error) => return Err(SinkError::Write(error.into())),
            }
            let ready = fds[0].revents();
            if ready.contains(PollFlags::ERR) {
                return Err(SinkError::Closed);
            }
            // A hang-up without error shows in the write itself.
            if ready.intersects(PollFlags::OUT | PollFlags::HUP) {
                return Ok(true);
            }
            if fds[1].revents().contains(PollFlags::IN) {
                self.stop.notice();
            }
        }
    }

    /// Writes once; 0 when the output turned out to be full or a signal came.
    fn write(&self, bytes: &[u8]) -> Result<usize, SinkError> {
        let written = match self.kind {
            Kind::Socket => send(&self.fd, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL),
            Kind::File | Kind::Stream => rustix::io::write(&self.fd, bytes),
        };
        match written {
            Ok(n) => Ok(n),
            Err(Errno::INTR | Errno::AGAIN) => Ok(0),
            Err(Errno::PIPE | Errno::CONNRESET) => Err(SinkError::Closed),
            Err(error) => Err(SinkError::Write(error.into())),
        }
    }
}

impl AsFd for Sink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The length of the whole lines that fit into `limit`, at least of one line.
fn lines_within(bytes: &[u8], limit: usize) -> usize {
    if bytes.len() <= limit {
        return bytes.len();
    }
    let newline = |b: &u8| *b == b'\n';
    match bytes[..limit].iter().rposition(newline) {
        Some(last) => last + 1,
        None => bytes.iter().position(newline).map_or(bytes.len(), |first| first + 1),
    }
}

fn newlines(bytes: &[u8]) -> u64 {
    bytes.split_inclusive(|&b| b == b'\n').count() as u64
}

#[cfg(test)]
#[path = "sink_tests.rs"]
mod tests;
