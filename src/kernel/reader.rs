//! What iterators write, and the entries of maps, record by record.

use std::io::{ErrorKind, Read};

use anyhow::{Context, Result};
use libbpf_rs::{Iter, Link};

use super::map::Map;

/// Read from an iterator at once.
const READ_BYTES: usize = 256 << 10;

/// An iterator, to be read once or again and again.
#[derive(Debug)]
pub struct RecordIter(pub(super) Link);

impl RecordIter {
    /// Runs it to its end and hands over what it wrote, in records of `size` bytes.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(&self, size: usize, mut each: impl FnMut(&[u8])) -> Result<()> {
        let mut reader = RecordReader::new(&self.0, size, READ_BYTES)?;
        while reader.advance(&mut each)? {}
        Ok(())
    }
}

/// Reads a map, once or again and again.
#[derive(Debug)]
pub enum MapReader {
    /// By an iterator.
    Iterator(RecordIter),
    /// Without a program.
    Lookup(Map),
}

impl MapReader {
    /// Hands over every entry: what the iterator writes of it, `size` bytes; without one the key, and
    /// behind it the value.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(&self, size: usize, mut each: impl FnMut(&[u8])) -> Result<()> {
        match self {
            Self::Iterator(iter) => iter.read(size, each),
            Self::Lookup(map) => map.entries(|entry| {
                debug_assert_eq!(entry.len(), size, "an iterator writes an entry as it is");
                each(entry);
            }),
        }
    }

    /// Whether entries come without what an iterator does with them first.
    pub fn looks_up(&self) -> bool {
        matches!(self, Self::Lookup(_))
    }
}

/// One run of an iterator, as far as it was read.
#[derive(Debug)]
pub struct RecordReader {
    iter: Iter,
    size: usize,
    buffer: Vec<u8>,
    filled: usize,
}

impl RecordReader {
    /// Reads records of `size` bytes, as many at a time as fit in `room` bytes, at least one.
    pub(super) fn new(link: &Link, size: usize, room: usize) -> Result<Self> {
        let iter = Iter::new(link).context("cannot start an iterator")?;
        Ok(Self { iter, size, buffer: vec![0; (room / size).max(1) * size], filled: 0 })
    }

    /// Goes on until the buffer is full, or at least until the iterator has written so much, and hands
    /// over what it wrote; false at the end.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn advance(&mut self, mut each: impl FnMut(&[u8])) -> Result<bool> {
        let read = match self.iter.read(&mut self.buffer[self.filled..]) {
            Ok(0) => return Ok(false),
            Ok(read) => read,
            // The second: a million objects without a record; the next read goes on.
            Err(error)
                if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) =>
            {
                return Ok(true);
            }
            Err(error) => return Err(error).context("cannot read an iterator"),
        };
        self.filled += read;
        let whole = self.filled - self.filled % self.size;
        self.buffer[..whole].chunks_exact(self.size).for_each(&mut each);
        self.buffer.copy_within(whole..self.filled, 0);
        self.filled -= whole;
        Ok(true)
    }
}
