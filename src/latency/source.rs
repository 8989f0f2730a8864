//! Reads the sums of the programs.

use anyhow::{Context, Result};

use super::Latencies;
use crate::hooks::{LATENCIES, LISTENING, maps};
use crate::kernel::map::Map;
use crate::kernel::rcu::RcuSync;
use crate::kernel::session::Session;
use crate::wire::{LatencyKey, LatencyTurn, LatencyValue, Record as _};

/// Entries deleted at once.
const BATCH: usize = 1024;

/// The two maps: one is filled while the other is read.
#[derive(Debug)]
pub struct LatencySource {
    maps: [Map; 2],
    other: Map,
    turn: Map,
    rcu: RcuSync,
    epoch: u32,
    cpus: usize,
}

/// Finds listeners, which determine the roles of sockets older than the tool; until then
/// nothing of these is measured.
///
/// # Errors
/// The iterator cannot be read, or the map not written.
pub fn learn_listeners(session: &Session) -> Result<()> {
    session.iterate(&LISTENING, 1, |_| ()).context("cannot learn who listens")?;
    turn_to(&session.map(maps::LATENCY_TURN)?, 0)
}

fn turn_to(map: &Map, epoch: u32) -> Result<()> {
    let turn = LatencyTurn { epoch, rows: [0; 2], ready: 1, ..LatencyTurn::default() };
    map.update(&0u32.to_ne_bytes(), turn.as_bytes()).context("cannot switch to the other map")
}

impl LatencySource {
    /// The maps of `session`, on a machine with this many possible CPUs.
    ///
    /// # Errors
    /// The object lacks one, or the kernel refuses what [`RcuSync`] needs.
    pub fn new(session: &Session, cpus: usize) -> Result<Self> {
        Ok(Self {
            maps: [session.map(maps::LATENCIES_EVEN)?, session.map(maps::LATENCIES_ODD)?],
            other: session.map(maps::LATENCIES_OTHER)?,
            turn: session.map(maps::LATENCY_TURN)?,
            rcu: RcuSync::new()?,
            epoch: 0,
            cpus,
        })
    }

    /// Hands over to `to` everything since the last call, each latency exactly once: from now on
    /// programs fill the other map, and those still at work on this one are waited for.
    ///
    /// # Errors
    /// The maps cannot be read or emptied.
    pub fn take(&mut self, session: &Session, to: &mut Latencies) -> Result<()> {
        let full = usize::from(self.epoch == 1);
        self.epoch = 1 - self.epoch;
        turn_to(&self.turn, self.epoch)?;
        self.rcu.wait()?;
        self.empty(session, &self.maps[full], None, to)?;
        self.empty(session, &self.other, Some(full), to)
    }

    /// Takes the entries of a map, or of an epoch of it, and deletes them.
    fn empty(
        &self,
        session: &Session,
        map: &Map,
        epoch: Option<usize>,
        to: &mut Latencies,
    ) -> Result<()> {
        let size = size_of::<LatencyKey>() + self.cpus * size_of::<LatencyValue>();
        let mut keys: Vec<u8> = Vec::new();
        session.map_reader(&LATENCIES, map)?.read(size, |bytes| {
            let (key, values) = bytes.split_at(size_of::<LatencyKey>());
            let of = LatencyKey::read(key).map(|key| usize::from(key.epoch));
            if epoch.is_some() && epoch != of {
                return;
            }
            to.take(key, values.chunks_exact(size_of::<LatencyValue>()), epoch.is_some());
            keys.extend_from_slice(key);
        })?;
        for some in keys.chunks(BATCH * size_of::<LatencyKey>()) {
            map.delete_batch(some)?;
        }
        Ok(())
    }
}
