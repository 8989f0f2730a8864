//! One sample: everything that the models know at one time, as records.

use std::time::{Duration, Instant};

use anyhow::Result;
use foldhash::{HashMap, HashSet, HashSetExt as _};

use super::{Everything, WATCH, drops, endings, latencies, listeners, ports, stalls};
use crate::clock::{monotonic_now, own_cpu_ns, wall_now};
use crate::count::{
    CountInterval, CountRowOptions, CountSource, CountSums, Counter, Counts, GroupBy, SocketVisits,
};
use crate::drop::SocketOwners;
use crate::kernel::netns_list::Extent;
use crate::kernel::possible_cpus;
use crate::kernel::session::Session;
use crate::listen;
use crate::nstat::{CpuQueues, Mib, NetnsTotals};
use crate::record::AnyRecord;
use crate::report::{Note, Ts};
use crate::settings::SettingsReader;
use crate::states::socket_summary::{
    self, Destination, Destinations, Socket, SocketReader, SocketSummary,
};
use crate::tcp_state::TcpState;
use crate::tool::{BATCH, Running};
use crate::wire::{Flow, GroupKey, SockEntry};

/// Connections shown one by one; the others are added up as (other).
const TOP: usize = 10_000;
/// Processes, remotes and ports of the socket summary shown one by one, most sockets first.
const HOLDERS: usize = 2_000;
/// Sockets shown one by one, the busiest first.
const LISTED: usize = 2_000;

/// However long a look takes, the next one comes before what it found is forgotten.
const LONGEST_REST: Duration = Duration::from_secs(40);

/// Turns the state of a running session into records.
pub struct Sampler {
    source: CountSource,
    counts: Counts,
    /// Where TCP's own counters are read.
    visits: Option<SocketVisits>,
    endings: endings::LiveEndings,
    latencies: latencies::LiveLatencies,
    listeners: listeners::LiveListeners,
    drops: drops::LiveDrops,
    ports: ports::LivePorts,
    stalls: stalls::LiveStalls,
    reader: SocketReader,
    totals: NetnsTotals,
    cpu_queues: CpuQueues,
    settings: SettingsReader,
    /// The last reading of counters, `CLOCK_MONOTONIC` ns.
    before: u64,
    /// The busiest connections of the last interval.
    busy: HashSet<Flow>,
    /// When the sockets may be read again, and what decides about it: see [`Everything::rests`].
    sockets_due: Instant,
    rests: u32,
}

/// Single sockets, and the destinations that use most local ports.
type Listed = (Vec<SockEntry>, Vec<Destination>);

impl Sampler {
    /// Begins to count.
    ///
    /// # Errors
    /// Counters cannot be read.
    pub fn new(session: &Session, everything: &Everything) -> Result<Self> {
        let Everything { filter, light, rests, .. } = everything;
        let cpus = possible_cpus()?;
        let mut totals = NetnsTotals::default();
        totals.grown(filter.netns.as_ref().map(|netns| netns.inode));
        Ok(Self {
            source: CountSource::of(session, cpus)?,
            counts: Counts::new(false),
            endings: endings::LiveEndings::begin(session)?,
            visits: light.then(SocketVisits::default),
            latencies: latencies::LiveLatencies::begin(session, cpus, *light)?,
            listeners: listeners::LiveListeners::begin(session, filter)?,
            drops: drops::LiveDrops::begin(session, filter)?,
            ports: ports::LivePorts::begin(session)?,
            stalls: stalls::LiveStalls::new(),
            reader: SocketReader::default(),
            totals,
            cpu_queues: CpuQueues::default(),
            settings: SettingsReader::default(),
            before: monotonic_now(),
            busy: HashSet::new(),
            sockets_due: Instant::now(),
            rests: *rests,
        })
    }

