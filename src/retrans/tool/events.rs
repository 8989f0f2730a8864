//! Each segment that is sent again, as it comes.

use std::num::NonZeroU64;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;

use super::{NAME, note_probes};
use crate::clock::WallClock;
use crate::hooks::maps;
use crate::kernel::ring::Ring;
use crate::report::TableView;
use crate::retrans::{Args, Retransmit, SocketCounters};
use crate::tool::{Asked, Names, Running};
use crate::wait::Wake;
use crate::wire::{Record as _, RetransEvent};

/// The ring buffer of a session, which is waited for.
pub fn ring(running: &mut Running) -> Result<Ring<RetransEvent>> {
    let map = running.session.map(maps::EVENTS)?;
    running.waiter.watch_ring(map.as_fd())?;
    Ring::new(&map, RetransEvent::read)
}

/// Prints events until stopped.
pub fn run(asked: &Asked<Args>) -> Result<ExitCode> {
    let args = &asked.args;
    let mut running = Running::start(asked, &args.common, Duration::ZERO)?;
    note_probes(&mut running, args)?;
    let mut events = Events::of(&mut running, args)?;
    let mut work = events.watch(&mut running);
    // What the kernel has found out since the last visit, no close reports any more.
    if work.is_ok() && events.counters.is_unsure() {
        work = events.counters.visit(&running.session, running.netns());
    }
    running.finish(work, |running| events.take(running, true))
}

struct Events {
    ring: Ring<RetransEvent>,
    counters: SocketCounters,
    names: Names,
    left: u64,
}

impl Events {
    fn of(running: &mut Running, args: &Args) -> Result<Self> {
        Ok(Self {
            ring: ring(running)?,
            counters: SocketCounters::new(),
            names: Names::of_machine(args.common.output.json),
            left: args.count.map_or(u64::MAX, NonZeroU64::get),
        })
    }

    fn watch(&mut self, running: &mut Running) -> Result<()> {
        running.printer.begin::<Retransmit>(&TableView::default())?;
        loop {
            let wake = running.rest_for_records(self.counters.left())?;
            self.counters.visit_if_due(&running.session, running.netns())?;
            if let Some(remark) = self.counters.take_remark() {
                running.printer.note(&format!("{NAME}: {remark}"))?;
            }
            self.take(running, false)?;
            running.printer.flush()?;
            if wake != Wake::Work || self.left == 0 || running.is_over() {
                return Ok(());
            }
        }
    }

    /// Prints what waits in the ring buffer, all of it the `last` time.
    fn take(&mut self, running: &mut Running, last: bool) -> Result<()> {
        let clock = WallClock::now();
        let Self { ring, counters, names, left } = self;
        ring.drain(|batch| {
            if !batch.is_empty() {
                counters.note_retransmit();
            }
            for event in batch {
                running.delivered += 1;
                if *left > 0 {
                    *left -= 1;
                    let (ts, cgroup) = (clock.at(event.ts), names.cgroup(event.cgroup));
                    let mut row = Retransmit::new(ts, event, cgroup);
                    row.netns_name = names.netns(event.flow.netns);
                    running.printer.row(&row)?;
                }
            }
            Ok(last || (*left > 0 && !running.is_over()))
        })
    }
}
