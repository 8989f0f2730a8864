//! tcpdrop: every TCP segment that the kernel drops, or with --summary sums by key.

use std::num::NonZeroU64;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use clap::{ArgMatches, CommandFactory, FromArgMatches};

use super::hooks::DROP;
use super::{
    Args, DropNames, DropRowOptions, DropSource, DropSum, Dropped, Names, Reasons, SegmentDrop,
};
use crate::cli::{MeasureArgs, usage_error};
use crate::clock::{WallClock, wall_now};
use crate::hooks::{DESTROY, OWNERS, STATE, maps};
use crate::kernel::plan::Plan;
use crate::kernel::session::Setup;
use crate::report::{Record, TableView, Ts};
use crate::tool::{
    Measurement, Mode, Names as MachineNames, Running, Spec, Summed, Task, Tool, summarize,
};
use crate::wait::Wake;
use crate::wire::DropOptions;

const NAME: &str = "tcpdrop";
static OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/tcpdrop.bpf.o"));

/// However it is shown.
pub static TCPDROP: Spec = Spec {
    name: NAME,
    hooks: &[&STATE, &DROP, &OWNERS, &DESTROY],
    hash_hooks: &[],
    untracked_means: "sockets whose drops have no owner: socket table full (raise --track-max)",
    counts_in_kernel: false,
};

/// The tool.
pub static TOOL: Tool = Tool {
    name: NAME,
    object: OBJECT,
    command: Args::command,
    modes: &[Mode { flag: None, spec: &TCPDROP }],
    kinds: &[SegmentDrop::KIND, DropSum::KIND],
    task,
};

/// The command line, and what it asks of this kernel.
struct Drops {
    args: Args,
    filter: crate::filter::Filter,
    reasons: Reasons,
    options: DropOptions,
}

fn task(matches: &ArgMatches) -> Result<Box<dyn Task>, clap::Error> {
    let args = Args::from_arg_matches(matches)?;
    args.check().map_err(usage_error::<Args>)?;
    let filter = args.common.filters.filter().map_err(usage_error::<Args>)?;
    args.interval.sort_column::<DropSum>().map_err(usage_error::<Args>)?;
    let reasons = Reasons::of_kernel().map_err(usage_error::<Args>)?;
    let mut options = DropOptions::default();
    reasons.select(&args.reasons, &mut options).map_err(usage_error::<Args>)?;
    Ok(Box::new(Drops { args, filter, reasons, options }))
}

impl Measurement for Drops {
    fn spec(&self) -> &'static Spec {
        &TCPDROP
    }

    fn setup(&self, _: &Plan, measure: &MeasureArgs) -> Result<Setup> {
        let Self { args, filter, options, .. } = self;
        let mut setup =
            Setup::new(OBJECT, (filter.to_wire(), filter.wanted()), args.common.output.verbose);
        setup.options = args.options(filter);
        setup.map_sizes.extend([
            (maps::DROPS, args.buffer),
            // A connection may have two entries.
            (maps::SOCKETS_BY_FLOW, measure.track_max.saturating_mul(2)),
        ]);
        setup.set_options(options);
        Ok(setup)
    }

    fn shows_events(&self) -> bool {
        !self.args.summary
    }
}

impl Task for Drops {
    fn measurement(&self) -> Option<&dyn Measurement> {
        Some(self)
    }

    fn run(&self) -> Result<ExitCode> {
        let args = &self.args;
        let shown = if args.summary { args.interval.interval() } else { Duration::ZERO };
        let mut running = Running::start(self, &args.common, shown)?;
        let mut events = Events::of(&mut running, self)?;
        for text in events.source.missing(&running.session) {
            running.printer.note(&format!("{NAME}: {text}"))?;
        }
        let work = if args.summary {
            summarize(&mut running, &mut events, args.interval.interval(), args.count)
        } else {
            events.watch(&mut running)
        };
        running.finish(work, |running| events.take(running, true))
    }
}

/// All names that rows have.
struct Named<'a> {
    drops: &'a mut DropNames,
    machine: &'a mut MachineNames,
}

impl Names for Named<'_> {
    fn reason(&mut self, number: u32) -> Option<Arc<str>> {
        self.drops.reason(number)
    }

    fn place(&mut self, address: u64) -> Option<Arc<str>> {
        self.drops.place(address)
    }

    fn cgroup(&mut self, id: u64) -> Option<Arc<str>> {
        self.machine.cgroup(id)
    }

    fn netns(&mut self, inode: u32) -> Option<Arc<str>> {
        self.machine.netns(inode)
    }
}

/// Where events come from, and what becomes of them.
struct Events<'a> {
    args: &'a Args,
    source: DropSource,
    machine: MachineNames,
    left: u64,
    sums: Option<Dropped>,
}

impl<'a> Events<'a> {
    fn of(running: &mut Running, drops: &'a Drops) -> Result<Self> {
        let args = &drops.args;
        running.waiter.watch_ring(running.session.map(maps::DROPS)?.as_fd())?;
        Ok(Self {
            args,
            source: DropSource::new(&running.session, drops.reasons.clone())?,
            machine: MachineNames::of_machine(args.common.output.json || args.summary),
            left: args.count.map_or(u64::MAX, NonZeroU64::get),
            sums: args.summary.then(|| Dropped::new(args.by)),
        })
    }

    /// Prints events until stopped.
    fn watch(&mut self, running: &mut Running) -> Result<()> {
        running.printer.begin::<SegmentDrop>(&TableView::default())?;
        loop {
            let wake = running.rest_for_records(Duration::MAX)?;
            self.take(running, false)?;
            running.printer.flush()?;
            if wake != Wake::Work || self.left == 0 || running.is_over() {
                return Ok(());
            }
        }
    }

    fn say_unresolved(&mut self, running: &mut Running) -> Result<()> {
        if let Some(text) = self.source.names.remark() {
            running.printer.note(&format!("{NAME}: {text}"))?;
        }
        Ok(())
    }
}

impl Summed for Events<'_> {
    /// Without sums prints it.
    fn take(&mut self, running: &mut Running, last: bool) -> Result<()> {
        let clock = WallClock::now();
        let Self { source, machine, left, sums, .. } = self;
        source.drain(|batch, names| {
            for event in batch {
                running.delivered += 1;
                if let Some(sums) = sums {
                    sums.add(event);
                } else if *left > 0 {
                    *left -= 1;
                    let mut names = Named { drops: names, machine };
                    let row = SegmentDrop::new(clock.at(event.ts), event, &mut names);
                    running.printer.row(&row)?;
                }
            }
            Ok(last || (*left > 0 && !running.is_over()))
        })?;
        self.say_unresolved(running)
    }

    fn print(&mut self, running: &mut Running, _now: u64, interval_ns: u64) -> Result<()> {
        let args = self.args;
        let Some(sums) = &mut self.sums else { return Ok(()) };
        let shape = DropRowOptions {
            ts: wall_now(),
            interval_ns,
            sort: args.interval.sort_column().unwrap_or_default(),
            top: args.interval.top(),
            hidden: Some(self.source.hidden(&running.session)?),
        };
        let mut names = Named { drops: &mut self.source.names, machine: &mut self.machine };
        let rows = sums.rows(&shape, &mut names);
        let hide = DropSum::hidden(args.by);
        let idle = Some((Ts(shape.ts), "no drops"));
        running.printer.rows(&TableView { hide: &hide, idle, ..TableView::default() }, &rows)?;
        self.say_unresolved(running)
    }
}
