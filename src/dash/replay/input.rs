//! Where recordings come from: files, pipes, memory.

use std::io::{self, Seek};
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Where a recording comes from.
pub trait Input: io::Read + Send {
    /// For those that can go back.
    fn seekable(&mut self) -> Option<&mut dyn Seek> {
        None
    }

    /// Whether a read would wait for the writer.
    fn is_quiet(&self) -> bool {
        false
    }
}

/// If unknown, reading will show it.
fn nothing_to_read(fd: &impl AsFd) -> bool {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut [PollFd::new(fd, PollFlags::IN)], Some(&now)) == Ok(0)
}

impl Input for std::fs::File {
    fn seekable(&mut self) -> Option<&mut dyn Seek> {
        // A pipe cannot; a device says that it can, and does not.
        if self.metadata().is_ok_and(|data| data.is_file()) { Some(self) } else { None }
    }

    fn is_quiet(&self) -> bool {
        nothing_to_read(self)
    }
}

impl<T: AsRef<[u8]> + Send> Input for io::Cursor<T> {
    fn seekable(&mut self) -> Option<&mut dyn Seek> {
        Some(self)
    }
}

impl Input for io::Stdin {
    fn is_quiet(&self) -> bool {
        nothing_to_read(self)
    }
}
