//! Sums of each interval.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;

use super::events::ring;
use super::{NAME, note_probes};
use crate::clock::wall_now;
use crate::count::{CountSource, Counts};
use crate::group::GroupBy;
use crate::hooks::{PROBE, SOCKET_COUNTERS};
use crate::kernel::possible_cpus;
use crate::kernel::ring::Ring;
use crate::report::{TableView, Ts};
use crate::retrans::{
    Args, KnownSums, RetransRowOptions, RetransSum, Retransmits, SocketCounters, Unexplained,
};
use crate::tool::{Asked, Names, Running, Summed, summarize};
use crate::wire::RetransEvent;

/// What the status calls them.
const UNEXPLAINED: &str = "retransmitted segments (TcpRetransSegs) that are not shown: this host did not send them \
     (TCPRetransFail, see tcpdrop), or their events were lost";

/// Prints sums until stopped.
pub fn run(asked: &Asked<Args>) -> Result<ExitCode> {
    let args = &asked.args;
    // Sums are shown as they are, not per second.
    let mut running = Running::start(asked, &args.common, Duration::ZERO)?;
    note_probes(&mut running, args)?;
    let mut summary = Summary::of(&mut running, asked)?;
    let work = summarize(&mut running, &mut summary, args.interval.interval(), args.count);
    running.finish(work, |running| summary.take(running, true))
}

struct Summary<'a> {
    args: &'a Args,
    ring: Ring<RetransEvent>,
    sums: Retransmits,
    counters: SocketCounters,
    source: CountSource,
    sent: Counts,
    known: KnownSums,
    /// Where everything is shown.
    unexplained: Option<Unexplained>,
    names: Names,
}

impl<'a> Summary<'a> {
    fn of(running: &mut Running, asked: &'a Asked<Args>) -> Result<Self> {
        let args = &asked.args;
        let ring = ring(running)?;
        let plan = running.session.plan();
        let out = plan.method_of(&SOCKET_COUNTERS).is_some();
        let probes = plan.method_of(&PROBE).is_some();
        let mut counters = SocketCounters::new();
        // From here on older sockets are counted.
        counters.visit(&running.session, running.netns())?;
        if let Some(remark) = counters.take_remark() {
            running.printer.note(&format!("{NAME}: {remark}"))?;
        }
        let known = KnownSums { out: out && counters.all_seen(), probes, unexplained: false };
        Ok(Self {
            args,
            ring,
            sums: Retransmits::new(args.by),
            counters,
            source: CountSource::of(&running.session, possible_cpus()?)?,
            sent: Counts::new(false),
            known,
            unexplained: args
                .shows_everything(&asked.filter)
                .then(|| Unexplained::begin(running.netns())),
            names: Names::of_machine(true),
        })
    }
}

impl Summary<'_> {
    /// What the kernel counts itself.
    fn count(&mut self, running: &Running) -> Result<()> {
        self.unexplained.as_mut().map_or(Ok(()), |unexplained| unexplained.count(running.netns()))
    }

    /// Segments of the interval that the kernel counts and no event shows.
    fn compare(&mut self, running: &mut Running) -> Result<Option<u64>> {
        let Some(unexplained) = &mut self.unexplained else { return Ok(None) };
        let new = unexplained.end();
        let total = unexplained.total();
        running.amend_status(move |status| {
            status.unexplained = Some(total);
            status.unexplained_means = UNEXPLAINED;
        });
        if let Some(remark) = unexplained.remark() {
            running.printer.note(&format!("{NAME}: {remark}"))?;
        }
        Ok(new)
    }
}

impl Summed for Summary<'_> {
    fn take(&mut self, running: &mut Running, _last: bool) -> Result<()> {
        let Self { ring, sums, unexplained, .. } = self;
        ring.drain(|batch| {
            running.delivered += u64::try_from(batch.len())?;
            for event in batch {
                sums.add(event);
                if let Some(unexplained) = unexplained {
                    unexplained.take(event);
                }
            }
            Ok(true)
        })
    }

    fn before_detach(&mut self, running: &mut Running) -> Result<()> {
        self.count(running)?;
        // A socket that closes while the programs are taken away is missed: what it sent until now is not.
        self.counters.visit(&running.session, running.netns())
    }

    fn print(&mut self, running: &mut Running, now: u64, length: u64) -> Result<()> {
        let args = self.args;
        if running.session.is_attached() {
            self.count(running)?;
        }
        self.counters.visit(&running.session, running.netns())?;
        let Self { source, sent, .. } = self;
        let sent = source.interval(&running.session, (sent, now), usize::MAX, |_| ())?;
        self.sums.add_sent(&sent);
        // The visit may have found needless retransmits.
        self.take(running, true)?;
        let shape = RetransRowOptions {
            ts: wall_now(),
            interval_ns: length,
            sort: args.interval.sort_column().unwrap_or_default(),
            top: args.interval.top(),
            all: args.all,
            known: self.known,
        };
        let mut rows = self.sums.rows(&shape, |id| self.names.cgroup(id));
        let unexplained = self.compare(running)?;
        rows.iter_mut().filter(|row| row.total).for_each(|row| row.unexplained_segs = unexplained);
        if args.by == GroupBy::Netns {
            for row in &mut rows {
                row.netns_name = row.netns.and_then(|inode| self.names.netns(inode));
            }
        }
        let unexplained = unexplained.is_some_and(|segs| segs > 0);
        let hide = RetransSum::hidden(args.by, KnownSums { unexplained, ..self.known });
        let idle = Some((Ts(shape.ts), "no retransmits"));
        Ok(running.printer.rows(&TableView { hide: &hide, idle, ..TableView::default() }, &rows)?)
    }
}
