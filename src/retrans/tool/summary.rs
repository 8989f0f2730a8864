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
use crate::retrans::{Args, KnownSums, RetransRowOptions, RetransSum, Retransmits, SocketCounters};
use crate::tool::{Asked, Names, Running, Summed, summarize};
use crate::wire::RetransEvent;

/// Prints sums until stopped.
pub fn run(asked: &Asked<Args>) -> Result<ExitCode> {
    let args = &asked.args;
    // Sums are shown as they are, not per second.
    let mut running = Running::start(asked, &args.common, Duration::ZERO)?;
    note_probes(&mut running, args)?;
    let mut summary = Summary::of(&mut running, args)?;
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
    names: Names,
}

impl<'a> Summary<'a> {
    fn of(running: &mut Running, args: &'a Args) -> Result<Self> {
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
        let known = KnownSums { out: out && counters.all_seen(), probes };
        Ok(Self {
            args,
            ring,
            sums: Retransmits::new(args.by),
            counters,
            source: CountSource::of(&running.session, possible_cpus()?)?,
            sent: Counts::new(false),
            known,
            names: Names::of_machine(true),
        })
    }
}

impl Summed for Summary<'_> {
    fn take(&mut self, running: &mut Running, _last: bool) -> Result<()> {
        let Self { ring, sums, .. } = self;
        ring.drain(|batch| {
            running.delivered += u64::try_from(batch.len())?;
            for event in batch {
                sums.add(event);
            }
            Ok(true)
        })
    }

    fn before_detach(&mut self, running: &mut Running) -> Result<()> {
        // A socket that closes while the programs are taken away is missed: what it sent until now is not.
        self.counters.visit(&running.session, running.netns())
    }

    fn print(&mut self, running: &mut Running, now: u64, length: u64) -> Result<()> {
        let args = self.args;
        self.counters.visit(&running.session, running.netns())?;
        let keys = self.source.keys(&running.session, &self.sent, now)?;
        self.sums.add_sent(&self.sent.interval(keys, self.source.other()?, now));
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
        if args.by == GroupBy::Netns {
            for row in &mut rows {
                row.netns_name = row.netns.and_then(|inode| self.names.netns(inode));
            }
        }
        let hide = RetransSum::hidden(args.by, self.known);
        let idle = Some((Ts(shape.ts), "no retransmits"));
        Ok(running.printer.rows(&TableView { hide: &hide, idle, ..TableView::default() }, &rows)?)
    }
}
