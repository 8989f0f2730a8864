//! Reads listeners and waits from the programs, and the namespaces.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use super::{ListenerId, NetnsReader, Reading};
use crate::clock::monotonic_now;
use crate::hooks::{LISTENER_QUEUES, LISTENERS, WAITS, maps};
use crate::kernel::map::Map;
use crate::kernel::reader::MapReader;
use crate::kernel::ring::Ring;
use crate::kernel::session::Session;
use crate::wire::{
    LISTENER_GONE, LISTENER_UNLINKED, ListenCause, ListenEvent, Listener, ListenerEntry,
    Record as _, WaitKey, WaitSlots,
};

/// Counters of a namespace that move while its listeners are read say nothing exact: so often it
/// is tried again.
const TRIES: u32 = 4;

/// How long the close of a listener is given to reset what waits for `accept()`.
const CLOSING: Duration = Duration::from_millis(40);

/// What comes through the ring buffer.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::large_enum_variant, reason = "read in place, a batch at a time")]
pub enum RingRecord {
    /// A loss.
    Event(ListenEvent),
    /// The final row of a listener.
    Ended(ListenerEntry),
}

impl RingRecord {
    /// By their size.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        if bytes.len() >= size_of::<ListenerEntry>() {
            return ListenerEntry::read(bytes).map(Self::Ended);
        }
        ListenEvent::read(bytes).map(Self::Event)
    }
}

/// Where the numbers come from.
pub struct ListenSource {
    listeners: Map,
    reader: MapReader,
    waits: Map,
    epoch: Map,
    number: u32,
    ring: Ring<RingRecord>,
    ended: HashMap<ListenerId, ListenerEntry>,
    /// Losses, if they are asked for.
    events: Vec<ListenEvent>,
    /// Losses are taken out by [`ListenSource::take_events`].
    pub keep_events: bool,
    delivered: u64,
    /// Namespaces to enter one by one, if programs may not copy memory.
    one_by_one: bool,
    /// Namespaces whose counters are read before their listeners are.
    known: BTreeSet<u32>,
    /// The namespaces of interest.
    pub namespaces: NetnsReader,
}

/// A connection was reset by the close of its listener, whose final row is from before.
fn reset_by_close(ended: &mut HashMap<ListenerId, ListenerEntry>, event: &ListenEvent) {
    let id = ListenerId { sk: event.sk, born: event.born };
    if let Some(entry) = ended.get_mut(&id) {
        entry.listener.dropped[ListenCause::Closed as usize] += 1;
    }
}

/// Whether more such events may come.
fn closes(listener: &Listener, now: u64) -> bool {
    let reset = listener.dropped[ListenCause::Closed as usize];
    let young = u128::from(now.saturating_sub(listener.ended)) < CLOSING.as_nanos();
    listener.ended > 0 && young && reset < listener.accept_now.into()
}

impl ListenSource {
    /// The ring buffer, for waiting.
    ///
    /// # Errors
    /// It is missing.
    pub fn ring(session: &Session) -> Result<Map> {
        session.map(maps::EVENTS)
    }

    /// The maps of a session.
    ///
    /// # Errors
    /// A map is missing or cannot be mapped.
    pub fn new(session: &Session) -> Result<Self> {
        let listeners = session.map(maps::LISTENERS)?;
        Ok(Self {
            reader: session.map_reader(&LISTENERS, &listeners)?,
            listeners,
            waits: session.map(maps::WAITS)?,
            epoch: session.map(maps::EPOCH)?,
            number: 0,
            ring: Ring::new(&session.map(maps::EVENTS)?, RingRecord::read)?,
            ended: HashMap::new(),
            events: Vec::new(),
            keep_events: false,
            delivered: 0,
            one_by_one: !session.may_copy(),
            known: BTreeSet::new(),
            namespaces: NetnsReader::default(),
        })
    }

    /// Finds the listeners of our own namespace that are in no table of files.
    ///
    /// # Errors
    /// An iterator fails.
    pub fn find(&mut self, session: &Session) -> Result<()> {
        session.iterate(&LISTENER_QUEUES, 1, |_| ()).context("cannot find listeners")?;
        self.link(session)
    }

    /// Shows the programs the listeners of MPTCP that they found by address alone. Those in a
    /// namespace that cannot be entered have unknown accepts.
    fn link(&mut self, session: &Session) -> Result<()> {
        let mut unlinked = BTreeSet::new();
        self.each(|entry| {
            if entry.listener.flags & LISTENER_UNLINKED != 0 {
                unlinked.insert(entry.netns());
            }
        })?;
        for netns in unlinked {
            let _ = self.namespaces.within(netns, || session.iterate(&LISTENER_QUEUES, 1, |_| ()));
        }
        Ok(())
    }

