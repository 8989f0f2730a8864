//! tcplife: each connection as it ends, or with --summary sums by key.

use std::cell::Cell;
use std::num::NonZeroU64;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use anyhow::Result;
use clap::{ArgMatches, CommandFactory, FromArgMatches};

use super::hooks::{CONNECT_RETURN, OPEN_CONNECTIONS, RESET};
use super::source::open_connections;
use super::{Args, Endings, Life, LifeRowOptions, LifeSum, LifeSums};
use crate::cli::{MeasureArgs, usage_error};
use crate::clock::{WallClock, monotonic_now, wall_now};
use crate::group::GroupBy;
use crate::hooks::{ACCEPT_RETURN, CHILD, DESTROY, OWNERS, STATE, maps};
use crate::kernel::plan::Plan;
use crate::kernel::ring::Ring;
use crate::kernel::session::Setup;
use crate::report::{Record, TableView, Ts};
use crate::tool::{
    Asked, BATCH, Measurement, Mode, Names, Running, Spec, Summed, Task, Tool, summarize,
};
use crate::wait::Wake;
use crate::wire::{LifeEvent, Record as _};

const NAME: &str = "tcplife";
static OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/tcplife.bpf.o"));

/// However it is shown.
pub static TCPLIFE: Spec = Spec {
    name: NAME,
    hooks: &[&STATE, &RESET, &ACCEPT_RETURN, &CONNECT_RETURN, &OWNERS, &OPEN_CONNECTIONS],
    hash_hooks: &[&CHILD, &DESTROY],
    untracked_means: "connections without length or owner: socket table full (raise --track-max)",
    counts_in_kernel: false,
};

/// The tool.
pub static TOOL: Tool = Tool {
    name: NAME,
    object: OBJECT,
    command: Args::command,
    modes: &[Mode { flag: None, spec: &TCPLIFE }],
    kinds: &[Life::KIND, LifeSum::KIND],
    task,
};

fn task(matches: &ArgMatches) -> Result<Box<dyn Task>, clap::Error> {
    let args = Args::from_arg_matches(matches)?;
    args.check().map_err(usage_error::<Args>)?;
    let filter = args.common.filters.filter().map_err(usage_error::<Args>)?;
    args.interval.sort_column::<LifeSum>().map_err(usage_error::<Args>)?;
    Ok(Box::new(Asked { args, filter }))
}

impl Measurement for Asked<Args> {
    fn spec(&self) -> &'static Spec {
        &TCPLIFE
    }

    fn setup(&self, plan: &Plan, measure: &MeasureArgs) -> Result<Setup> {
        let Self { args, filter } = self;
        let mut setup =
            Setup::new(OBJECT, (filter.to_wire(), filter.wanted()), args.common.output.verbose);
        setup.options = args.options(filter);
        setup.map_sizes.extend([(maps::EVENTS, args.buffer)]);
        setup.set_options(&args.life_options());
        setup.size_if(plan.use_hash, maps::LIVES_HASH, measure.track_max);
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
            summarize(&mut running, &mut events, args.interval.interval(), args.count)
        } else {
            events.watch(&mut running, args.open)
        };
        running.finish(work, |running| events.take(running, true))
    }
}

/// Where events come from, and what becomes of them.
struct Events<'a> {
    args: &'a Args,
    ring: Ring<LifeEvent>,
    endings: Endings<LifeEvent>,
    left_out: Rc<Cell<u64>>,
    names: Names,
    left: u64,
    sums: Option<LifeSums>,
}

impl<'a> Events<'a> {
    fn of(running: &mut Running, args: &'a Args) -> Result<Self> {
        let map = running.session.map(maps::EVENTS)?;
        running.waiter.watch_ring(map.as_fd())?;
        let named = args.common.output.json || args.summary;
        let left_out = Rc::new(Cell::new(0));
        let counted = Rc::clone(&left_out);
        // Ends that turned out to be others than asked for were delivered, and are not shown.
        running.amend_status(move |status| {
            status.delivered -= counted.get();
            status.filtered += counted.get();
        });
        Ok(Self {
            args,
            ring: Ring::new(&map, LifeEvent::read)?,
            endings: Endings::new(args.ends()),
            left_out,
            names: Names::of_machine(named),
            left: args.count.map_or(u64::MAX, NonZeroU64::get),
            sums: args.summary.then(|| LifeSums::new(args.by)),
        })
    }

    /// Prints events until stopped, and then what is `open`.
    fn watch(&mut self, running: &mut Running, open: bool) -> Result<()> {
        running.printer.begin::<Life>(&TableView::default())?;
        loop {
            let most = if self.endings.any_wait() { BATCH } else { Duration::MAX };
            let wake = running.rest_for_records(most)?;
            self.take(running, false)?;
            running.printer.flush()?;
            if wake != Wake::Work || self.left == 0 || running.is_over() {
                break;
            }
        }
        if !open {
            return Ok(());
        }
        // None may end between the two, and be shown as neither.
        let found = open_connections(&running.session, running.netns())?;
        running.detach()?;
        self.take(running, true)?;
        let clock = WallClock::now();
        for event in &found {
            self.print_line(running, clock, event)?;
        }
        Ok(())
    }

    fn print_line(
        &mut self,
        running: &mut Running,
        clock: WallClock,
        event: &LifeEvent,
    ) -> Result<()> {
        if self.left > 0 {
            self.left -= 1;
            let cgroup = self.names.cgroup(event.cgroup);
            let mut row = Life::new(clock.at(event.ts), event, cgroup);
            row.netns_name = self.names.netns(event.flow.netns);
            running.printer.row(&row)?;
        }
        Ok(())
    }
}

impl Summed for Events<'_> {
    /// Without sums prints it.
    fn take(&mut self, running: &mut Running, last: bool) -> Result<()> {
        let (clock, now) = (WallClock::now(), monotonic_now());
        let (endings, left) = (&mut self.endings, self.left);
        self.ring.drain(|batch| {
            for event in batch {
                running.delivered += u64::from(endings.take(event));
            }
            Ok(last || (left > 0 && !running.is_over()))
        })?;
        let ready: Vec<_> = self.endings.ready((!last).then_some(now)).collect();
        self.left_out.set(self.endings.left_out());
        for event in &ready {
            match &mut self.sums {
                Some(sums) => sums.add(event),
                None => self.print_line(running, clock, event)?,
            }
        }
        Ok(())
    }

    fn print(&mut self, running: &mut Running, _now: u64, interval_ns: u64) -> Result<()> {
        let args = self.args;
        let Some(sums) = &mut self.sums else { return Ok(()) };
        let shape = LifeRowOptions {
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
        let idle = Some((Ts(shape.ts), "no connections opened or ended"));
        Ok(running.printer.rows(&TableView { idle, ..LifeSum::view(args.by) }, &rows)?)
    }
}
