//! Reads the counters of the kernel, and has programs read those of sockets.

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
}

impl CountSource {
    /// Those of a session; `cpus` is how many each key has values of.
    ///
    /// # Errors
    /// Its programs do not count.
    pub fn of(session: &Session, cpus: usize) -> Result<Self> {
        let (counts, other) = (session.map(maps::COUNTS)?, session.map(maps::OTHER)?);
        Ok(Self { counts, other, cpus })
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
        let mut interval = CountInterval::new(most);
        let mut take_in = |model: &mut Counts, counter: Counter| {
            let sums = model.take_in(&mut interval, counter, now);
            each(&Counter { sums, ..counter });
        };
        // They are taken out afterwards: an iterator that is interrupted finds its place in a bucket by counting.
        let (mut over, mut read) = (Vec::new(), 0);
        session.map_reader(&hooks::COUNTS, &self.counts)?.read(size, |bytes| {
            read += 1;
            let (key, values) = bytes.split_at(size_of::<GroupKey>());
            let counter = Counter::read(key, values.chunks_exact(size_of::<CountValue>()));
            let Some(counter) = counter else { return };
            if model.is_over(&counter, now) {
                return over.push(counter.key);
            }
            take_in(model, counter);
        })?;
        if read > self.counts.max_entries() / 2 {
            over.extend(model.idle(now));
        }
        let mut values = Vec::new();
        for key in &over {
            if let Some(counter) = self.take(key, &mut values)? {
                take_in(model, counter);
            }
        }
        model.end(&mut interval, self.other()?);
        Ok(interval)
    }

    /// Takes a key out of the map, with the last word on its sums; `None`: it is out already. An iterator may
    /// show a key twice.
    fn take(&self, key: &GroupKey, values: &mut Vec<u8>) -> Result<Option<Counter>> {
        if !self.counts.take_percpu(key.as_bytes(), values)? {
            return Ok(None);
        }
        let counter = Counter::read(key.as_bytes(), values.chunks_exact(size_of::<CountValue>()));
        Ok(counter.map(|counter| Counter { gone: true, ..counter }))
    }

    /// What did not fit.
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
