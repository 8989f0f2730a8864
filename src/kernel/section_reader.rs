//! Buffered reader of a file section.

use std::io::{Read, Seek, SeekFrom, Take};

use anyhow::{Context, Result, ensure};

/// Bytes of the buffer: a multiple of what sysfs hands out at once, small enough for a core's
/// cache.
pub const BUFFER_LEN: usize = 64 << 10;

/// A part of the file, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Section {
    pub start: u64,
    pub len: u64,
}

impl Section {
    /// All of it.
    pub fn read<R: Read + Seek>(self, file: &mut R) -> Result<Vec<u8>> {
        let len = usize::try_from(self.len)?;
        file.seek(SeekFrom::Start(self.start))?;
        let mut bytes = Vec::new();
        file.take(self.len).read_to_end(&mut bytes)?;
        ensure!(bytes.len() == len, "cut short");
        Ok(bytes)
    }
}

/// A section that passes through a buffer.
pub struct Stream<'a, R> {
    rest: Take<&'a mut R>,
    buffer: Vec<u8>,
    filled: usize,
}

impl<'a, R: Read + Seek> Stream<'a, R> {
    pub fn new(file: &'a mut R, Section { start, len }: Section) -> Result<Self> {
        file.seek(SeekFrom::Start(start))?;
        Ok(Self { rest: file.take(len), buffer: vec![0; BUFFER_LEN], filled: 0 })
    }

    /// Reads on; `false` after the end. What is unread must not fill the buffer.
    pub fn refill(&mut self) -> Result<bool> {
        let read = self.rest.read(&mut self.buffer[self.filled..])?;
        self.filled += read;
        let whole = read > 0 || (self.filled == 0 && self.rest.limit() == 0);
        ensure!(whole, "cut short, or longer than {BUFFER_LEN} bytes");
        Ok(read > 0)
    }

    pub fn unread(&self) -> &[u8] {
        &self.buffer[..self.filled]
    }

    /// Goes on behind `count` bytes, which may be more than have been read.
    pub fn consume(&mut self, count: usize) -> Result<()> {
        let beyond = count.saturating_sub(self.filled) as u64;
        let left = self.rest.limit().checked_sub(beyond);
        let left = left.context("it reaches beyond its section")?;
        if beyond > 0 {
            self.rest.get_mut().seek_relative(i64::try_from(beyond)?)?;
            self.rest.set_limit(left);
        }
        self.buffer.copy_within(count.min(self.filled)..self.filled, 0);
        self.filled = self.filled.saturating_sub(count);
        Ok(())
    }
}
