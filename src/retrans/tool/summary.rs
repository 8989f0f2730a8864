//! Sums of each interval.

use std::num::NonZeroU64;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::events::{BATCH, ring};
use super::{NAME, note_probes};
use crate::clock::{Ticker, monotonic_now, wall_now};
use crate::count::{CountSource, Counts};
use crate::group::GroupBy;
use crate::hooks::{PROBE, SOCKET_COUNTERS};
use crate::kernel::possible_cpus;
use crate::kernel::ring::Ring;
use crate::report::{TableView, Ts};
use crate::retrans::{Args, KnownSums, RetransRowOptions, RetransSum, Retransmits, SocketCounters};
use crate::tool::{Asked, Names, Running};
use crate::wait::Wake;
use crate::wire::RetransEvent;

/// Prints sums until stopped.
pub fn run(asked: &Asked<Args>) -> Result<ExitCode> {
    let args = &asked.args;
    // Sums are shown as they are, not per second.
    let mut running = Running::start(asked, &args.common, Duration::ZERO)?;
    note_probes(&mut running, args)?;
    let mut summary = Summary::of(&mut running, args)?;
    let work = summary.watch(&mut running, args);
    running.finish(work, |running| summary.take(running))
}

struct Summary {
    ring: Ring<RetransEvent>,
    sums: Retransmits,
    counters: SocketCounters,
    source: CountSource,
    sent: Counts,
    known: KnownSums,
    names: Names,
}

impl Summary {
    fn of(running: &mut Running, args: &Args) -> Result<Self> {
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
            ring,
            sums: Retransmits::new(args.by),
            counters,
            source: CountSource::of(&running.session, possible_cpus()?)?,
            sent: Counts::new(false),
            known,
            names: Names::of_machine(true),
        })
    }

    fn watch(&mut self, running: &mut Running, args: &Args) -> Result<()> {
        let mut ticker = Ticker::new(args.interval.interval());
        let mut began = monotonic_now();
        let intervals = args.count.map_or(u64::MAX, NonZeroU64::get);
        for nth in 1..=intervals {
            let wake = self.collect(running, ticker.next_end())?;
            let last = nth == intervals || wake != Wake::Work || running.is_over();
            if last {
                // Nothing may be counted that the last interval does not show. A socket that closes
                // while the programs are taken away is missed: what it sent until now is not.
                self.counters.visit(&running.session, running.netns())?;
                running.detach()?;
            }
            let now = monotonic_now();
            self.print(running, args, (now, now - began))?;
            began = now;
            if last {
                break;
            }
        }
        Ok(())
    }

    /// Takes events until `end` or a stop.
    fn collect(&mut self, running: &mut Running, end: Instant) -> Result<Wake> {
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let wake = running.rest_for_events(BATCH.min(left))?;
            self.take(running)?;
            if wake != Wake::Work || running.is_over() || Instant::now() >= end {
                return Ok(wake);
            }
        }
    }

    fn take(&mut self, running: &mut Running) -> Result<()> {
        let Self { ring, sums, .. } = self;
        ring.drain(|batch| {
            running.delivered += u64::try_from(batch.len())?;
            for event in batch {
                sums.add(event);
            }
            Ok(true)
        })
    }

    /// Ends an interval of this length at the monotonic time `now`, both in ns.
    fn print(
        &mut self,
        running: &mut Running,
        args: &Args,
        (now, length): (u64, u64),
    ) -> Result<()> {
        self.counters.visit(&running.session, running.netns())?;
        let keys = self.source.keys(&running.session, &self.sent, now)?;
        self.sums.add_sent(&self.sent.interval(keys, self.source.other()?, now));
        // The visit may have found needless retransmits.
        self.take(running)?;
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
