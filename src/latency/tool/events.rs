//! Latencies as they are measured.

use std::num::NonZeroU64;
use std::os::fd::AsFd;
use std::time::Duration;

use anyhow::Result;

use crate::clock::WallClock;
use crate::hooks::maps;
use crate::kernel::ring::Ring;
use crate::latency::Args;
use crate::latency::Exchange;
use crate::report::TableView;
use crate::tool::{Names, Running};
use crate::wait::Wake;
use crate::wire::{LatencyEvent, Record as _};

/// Where latencies come from, and how many are still wanted.
pub struct Events {
    ring: Ring<LatencyEvent>,
    names: Names,
    left: u64,
}

impl Events {
    /// Opens the ring buffer.
    pub fn new(running: &mut Running, args: &Args) -> Result<Self> {
        let map = running.session.map(maps::EVENTS)?;
        running.waiter.watch_ring(map.as_fd())?;
        Ok(Self {
            ring: Ring::new(&map, LatencyEvent::read)?,
            names: Names::of_machine(args.common.output.json),
            left: args.count.map_or(u64::MAX, NonZeroU64::get),
        })
    }

    /// Prints latencies until stopped.
    pub fn watch(&mut self, running: &mut Running) -> Result<()> {
        running.printer.begin::<Exchange>(&TableView::default())?;
        loop {
            let wake = running.rest_for_records(Duration::MAX)?;
            self.print(running, false)?;
            running.printer.flush()?;
            if wake != Wake::Work || self.left == 0 || running.is_over() {
                return Ok(());
            }
        }
    }

    /// Prints what waits in the ring buffer, all of it the `last` time; what is beyond the wanted
    /// number only counts.
    pub fn print(&mut self, running: &mut Running, last: bool) -> Result<()> {
        let clock = WallClock::now();
        let Self { ring, names, left } = self;
        ring.drain(|batch| {
            for event in batch {
                running.delivered += 1;
                if *left > 0 {
                    *left -= 1;
                    let (ts, cgroup) = (clock.at(event.ts), names.cgroup(event.cgroup));
                    let mut row = Exchange::new(ts, event, cgroup);
                    row.netns_name = names.netns(event.flow.netns);
                    running.printer.row(&row)?;
                }
            }
            Ok(last || (*left > 0 && !running.is_over()))
        })
    }
}
