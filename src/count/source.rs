//! Reads the counters of the kernel, and has programs read those of sockets.

use std::cell::Cell;

use anyhow::Result;

use super::{CountInterval, CountSums, Counter, Counts};
use crate::hooks::{self, SOCKET_COUNTERS, maps};
use crate::kernel::map::Map;
use crate::kernel::session::Session;
use crate::states::socket_summary::SocketReader;
use crate::wire::{CountValue, GroupKey, Record as _};

/// The counters in the kernel of a session whose programs count.
#[derive(Debug)]
pub struct CountSource {
    counts: Map,
    other: Map,
    cpus: usize,
    /// Keys that were read last.
    read: Cell<usize>,
}

impl CountSource {
    /// Those of a session; `cpus` is how many each key has values of.
    ///
    /// # Errors
    /// Its programs do not count.
    pub fn of(session: &Session, cpus: usize) -> Result<Self> {
        let (counts, other) = (session.map(maps::COUNTS)?, session.map(maps::OTHER)?);
        Ok(Self { counts, other, cpus, read: Cell::new(0) })
    }

    /// The interval that ends at the monotonic time `now` (ns), with at least the `most` keys that sent and
    /// received most by themselves. Keys that `model` can spare are taken out of the map. `each` gets every
    /// key with its sums of the interval, also an idle one.
    ///
    /// # Errors
    /// The map cannot be read.
    pub fn interval(
        &self,
        session: &Session,
        (model, now): (&mut Counts, u64),
        most: usize,
        mut each: impl FnMut(&Counter),
    ) -> Result<CountInterval> {
        let size = size_of::<GroupKey>() + self.cpus * size_of::<CountValue>();
        let reader = session.map_reader(&hooks::COUNTS, &self.counts)?;
        let mut interval = CountInterval::new(most);
        let crowded = self.read.get() > self.counts.max_entries() as usize / 2;
        let mut values = Vec::new();
        let mut take_in = |mut counter: Counter| -> Result<()> {
            if model.expendable(&counter, crowded, now) {
                self.take(&mut counter, &mut values)?;
            }
            let sums = model.take_in(&mut interval, counter, now);
            each(&Counter { sums, ..counter });
            Ok(())
        };
        // An iterator that is interrupted finds its place in a bucket by counting: nothing may be taken out there.
        let (mut kept, mut read, mut taken) = (Vec::new(), 0, Ok(()));
        let at_once = reader.looks_up();
        reader.read(size, |bytes| {
            let (key, values) = bytes.split_at(size_of::<GroupKey>());
            let counter = Counter::read(key, values.chunks_exact(size_of::<CountValue>()));
            read += 1;
            match counter {
                Some(counter) if !at_once => kept.push(counter),
                Some(counter) if taken.is_ok() => taken = take_in(counter),
                _ => {}
            }
        })?;
        taken?;
        kept.into_iter().try_for_each(take_in)?;
        self.read.set(read);
        model.end(&mut interval, self.other()?);
        Ok(interval)
    }

    /// Takes a key out of the map, with the last word on its sums.
    fn take(&self, counter: &mut Counter, values: &mut Vec<u8>) -> Result<()> {
        let key = counter.key;
        if self.counts.take_percpu(key.as_bytes(), values)? {
            let cpus = values.chunks_exact(size_of::<CountValue>());
            if let Some(last) = Counter::read(key.as_bytes(), cpus) {
                *counter = Counter { gone: true, ..last };
            }
        }
        Ok(())
    }

    fn other(&self) -> Result<CountSums> {
        let cpus = self.other.lookup_percpu(&0u32.to_ne_bytes())?;
        let values = cpus.iter().flatten().filter_map(|bytes| CountValue::read(bytes));
        Ok(values.fold(CountSums::default(), |sums, value| sums.plus(CountSums::of(&value))))
    }
}

/// Visits all sockets: programs then count what each has done since the last visit.
#[derive(Debug, Default)]
pub struct SocketVisits {
    reader: SocketReader,
    entered: bool,
    closed: bool,
    said: bool,
}

impl SocketVisits {
    /// Visits the sockets of all namespaces that can be entered, or of the one that is `asked` for, if it is there.
    ///
    /// # Errors
    /// The iterator fails, or a namespace that was entered cannot be any more.
    #[allow(clippy::option_option, reason = "asked for, and there")]
    pub fn visit(&mut self, session: &Session, asked: Option<Option<u32>>) -> Result<()> {
        if asked == Some(None) || (asked.is_some() && self.closed) {
            return Ok(());
        }
        let walk = || session.iterate(&SOCKET_COUNTERS, 1, |_| ());
        match self.reader.each_namespace(asked.flatten(), walk) {
            Ok(extent) => self.closed |= extent.closed > 0,
            // It takes CAP_SYS_ADMIN, which the rest does without.
            Err(_) if asked.is_some() && !self.entered => self.closed = true,
            Err(error) => return Err(error),
        }
        self.entered = true;
        Ok(())
    }

    /// Whether all could be visited so far.
    pub fn all_seen(&self) -> bool {
        !self.closed
    }

    /// What connections of a namespace that is not visited lack.
    pub const CLOSED: &str = "what open connections do is counted at their end, if they are new";

    /// What is missing where a namespace could not be entered, the first time that this is known.
    pub fn take_remark(&mut self, missing: &str) -> Option<String> {
        let new = self.closed && !std::mem::replace(&mut self.said, self.closed);
        new.then(|| format!("{missing}: a network namespace cannot be entered"))
    }
}
