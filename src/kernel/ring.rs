//! The ring buffer, read in batches.

use std::cell::RefCell;
use std::mem;
use std::rc::Rc;

use anyhow::{Context, Result, bail};
use libbpf_rs::{RingBuffer, RingBufferBuilder};

use super::map::Map;

/// Records taken out before they are handed on: enough to spread the cost of a call, few
/// enough to stay in the cache.
const BATCH: usize = 512;

/// Reads records of type `R`.
pub struct Ring<R: 'static> {
    buffer: RingBuffer<'static>,
    batch: Rc<RefCell<Vec<R>>>,
    spare: Vec<R>,
}

impl<R: 'static> Ring<R> {
    /// A reader of the ring buffer `map`; `decode` turns bytes into a record.
    ///
    /// # Errors
    /// The buffer cannot be mapped.
    pub fn new(map: &Map, decode: fn(&[u8]) -> Option<R>) -> Result<Self> {
        let batch = Rc::new(RefCell::new(Vec::with_capacity(BATCH)));
        let filled = Rc::clone(&batch);
        let mut builder = RingBufferBuilder::new();
        builder.add(&map.0, move |bytes| {
            filled.borrow_mut().extend(decode(bytes));
            0
        })?;
        let buffer = builder.build().context("cannot map the ring buffer")?;
        Ok(Self { buffer, batch, spare: Vec::with_capacity(BATCH) })
    }

    /// Hands over what is there now, in batches, until the buffer is empty or `each` says stop.
    ///
    /// # Errors
    /// Those of `each`, or of reading.
    pub fn drain(&mut self, mut each: impl FnMut(&[R]) -> Result<bool>) -> Result<()> {
        loop {
            let taken = self.buffer.consume_raw_n(BATCH);
            if taken < 0 {
                bail!("cannot read the ring buffer: {}", std::io::Error::from_raw_os_error(-taken));
            }
            if taken == 0 {
                return Ok(());
            }
            self.spare.clear();
            mem::swap(&mut *self.batch.borrow_mut(), &mut self.spare);
            if !each(&self.spare)? {
                return Ok(());
            }
        }
    }
}