    /// Everything as it is now.
    ///
    /// # Errors
    /// A map, an iterator or /proc cannot be read.
    pub fn sample(&mut self, running: &mut Running) -> Result<Vec<AnyRecord>> {
        let mut out = Vec::new();
        let now = monotonic_now();
        let time = (wall_now(), now - self.before);
        self.drops.glance()?;
        let mut sockets = self.drops.sockets();
        if let Some(visits) = &mut self.visits {
            visits.visit(&running.session, running.netns())?;
        }
        self.traffic(running, (now, time), &mut sockets, &mut out)?;
        out.extend(
            self.latencies.interval(&running.session, time)?.into_iter().map(AnyRecord::from),
        );
        out.extend(self.endings.interval(time)?.into_iter().map(AnyRecord::from));
        out.extend(self.endings.cuts()?.into_iter().map(AnyRecord::from));
        let (rows, unexplained) = self.listeners.interval(running, time)?;
        for row in listen::files(time.0, &rows) {
            out.push(row.into());
        }
        for row in rows {
            listeners::offer(&row, &mut sockets);
            out.push(row.into());
        }
        let mut remarks = running.take_remarks();
        remarks.extend(self.listeners.remark());
        remarks.extend(self.visits.as_mut().and_then(|it| it.take_remark(SocketVisits::CLOSED)));
        remarks.extend(self.drops.take_remarks().into_iter().map(str::to_owned));
        for remark in remarks {
            let text = format!("{}: {remark}", running.name()).into();
            out.push(Note { ts: Ts(time.0), text }.into());
        }
        self.before = now;
        let asked = running.netns().map(Option::unwrap_or_default);
        out.extend(self.settings.read(time.0, asked)?.into_iter().map(AnyRecord::from));
        out.extend(self.settings.bound().into_iter().map(AnyRecord::from));
        self.sockets(running, &mut sockets, &mut out)?;
        out.extend(
            self.drops.interval(&running.session, time, &sockets)?.into_iter().map(AnyRecord::from),
        );
        let left = self.drops.left();
        running.amend_status(move |status| {
            status.unexplained = unexplained;
            status.delivered = status.delivered.saturating_sub(left.filtered + left.unknown);
            status.filtered += left.filtered;
            status.lost += left.unknown;
        });
        out.push(running.status(false)?.into());
        Ok(out)
    }

    /// Work between two samples, done this often.
    pub fn pause(&self) -> Duration {
        let pause = if self.listeners.is_sampled() { listen::SAMPLE } else { WATCH };
        if self.drops.is_busy() { pause.min(BATCH) } else { pause }
    }

    /// The next sample looks at all sockets, whatever that costs: it is the last.
    pub fn look_once_more(&mut self) {
        self.sockets_due = Instant::now();
    }

    /// Does it.
    ///
    /// # Errors
    /// A map or an iterator cannot be read.
    pub fn glance(&mut self, running: &Running) -> Result<()> {
        self.drops.glance()?;
        self.listeners.glance(&running.session)
    }

    /// Counts by connection and by process, and the namespace's own counters.
    fn traffic(
        &mut self,
        running: &Running,
        (now, (ts, interval_ns)): (u64, (i64, u64)),
        sockets: &mut SocketOwners,
        out: &mut Vec<AnyRecord>,
    ) -> Result<()> {
        let light = self.visits.is_some();
        let shape = |by| CountRowOptions {
            ts,
            interval_ns,
            by,
            sort: None,
            top: TOP,
            cumulative: false,
            light,
        };
        let by_connection = shape(GroupBy::Connection);
        let mut processes = ByProcess::default();
        let Self { source, counts, .. } = self;
        let interval =
            source.interval(&running.session, (counts, now), by_connection.wanted(), |one| {
                sockets.offer(&one.key.flow, (one.pid, one.comm));
                processes.add(one);
            })?;
        let busiest = interval.most_first(LISTED).into_iter().take(LISTED);
        self.busy = busiest.map(|counter| counter.key.flow).collect();
        let by_process = processes.interval(interval.total);
        for (shape, interval) in [(shape(GroupBy::Process), by_process), (by_connection, interval)]
        {
            shape.each_row(&interval, |_| None, |row| out.push(row.into()));
        }
        // None is there while the one that was asked for is gone.
        let asked = running.netns().map(Option::unwrap_or_default);
        let (grown, extent) = self.totals.grown(asked);
        let time = (ts, interval_ns);
        out.extend(self.totals.interfaces(time).into_iter().map(AnyRecord::from));
        if extent != Extent::default() {
            for part in self.totals.parts(time, &extent) {
                out.push(part.into());
            }
            let cpu_queue_drops = self.cpu_queues.grown();
            out.push(Mib { cpu_queue_drops, ..grown.record(time, &extent).with_orphans() }.into());
        }
        Ok(())
    }

