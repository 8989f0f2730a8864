//! The lines of a recording of any size, one at a time: memory does not depend on how long the
//! file or a line is.

use std::io::{self, Seek, SeekFrom};
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::dash::record::{Damage, Record};

/// The longest line that is read; those of this kit have a few hundred bytes, with all buckets of
/// a histogram some thousands.
const LINE_MAX: usize = 256 << 10;
/// Bytes read at once.
const CHUNK: usize = 64 << 10;
/// To find the time somewhere in the file, so many bytes are looked through.
const LOOK: u64 = 1 << 20;

/// Where a recording comes from.
pub trait Input: io::Read + Send {
    /// For those that can go back.
    fn seekable(&mut self) -> Option<&mut dyn Seek> {
        None
    }

    /// Whether a read would wait for somebody to write.
    fn is_quiet(&self) -> bool {
        false
    }
}

/// What cannot be told is found out by reading.
fn nothing_to_read(fd: &impl AsFd) -> bool {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut [PollFd::new(fd, PollFlags::IN)], Some(&now)) == Ok(0)
}

impl Input for std::fs::File {
    fn seekable(&mut self) -> Option<&mut dyn Seek> {
        // A pipe opened by name cannot, and says so.
        if self.stream_position().is_ok() { Some(self) } else { None }
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

/// What a line turned out to be.
#[derive(Debug)]
pub enum Read {
    /// One of ours.
    Record(Record),
    /// None of ours, at this place.
    Damaged(Damage, u64),
    /// There are no more.
    End,
}

/// Reads lines.
pub struct Lines {
    input: Box<dyn Input>,
    chunk: Box<[u8]>,
    /// What of the chunk has not been looked at.
    rest: std::ops::Range<usize>,
    /// Offset in the input of what has not been looked at.
    offset: u64,
    line: Vec<u8>,
    /// Offsets of beginnings of lines, and their numbers from 1 on; the last one is the nearest.
    anchor: (u64, u64),
    seekable: bool,
}

impl Lines {
    /// Starts at the beginning.
    pub fn new(mut input: Box<dyn Input>) -> Self {
        let seekable = input.seekable().is_some();
        Self {
            input,
            chunk: vec![0; CHUNK].into(),
            rest: 0..0,
            offset: 0,
            line: Vec::new(),
            anchor: (0, 1),
            seekable,
        }
    }

    /// Whether it can be read again from elsewhere.
    pub fn can_seek(&self) -> bool {
        self.seekable
    }

    /// Whether the next line is there without waiting for a pipe.
    pub fn is_ready(&self) -> bool {
        self.seekable || memchr::memchr(b'\n', &self.chunk[self.rest.clone()]).is_some()
    }

    /// Whether to read the next line may take until somebody writes it.
    pub fn is_quiet(&self) -> bool {
        !self.is_ready() && self.input.is_quiet()
    }

    /// Where the next line begins.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Reads the next line that is not empty.
    ///
    /// # Errors
    /// The input cannot be read.
    pub fn read(&mut self) -> io::Result<Read> {
        loop {
            let begin = self.offset;
            match self.read_line()? {
                None => return Ok(Read::End),
                Some(true) => {
                    let words = format!("longer than {} KiB", LINE_MAX >> 10);
                    return Ok(Read::Damaged(Damage::Malformed(words), begin));
                }
                Some(false) if self.line.trim_ascii().is_empty() => {}
                Some(false) => {
                    return Ok(match Record::parse(self.line.trim_ascii()) {
                        Ok(record) => Read::Record(record),
                        Err(damage) => Read::Damaged(damage, begin),
                    });
                }
            }
        }
    }

    /// Takes the next line into `line`; `Some(true)` if it was too long and is cut.
    fn read_line(&mut self) -> io::Result<Option<bool>> {
        self.line.clear();
        let mut cut = false;
        loop {
            if self.rest.is_empty() && self.fill()? == 0 {
                return Ok((!self.line.is_empty() || cut).then_some(cut));
            }
            let bytes = &self.chunk[self.rest.clone()];
            let end = memchr::memchr(b'\n', bytes);
            let taken = end.map_or(bytes.len(), |end| end + 1);
            let room = LINE_MAX - self.line.len();
            cut |= taken > room;
            self.line.extend_from_slice(&bytes[..taken.min(room)]);
            self.rest.start += taken;
            self.offset += taken as u64;
            if end.is_some() {
                return Ok(Some(cut));
            }
        }
    }

    fn fill(&mut self) -> io::Result<usize> {
        loop {
            match self.input.read(&mut self.chunk) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => {
                    self.rest = 0..read?;
                    return Ok(self.rest.len());
                }
            }
        }
    }

    /// Goes on at an offset.
    ///
    /// # Errors
    /// The input cannot go there.
    pub fn seek(&mut self, offset: u64) -> io::Result<()> {
        let seek = self.input.seekable().ok_or(io::ErrorKind::NotSeekable)?;
        seek.seek(SeekFrom::Start(offset))?;
        (self.offset, self.rest) = (offset, 0..0);
        Ok(())
    }

    /// Bytes of the input; 0 where that cannot be told.
    ///
    /// # Errors
    /// The input cannot go where it was.
    pub fn size(&mut self) -> io::Result<u64> {
        let Some(seek) = self.input.seekable() else { return Ok(0) };
        let size = seek.seek(SeekFrom::End(0))?;
        self.seek(self.offset)?;
        Ok(size)
    }

    /// The number of the line that begins at an offset; `None` where the input cannot go back.
    /// Counts the lines from the last one whose number is known.
    ///
    /// # Errors
    /// The input cannot be read.
    pub fn number(&mut self, offset: u64) -> io::Result<Option<u64>> {
        if !self.seekable {
            return Ok(None);
        }
        let back = self.offset;
        let (from, mut number) = if self.anchor.0 <= offset { self.anchor } else { (0, 1) };
        self.seek(from)?;
        while self.offset < offset {
            if self.rest.is_empty() && self.fill()? == 0 {
                break;
            }
            let left = usize::try_from(offset - self.offset).unwrap_or(usize::MAX);
            let taken = left.min(self.rest.len());
            let bytes = &self.chunk[self.rest.start..self.rest.start + taken];
            number += memchr::memchr_iter(b'\n', bytes).count() as u64;
            self.rest.start += taken;
            self.offset += taken as u64;
        }
        self.anchor = (offset, number);
        self.seek(back)?;
        Ok(Some(number))
    }

    /// The time of the first record that begins behind an offset, and where that one begins.
    fn time_behind(&mut self, offset: u64) -> io::Result<Option<(i64, u64)>> {
        self.seek(offset.saturating_sub(1))?;
        // The line that the offset lies in is not looked at, unless it begins there.
        if offset > 0 && self.read_line()?.is_none() {
            return Ok(None);
        }
        while self.offset < offset + LOOK {
            let begin = self.offset;
            match self.read()? {
                Read::Record(record) => return Ok(Some((record.ts(), begin))),
                Read::Damaged(..) => {}
                Read::End => break,
            }
        }
        Ok(None)
    }

    /// The offset of a line before which everything was earlier than `ts`, by halving: lines are
    /// in the order of their times, or nearly so.
    ///
    /// # Errors
    /// The input cannot be read.
    pub fn find(&mut self, ts: i64) -> io::Result<u64> {
        let (mut low, mut high) = (0, self.size()?);
        let mut found = 0;
        while high - low > CHUNK as u64 {
            let middle = low + (high - low) / 2;
            match self.time_behind(middle)? {
                Some((time, begin)) if time < ts => (low, found) = (begin.max(middle), begin),
                _ => high = middle,
            }
        }
        Ok(found)
    }

    /// Where the first line begins that does so behind an offset.
    ///
    /// # Errors
    /// The input cannot be read.
    pub fn find_line(&mut self, offset: u64) -> io::Result<u64> {
        self.seek(offset)?;
        self.read_line()?;
        Ok(self.offset)
    }

    /// The time of the last record; `None` where nobody can look so far ahead.
    ///
    /// # Errors
    /// The input cannot be read.
    pub fn last_time(&mut self) -> io::Result<Option<i64>> {
        if !self.seekable {
            return Ok(None);
        }
        let (back, size) = (self.offset, self.size()?);
        let mut last = None;
        if self.time_behind(size.saturating_sub(CHUNK as u64))?.is_some() {
            self.seek(size.saturating_sub(CHUNK as u64))?;
            // The first may be the end of a longer one.
            let _ = self.read_line()?;
        } else {
            self.seek(0)?;
        }
        if size - self.offset <= LOOK {
            loop {
                match self.read()? {
                    Read::Record(record) => last = last.max(Some(record.ts())),
                    Read::Damaged(..) => {}
                    Read::End => break,
                }
            }
        }
        self.seek(back)?;
        Ok(last)
    }
}

#[cfg(test)]
#[path = "lines_tests.rs"]
mod tests;
