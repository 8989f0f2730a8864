//! tcpretrans: every segment that is sent again, or with --summary sums by key.

use std::num::NonZeroU64;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::{ArgMatches, CommandFactory, FromArgMatches};

use super::hooks::RETRANSMIT;
use super::{Args, RetransRowOptions, RetransSum, Retransmit, Retransmits};
use crate::cli::{MeasureArgs, usage_error};
use crate::clock::{Ticker, WallClock, monotonic_now, wall_now};
use crate::group::GroupBy;
use crate::hooks::{CHILD, DESTROY, OWNERS, STATE, SYNACK_RETRANS, maps};
use crate::kernel::plan::Plan;
use crate::kernel::ring::Ring;
use crate::kernel::session::Setup;
use crate::report::{Record, TableView, Ts};
use crate::tool::{Asked, Measurement, Mode, Names, Running, Spec, Task, Tool};
use crate::wait::Wake;
use crate::wire::{Record as _, RetransEvent};

const NAME: &str = "tcpretrans";
static OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/tcpretrans.bpf.o"));

/// Events are read this long after they happened, at the latest twice that.
const BATCH: Duration = Duration::from_millis(40);

/// However it is shown.
pub static TCPRETRANS: Spec = Spec {
    name: NAME,
    hooks: &[&STATE, &RETRANSMIT, &SYNACK_RETRANS, &OWNERS],
    hash_hooks: &[&CHILD, &DESTROY],
    untracked_means: "retransmits without attempt or owner: socket table full (raise --track-max)",
    counts_in_kernel: false,
};

/// The tool.
pub static TOOL: Tool = Tool {
    name: NAME,
    object: OBJECT,
    command: Args::command,
    modes: &[Mode { flag: None, spec: &TCPRETRANS }],
    kinds: &[Retransmit::KIND, RetransSum::KIND],
    task,
};

fn task(matches: &ArgMatches) -> Result<Box<dyn Task>, clap::Error> {
    let args = Args::from_arg_matches(matches)?;
    args.check().map_err(usage_error::<Args>)?;
    let filter = args.common.filters.filter().map_err(usage_error::<Args>)?;
    args.interval.sort_column::<RetransSum>().map_err(usage_error::<Args>)?;
    Ok(Box::new(Asked { args, filter }))
}

impl Measurement for Asked<Args> {
    fn spec(&self) -> &'static Spec {
        &TCPRETRANS
    }

    fn setup(&self, plan: &Plan, measure: &MeasureArgs) -> Result<Setup> {
        let Self { args, filter } = self;
        let mut setup =
            Setup::new(OBJECT, (filter.to_wire(), filter.wanted()), args.common.output.verbose);
        setup.options = args.options(filter);
        setup.map_sizes.extend([(maps::EVENTS, args.buffer)]);
        setup.set_options(&args.retrans_options());
        setup.size_if(plan.use_hash, maps::RETRANSMITTED_HASH, measure.track_max);
        Ok(setup)
    }

    fn shows_events(&self) -> bool {
        !self.args.summary
    }
}

impl Task for Asked<Args> {
    fn measurement(&self) -> Option<&dyn Measurement> {
        Some(self)
    }

    fn run(&self) -> Result<ExitCode> {
        let args = &self.args;
        let shown = if args.summary { args.interval.interval() } else { Duration::ZERO };
        let mut running = Running::start(self, &args.common, shown)?;
        let mut events = Events::of(&mut running, args)?;
        let work = if args.summary {
            summarize(&mut running, &mut events, args)
        } else {
            events.watch(&mut running)
        };
        running.finish(work, |running| events.take(running, true))
    }
}

/// Where events come from, and what becomes of them.
struct Events {
    ring: Ring<RetransEvent>,
    names: Names,
    left: u64,
    sums: Option<Retransmits>,
}

impl Events {
    fn of(running: &mut Running, args: &Args) -> Result<Self> {
        let map = running.session.map(maps::EVENTS)?;
        running.waiter.watch_ring(map.as_fd())?;
        let named = args.common.output.json || args.summary;
        Ok(Self {
            ring: Ring::new(&map, RetransEvent::read)?,
            names: Names::of_machine(named),
            left: args.count.map_or(u64::MAX, NonZeroU64::get),
            sums: args.summary.then(|| Retransmits::new(args.by)),
        })
    }

    /// Prints events until stopped.
    fn watch(&mut self, running: &mut Running) -> Result<()> {
        running.printer.begin::<Retransmit>(&TableView::default())?;
        loop {
            let wake = running.rest_for_events(BATCH)?;
            self.take(running, false)?;
            running.printer.flush()?;
            if wake != Wake::Work || self.left == 0 || running.is_over() {
                return Ok(());
            }
        }
    }

    /// Prints or sums up what waits in the ring buffer, all of it the `last` time.
    fn take(&mut self, running: &mut Running, last: bool) -> Result<()> {
        let clock = WallClock::now();
        let Self { ring, names, left, sums, .. } = self;
        ring.drain(|batch| {
            for event in batch {
                running.delivered += 1;
                if let Some(sums) = sums {
                    sums.add(event);
                } else if *left > 0 {
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

    /// Takes events until `end` or a stop.
    fn collect(&mut self, running: &mut Running, end: Instant) -> Result<Wake> {
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let wake = running.rest_for_events(BATCH.min(left))?;
            self.take(running, false)?;
            if wake != Wake::Work || running.is_over() || Instant::now() >= end {
                return Ok(wake);
            }
        }
    }

    fn print(&mut self, running: &mut Running, args: &Args, interval_ns: u64) -> Result<()> {
        let Some(sums) = &mut self.sums else { return Ok(()) };
        let shape = RetransRowOptions {
            ts: wall_now(),
            interval_ns,
            sort: args.interval.sort_column().unwrap_or_default(),
            top: args.interval.top(),
        };
        let mut rows = sums.rows(&shape, |id| self.names.cgroup(id));
        if args.by == GroupBy::Netns {
            for row in &mut rows {
                row.netns_name = row.netns.and_then(|inode| self.names.netns(inode));
            }
        }
        let idle = Some((Ts(shape.ts), "no retransmits"));
        Ok(running.printer.rows(&TableView { idle, ..RetransSum::view(args.by) }, &rows)?)
    }
}

/// Prints sums every interval.
fn summarize(running: &mut Running, events: &mut Events, args: &Args) -> Result<()> {
    let mut ticker = Ticker::new(args.interval.interval());
    let mut began = monotonic_now();
    let intervals = args.count.map_or(u64::MAX, NonZeroU64::get);
    for nth in 1..=intervals {
        let wake = events.collect(running, ticker.next_end())?;
        let last = nth == intervals || wake != Wake::Work || running.is_over();
        if last {
            // Nothing may be counted that the last interval does not show.
            running.detach()?;
            events.take(running, true)?;
        }
        let now = monotonic_now();
        events.print(running, args, now - began)?;
        began = now;
        if last {
            break;
        }
    }
    Ok(())
}