    /// Takes in what is in the ring buffer.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn drain(&mut self) -> Result<()> {
        let Self { ring, ended, events, keep_events, delivered, .. } = self;
        ring.drain(|batch| {
            *delivered += batch.len() as u64;
            for record in batch {
                match record {
                    RingRecord::Event(event) => {
                        if event.cause == ListenCause::Closed as u32 {
                            reset_by_close(ended, event);
                        }
                        if *keep_events {
                            events.push(*event);
                        }
                    }
                    RingRecord::Ended(entry) => drop(ended.insert(entry.id(), *entry)),
                }
            }
            Ok(true)
        })
    }

    /// Losses that came through the ring buffer since the last time.
    pub fn take_events(&mut self) -> Vec<ListenEvent> {
        std::mem::take(&mut self.events)
    }

    /// Records that came through it since the start.
    pub fn delivered(&self) -> u64 {
        self.delivered
    }

    /// Every listener with its queues at this moment, which the kernel keeps for the peaks.
    ///
    /// # Errors
    /// An iterator fails.
    pub fn listeners(&mut self, session: &Session) -> Result<Vec<ListenerEntry>> {
        let mut entries = Vec::new();
        if self.one_by_one {
            self.look_one_by_one(session)?;
        }
        if self.reader.looks_up() {
            self.each(|entry| entries.push(entry))?;
            for entry in entries.drain(..) {
                session.prepare(&LISTENERS, &entry.sk.to_ne_bytes())?;
            }
        }
        self.each(|entry| entries.push(entry))?;
        Ok(entries)
    }

    /// Hands over every listener.
    fn each(&self, mut each: impl FnMut(ListenerEntry)) -> Result<()> {
        self.reader.read(size_of::<ListenerEntry>(), |bytes| {
            // What a program is only about to fill in is none yet.
            let entry = ListenerEntry::read(bytes).filter(|one| one.listener.born != 0);
            entry.into_iter().for_each(&mut each);
        })
    }

    fn look_one_by_one(&mut self, session: &Session) -> Result<()> {
        let mut known = BTreeSet::new();
        self.each(|entry| {
            known.insert(entry.netns());
        })?;
        for netns in known {
            // Unreadable listeners keep the queues last seen.
            let _ = self.namespaces.within(netns, || session.iterate(&LISTENER_QUEUES, 1, |_| ()));
        }
        Ok(())
    }

    /// Namespaces whose counters matter before a listener of theirs is seen.
    pub fn expect(&mut self, namespaces: impl IntoIterator<Item = u32>) {
        self.known.extend(namespaces);
    }

    /// Ends an interval: its number, every listener of it, and its namespaces.
    ///
    /// # Errors
    /// Those of [`ListenSource::listeners`].
    #[allow(clippy::type_complexity, reason = "three parts of one reading")]
    pub fn interval(
        &mut self,
        session: &Session,
    ) -> Result<(u32, Vec<ListenerEntry>, BTreeMap<u32, Reading>)> {
        let over = self.number;
        self.number = self.number.wrapping_add(1);
        self.epoch.update(&0u32.to_ne_bytes(), &self.number.to_ne_bytes())?;
        let (mut entries, mut readings) = self.read(session)?;
        for _ in 1..TRIES {
            if self.ended.values().any(|entry| closes(&entry.listener, monotonic_now())) {
                thread::sleep(CLOSING / TRIES);
            } else if readings.values().all(|reading| reading.settled().is_some()) {
                break;
            }
            (entries, readings) = self.read(session)?;
        }
        self.forget(&entries);
        self.known.retain(|netns| readings.contains_key(netns));
        let ended: Vec<_> = self.ended.drain().map(|(_, entry)| entry).collect();
        entries.retain(|entry| !ended.iter().any(|gone| gone.id() == entry.id()));
        entries.extend(ended);
        Ok((over, entries, readings))
    }

    /// Counters, listeners, counters again.
    fn read(&mut self, session: &Session) -> Result<(Vec<ListenerEntry>, BTreeMap<u32, Reading>)> {
        self.known.extend(self.ended.values().map(ListenerEntry::netns));
        let mut before = BTreeMap::new();
        for &one in &self.known {
            before.extend(self.namespaces.read(one, false).map(|space| (one, space.mib)));
        }
        let entries = self.listeners(session)?;
        self.drain()?;
        // Those that ended while we were reading have left the map, and are among the ended now.
        let seen = entries.iter().chain(self.ended.values()).map(ListenerEntry::netns);
        self.known.extend(seen);
        let mut readings = BTreeMap::new();
        for &one in &self.known {
            let Some(after) = self.namespaces.read(one, true) else { continue };
            // For a namespace just found, the counters at its first reading are unknown. Unless
            // that is nothing to this day it is not settled, and the next try knows it.
            let before = before.get(&one).copied().unwrap_or_default();
            readings.insert(one, Reading { before, after: after.mib, sysctls: after.sysctls });
        }
        Ok((entries, readings))
    }

    /// What is no listener any more, although its end was not seen.
    fn forget(&mut self, entries: &[ListenerEntry]) {
        for entry in entries.iter().filter(|one| one.listener.flags & LISTENER_GONE != 0) {
            // It may have ended by itself meanwhile.
            let _ = self.listeners.delete(&entry.sk.to_ne_bytes());
            self.ended.entry(entry.id()).or_insert(*entry);
        }
    }

    /// The waits for `accept()` so far; those of listeners that are gone are taken out.
    ///
    /// # Errors
    /// The map cannot be read.
    pub fn waits(
        &mut self,
        session: &Session,
        entries: &[ListenerEntry],
    ) -> Result<Vec<(WaitKey, WaitSlots)>> {
        let mut waits = Vec::new();
        let size = size_of::<WaitKey>() + size_of::<WaitSlots>();
        session.map_reader(&WAITS, &self.waits)?.read(size, |bytes| {
            let (key, slots) = bytes.split_at(size_of::<WaitKey>());
            waits.extend(WaitKey::read(key).zip(WaitSlots::read(slots)));
        })?;
        let alive: BTreeSet<ListenerId> = entries
            .iter()
            .filter(|entry| entry.listener.flags & LISTENER_GONE == 0)
            .map(ListenerEntry::id)
            .collect();
        for (key, _) in &waits {
            if !alive.contains(&ListenerId { sk: key.sk, born: key.born }) {
                self.waits.delete(key.as_bytes())?;
            }
        }
        Ok(waits)
    }
}
