//! The lines of a recording of any size, one by one: memory does not depend on the length of the
//! file or a line is.

use std::io::{self, SeekFrom};

use super::input::Input;
use crate::record::{AnyRecord, Damage};

/// The longest line that is read; those of this kit have a few hundred bytes, with all buckets of
/// a histogram some thousands.
const LINE_MAX: usize = 256 << 10;
/// U+FEFF in UTF-8.
const BOM: &[u8] = b"\xef\xbb\xbf";
/// Bytes read at once.
pub(super) const CHUNK: usize = 64 << 10;
/// Bytes of a line too long that are skipped before anything else may be done.
const SKIP: u64 = 16 << 20;

/// What a line turned out to be.
#[derive(Debug)]
pub enum Read {
    /// One of ours.
    Record(AnyRecord),
    /// None of ours, at this place.
    Damaged(Damage, u64),
    /// None yet: within a line that is too long, and may have no end.
    Skipping,
    /// The end.
    End,
}

/// What has been taken of a line.
#[derive(PartialEq, Eq)]
enum Taken {
    All,
    /// As much as is taken of any; the rest is to be skipped.
    TooLong,
    End,
}

/// Reads lines.
pub struct Lines {
    input: Box<dyn Input>,
    chunk: Box<[u8]>,
    /// The unread part of the chunk.
    rest: std::ops::Range<usize>,
    /// Offset in the input of the unread part.
    offset: u64,
    line: Vec<u8>,
    /// Offsets of beginnings of lines, and their numbers from 1 on; the last one is the nearest.
    anchor: (u64, u64),
    seekable: bool,
    /// The end of a line too long has not been seen yet.
    skipping: bool,
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
            skipping: false,
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

    /// Whether reading the next line may block until it is written.
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
            if self.skipping && !self.skip()? {
                return Ok(Read::Skipping);
            }
            let begin = self.offset;
            match self.read_line()? {
                Taken::End => return Ok(Read::End),
                Taken::TooLong => {
                    let words = format!("longer than {} KiB", LINE_MAX >> 10);
                    return Ok(Read::Damaged(Damage::Malformed(words), begin));
                }
                // The byte order mark that some editors put at the beginning of a file.
                Taken::All if begin == 0 && self.line.starts_with(BOM) => {
                    self.line.drain(..BOM.len());
                    if !self.line.trim_ascii().is_empty() {
                        return Ok(self.parsed(begin));
                    }
                }
                Taken::All if self.line.trim_ascii().is_empty() => {}
                Taken::All => return Ok(self.parsed(begin)),
            }
        }
    }

    /// What the line that begins at an offset says.
    fn parsed(&self, begin: u64) -> Read {
        match AnyRecord::parse(self.line.trim_ascii()) {
            Ok(record) => Read::Record(record),
            Err(damage) => Read::Damaged(damage, begin),
        }
    }

    /// Takes the next line into `line`.
    fn read_line(&mut self) -> io::Result<Taken> {
        self.line.clear();
        loop {
            if self.rest.is_empty() && self.fill()? == 0 {
                return Ok(if self.line.is_empty() { Taken::End } else { Taken::All });
            }
            let bytes = &self.chunk[self.rest.clone()];
            let end = memchr::memchr(b'\n', bytes);
            let found = end.map_or(bytes.len(), |end| end + 1);
            let room = LINE_MAX - self.line.len();
            if found > room {
                self.skipping = true;
                return Ok(Taken::TooLong);
            }
            self.line.extend_from_slice(&bytes[..found]);
            self.pass(found);
            if end.is_some() {
                return Ok(Taken::All);
            }
        }
    }

    /// Goes on to the end of a line; `false` if it has not come within [`SKIP`] bytes.
    fn skip(&mut self) -> io::Result<bool> {
        let begin = self.offset;
        while self.offset - begin < SKIP {
            if self.rest.is_empty() && self.fill()? == 0 {
                self.skipping = false;
                return Ok(true);
            }
            let bytes = &self.chunk[self.rest.clone()];
            let end = memchr::memchr(b'\n', bytes);
            self.pass(end.map_or(bytes.len(), |end| end + 1));
            if end.is_some() {
                self.skipping = false;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Leaves out what remains of a line, unless that is very much.
    pub(super) fn skip_line(&mut self) -> io::Result<()> {
        self.skipping = true;
        self.skip().map(drop)
    }

    fn pass(&mut self, bytes: usize) {
        self.rest.start += bytes;
        self.offset += bytes as u64;
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
        (self.offset, self.rest, self.skipping) = (offset, 0..0, false);
        Ok(())
    }

    /// Where it is, for [`Lines::go_back`].
    pub(super) fn place(&self) -> (u64, bool) {
        (self.offset, self.skipping)
    }

    /// Goes on where it was.
    pub(super) fn go_back(&mut self, (offset, skipping): (u64, bool)) -> io::Result<()> {
        self.seek(offset)?;
        self.skipping = skipping;
        Ok(())
    }

    /// Bytes of the input; 0 if unknown.
    ///
    /// # Errors
    /// The input cannot go where it was.
    pub fn size(&mut self) -> io::Result<u64> {
        let Some(seek) = self.input.seekable() else { return Ok(0) };
        let size = seek.seek(SeekFrom::End(0))?;
        self.go_back(self.place())?;
        Ok(size)
    }

    /// The number of the line that begins at an offset; `None` where the input cannot go back.
    /// Counts the lines from the last one with a known number.
    ///
    /// # Errors
    /// The input cannot be read.
    pub fn number(&mut self, offset: u64) -> io::Result<Option<u64>> {
        if !self.seekable {
            return Ok(None);
        }
        let back = self.place();
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
            self.pass(taken);
        }
        self.anchor = (offset, number);
        self.go_back(back)?;
        Ok(Some(number))
    }
}

#[cfg(test)]
#[path = "lines_tests.rs"]
mod tests;
