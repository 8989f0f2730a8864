//! Reads sockets with their ports, and the counts of the programs.

use std::sync::Arc;

use anyhow::{Context, Result};
use foldhash::{HashMap, HashMapExt as _};

use super::PortSettings;
use super::destinations::{Destinations, destination};
use super::hooks::{BOUND, PORT_COUNTS, PORT_SEARCHES, PORT_SOCKETS};
use super::local::BindFailures;
use crate::hist::{Histogram, SUBS, bounds};
use crate::hooks::maps;
use crate::kernel::map::Map;
use crate::kernel::netns_list::Extent;
use crate::kernel::session::Session;
use crate::states::socket_summary::{SocketReader, has_sockets};
use crate::wire::{
    COMM_LEN, Flow, PortCounts, PortEntry, PortKey, PortSearchKey, Record as _, WaitSlots,
};

/// A key that has not changed for this long can be taken out of a map that is half full, ns.
const IDLE_NS: u64 = 60_000_000_000;

/// What connects to a destination did in an interval.
#[derive(Debug, Clone, Default)]
pub struct PortCounters {
    /// Connects, the failed ones included.
    pub attempts: u64,
    /// Those that failed.
    pub failed: u64,
    /// Ports taken from `TIME_WAIT`.
    pub reused: u64,
    /// Connections that this side closed first.
    pub closed_us: u64,
    /// And the peer.
    pub closed_peer: u64,
    /// Connects and failures by process.
    pub users: Vec<(u32, [u8; COMM_LEN], u64, u64)>,
    /// A process of them passes the filters.
    pub matches: bool,
    /// Times of searches.
    pub searches: Histogram,
}

/// By destination and `IP_LOCAL_PORT_RANGE`.
pub type Counted = HashMap<(Flow, u32), PortCounters>;

/// What a key had at the last look, and when it changed.
type Last = (PortCounts, u64);

/// Where the numbers come from.
#[derive(Debug)]
pub struct PortSource {
    counts: Map,
    searches: Map,
    last: HashMap<[u8; size_of::<PortKey>()], Last>,
    last_searches: HashMap<Vec<u8>, [u64; SUBS]>,
    sockets: SocketReader,
    binds: bool,
}

impl PortSource {
    /// The maps of a session; `binds`: failures of `bind()` are seen.
    ///
    /// # Errors
    /// A map is missing.
    pub fn new(session: &Session, binds: bool) -> Result<Self> {
        Ok(Self {
            counts: session.map(maps::PORT_COUNTS)?,
            searches: session.map(maps::PORT_SEARCHES)?,
            last: HashMap::new(),
            last_searches: HashMap::new(),
            sockets: SocketReader::default(),
            binds,
        })
    }

    /// The name of a namespace.
    pub fn name(&mut self, netns: u32) -> Option<Arc<str>> {
        self.sockets.name(netns)
    }

    /// All sockets of one namespace, or of all that can be entered.
    ///
    /// # Errors
    /// An iterator fails, or the namespace that is asked for cannot be entered the first time.
    pub fn sockets(
        &mut self,
        session: &Session,
        asked: Option<u32>,
    ) -> Result<(Destinations, Extent)> {
        let mut look = Destinations::default();
        let extent = self.sockets.visit(asked, |netns| {
            if let Some(netns) = netns {
                look.settings(netns, PortSettings::here().ok());
            }
            if !has_sockets() {
                return Ok(());
            }
            session.iterate(&PORT_SOCKETS, size_of::<PortEntry>(), |bytes| {
                if let Some(entry) = PortEntry::read(bytes) {
                    look.add(&entry);
                }
            })
        })?;
        session
            .iterate(&BOUND, size_of::<PortEntry>(), |bytes| {
                let entry = PortEntry::read(bytes);
                let wanted = |one: &PortEntry| asked.is_none_or(|netns| netns == one.flow.netns);
                if let Some(entry) = entry.filter(wanted) {
                    look.add(&entry);
                }
            })
            .context("cannot find bound sockets")?;
        Ok((look, extent))
    }