    /// All sockets, unless reading so many would cost too much.
    fn sockets(
        &mut self,
        running: &Running,
        owners: &mut SocketOwners,
        out: &mut Vec<AnyRecord>,
    ) -> Result<()> {
        let begun = own_cpu_ns();
        let asked = running.netns();
        if Instant::now() < self.sockets_due || asked == Some(None) {
            return Ok(());
        }
        let (session, asked) = (&running.session, asked.flatten());
        let (ts, inventories, (listed, destinations)) = self.inventories(session, asked, owners)?;
        let stalls = self.stalls.look(session, &mut self.reader, asked)?;
        let (ports, pools) = self.ports.look(session, asked)?;
        let took = Duration::from_nanos(own_cpu_ns().saturating_sub(begun));
        self.sockets_due = Instant::now() + took.saturating_mul(self.rests).min(LONGEST_REST);
        for inventory in &inventories {
            out.extend(inventory.sockets().into_iter().take(HOLDERS).map(AnyRecord::from));
        }
        for entry in &listed {
            out.push(Socket::new(ts, entry).into());
        }
        out.extend(destinations.into_iter().map(AnyRecord::from));
        out.extend(inventories[0].close_wait().into_iter().map(AnyRecord::from));
        out.extend(stalls.into_iter().map(AnyRecord::from));
        out.extend(ports.into_iter().map(AnyRecord::from));
        out.extend(pools.into_iter().map(AnyRecord::from));
        Ok(())
    }

    /// By state only, by process and by remote, all at the same time.
    /// And when that was, with single sockets: the busiest, and as many others as there is room for;
    /// and the destinations that use most local ports.
    fn inventories(
        &mut self,
        session: &Session,
        asked: Option<u32>,
        owners: &mut SocketOwners,
    ) -> Result<(i64, [SocketSummary; 3], Listed)> {
        let groupings = [
            None,
            Some(socket_summary::SummaryBy::Process),
            Some(socket_summary::SummaryBy::Remote),
        ];
        let ts = wall_now();
        let mut all = groupings.map(|by| SocketSummary::new(ts, by));
        let (mut listed, mut idle) = (Vec::new(), Vec::new());
        let mut destinations = Destinations::default();
        let Self { reader, busy, .. } = self;
        let extent = reader.read(session, asked, |entry| {
            for inventory in &mut all {
                inventory.add(entry);
            }
            destinations.add(entry);
            owners.offer(&entry.flow, (entry.pid, entry.comm));
            if busy.contains(&entry.flow) {
                listed.push(*entry);
            } else if idle.len() < LISTED && is_connection(entry) {
                idle.push(*entry);
            }
        })?;
        for inventory in &mut all {
            inventory.finish(extent, |netns| reader.name(netns));
        }
        listed.extend(idle);
        listed.truncate(LISTED);
        Ok((ts, all, (listed, destinations.records(ts))))
    }
}

/// Whether a process holds it with a peer: neither listening nor closed.
fn is_connection(entry: &SockEntry) -> bool {
    let other = [TcpState::Listen, TcpState::TimeWait, TcpState::NewSynRecv].map(TcpState::number);
    !other.contains(&entry.state)
}

/// Connections added up by the process that owns them.
#[derive(Default)]
struct ByProcess(HashMap<u32, Counter>);

impl ByProcess {
    fn add(&mut self, counter: &Counter) {
        if counter.sums.is_idle() {
            return;
        }
        let mut key = GroupKey::default();
        key.pid = counter.pid;
        let fresh = Counter { key, sums: CountSums::default(), ..*counter };
        let process = self.0.entry(counter.pid).or_insert(fresh);
        process.sums = process.sums.plus(counter.sums);
    }

    /// The processes of an interval with this `total`.
    fn interval(self, total: CountSums) -> CountInterval {
        let mut interval = CountInterval::new(usize::MAX);
        for process in self.0.into_values() {
            interval.add(process);
        }
        interval.add_other(total.since(interval.total));
        interval
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_come_before_their_rows_are_stale() {
        let rest = i64::try_from(LONGEST_REST.as_nanos()).unwrap();
        // The look itself takes a while, too.
        assert!(rest * 5 / 4 < crate::model::STALE);
    }
}
