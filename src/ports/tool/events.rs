//! Failures as they come.

use std::num::NonZeroU64;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;

use crate::clock::WallClock;
use crate::hooks::maps;
use crate::kernel::ring::Ring;
use crate::ports::{Args, PortFail};
use crate::report::TableView;
use crate::tool::{Asked, Names, Running};
use crate::wait::Wake;
use crate::wire::{PortEvent, Record as _};

/// Where failures come from, and how many are still wanted.
struct Failures {
    ring: Ring<PortEvent>,
    names: Names,
    left: u64,
}

/// Prints failures until stopped.
pub fn run(asked: &Asked<Args>) -> Result<ExitCode> {
    let args = &asked.args;
    let mut running = Running::start(asked, &args.common, Duration::ZERO)?;
    let map = running.session.map(maps::EVENTS)?;
    running.waiter.watch_ring(map.as_fd())?;
    let mut failures = Failures {
        ring: Ring::new(&map, PortEvent::read)?,
        names: Names::of_machine(true),
        left: args.count.map_or(u64::MAX, NonZeroU64::get),
    };
    let work = failures.watch(&mut running);
    running.finish(work, |running| failures.take(running, true))
}

impl Failures {
    fn watch(&mut self, running: &mut Running) -> Result<()> {
        running.printer.begin::<PortFail>(&TableView::default())?;
        loop {
            let wake = running.rest_for_records(Duration::MAX)?;
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
        let Self { ring, names, left } = self;
        ring.drain(|batch| {
            for event in batch {
                running.delivered += 1;
                if *left > 0 {
                    *left -= 1;
                    let cgroup = names.cgroup(event.cgroup);
                    let fail = PortFail::new(clock.at(event.ts), event, cgroup);
                    let netns_name = names.netns(event.flow.netns);
                    running.printer.row(&PortFail { netns_name, ..fail })?;
                }
            }
            Ok(last || (*left > 0 && !running.is_over()))
        })
    }
}