    /// What was counted since the last time, at the monotonic time `now` (ns).
    ///
    /// # Errors
    /// The map cannot be read.
    pub fn counted(&mut self, session: &Session, now: u64) -> Result<(Counted, BindFailures)> {
        let mut all = Vec::new();
        let size = size_of::<PortKey>() + size_of::<PortCounts>();
        session.map_reader(&PORT_COUNTS, &self.counts)?.read(size, |bytes| {
            let (key, counts) = bytes.split_at(size_of::<PortKey>());
            all.extend(PortKey::read(key).zip(PortCounts::read(counts)));
        })?;
        let crowded = all.len() > self.counts.max_entries() as usize / 2;
        let (mut counted, mut binds) = (Counted::default(), HashMap::new());
        let mut last = HashMap::with_capacity(all.len());
        for (key, counts) in all {
            let mut id = [0; size_of::<PortKey>()];
            id.copy_from_slice(key.as_bytes());
            let before = self.last.get(&id).copied();
            let grown = before.is_none_or(|(before, _)| before.as_bytes() != counts.as_bytes());
            let since = before.filter(|_| !grown).map_or(now, |(_, since)| since);
            let idle = now.saturating_sub(since) > IDLE_NS;
            if crowded && idle && self.take(&id, &counts)? {
                continue;
            }
            last.insert(id, (counts, since));
            let before = before.map_or_else(PortCounts::default, |(before, _)| before);
            if key.flow.rport == 0 {
                *binds.entry((key.flow.netns, key.flow.laddr)).or_default() +=
                    counts.failed - before.failed.min(counts.failed);
            } else if grown {
                counted
                    .entry((destination(&key.flow), key.range))
                    .or_default()
                    .add(&key, &counts, &before);
            }
        }
        self.last = last;
        self.read_searches(session, &mut counted)?;
        Ok((counted, self.binds.then_some(binds)))
    }

    /// Takes out an entry that still is as it was read.
    fn take(&self, id: &[u8], counts: &PortCounts) -> Result<bool> {
        let now = self.counts.lookup(id)?;
        let same = now.as_deref() == Some(counts.as_bytes());
        if same {
            self.counts.delete(id)?;
        }
        Ok(same)
    }

    fn read_searches(&mut self, session: &Session, counted: &mut Counted) -> Result<()> {
        if session.plan().method_of(&PORT_SEARCHES).is_none() {
            return Ok(());
        }
        let size = size_of::<PortSearchKey>() + size_of::<WaitSlots>();
        let last = &mut self.last_searches;
        session.map_reader(&PORT_SEARCHES, &self.searches)?.read(size, |bytes| {
            let (id, slots) = bytes.split_at(size_of::<PortSearchKey>());
            let Some((key, slots)) = PortSearchKey::read(id).zip(WaitSlots::read(slots)) else {
                return;
            };
            let before = last.insert(id.to_vec(), slots.counts).unwrap_or([0; SUBS]);
            let PortKey { flow, range, .. } = key.key;
            let searches = &mut counted.entry((destination(&flow), range)).or_default().searches;
            for (sub, (now, before)) in slots.counts.iter().zip(before).enumerate() {
                let slot = key.octave as usize * SUBS + sub;
                let count = now.saturating_sub(before);
                searches.add(slot, count);
                if count > 0 {
                    let bounds = bounds(slot);
                    searches.spans(bounds.start, bounds.end);
                }
            }
        })
    }
}

impl PortCounters {
    fn add(&mut self, key: &PortKey, now: &PortCounts, before: &PortCounts) {
        let grown = |of: fn(&PortCounts) -> u64| of(now).saturating_sub(of(before));
        let attempts = grown(|counts| counts.opens) + grown(|counts| counts.bound);
        let failed = grown(|counts| counts.failed);
        self.attempts += attempts;
        self.failed += failed;
        self.reused += grown(|counts| counts.reused);
        self.closed_us += grown(|counts| counts.closed_us);
        self.closed_peer += grown(|counts| counts.closed_peer);
        self.users.push((key.pid, now.comm, attempts, failed));
        self.matches |= now.matches != 0;
    }
}
