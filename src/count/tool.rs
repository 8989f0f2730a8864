//! tcpcount: counts TCP sends and receives each interval.

use std::num::NonZeroU64;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use clap::{ArgMatches, CommandFactory, FromArgMatches};

use super::{
    Args, Count, CountInterval, CountRowOptions, CountSource, Counts, GroupBy, SocketVisits,
    max_keys,
};
use crate::cgroup::CgroupNames;
use crate::cli::{MeasureArgs, usage_error};
use crate::clock::{Looks, monotonic_now, wall_now};
use crate::hooks::maps;
use crate::hooks::{
    CHILD, COUNTS, DESTROY, OWNERS, RECV, RETRANSMIT, SEGMENT, SEND, SOCKET_COUNTERS, SPLICE,
    STATE, SYNACK_RETRANS,
};
use crate::kernel::netns_names::NetnsNames;
use crate::kernel::plan::Plan;
use crate::kernel::possible_cpus;
use crate::kernel::session::Setup;
use crate::report::{Printer, Record, SinkError, TableView, Ts};
use crate::tool::{Asked, Measurement, Mode, Running, Spec, Task, Tool};
use crate::wait::Wake;
use crate::wire::CountOptions;

const NAME: &str = "tcpcount";
static OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/tcpcount.bpf.o"));

/// However it groups.
pub static TCPCOUNT: Spec = Spec {
    name: NAME,
    hooks: &[
        &STATE,
        &SEND,
        &RECV,
        &SPLICE,
        &SEGMENT,
        &RETRANSMIT,
        &SYNACK_RETRANS,
        &DESTROY,
        &OWNERS,
        &COUNTS,
    ],
    hash_hooks: &[&CHILD],
    untracked_means: "events counted as (other): table full (raise --max-keys)",
    counts_in_kernel: true,
};

/// Nothing runs as a process sends or receives, or as a segment comes.
pub static TCPCOUNT_LIGHT: Spec = Spec {
    hooks: &[&STATE, &DESTROY, &SOCKET_COUNTERS, &OWNERS, &COUNTS],
    untracked_means: "readings counted as (other), or sockets that could not be read: table full \
                      (raise --max-keys or --track-max)",
    ..TCPCOUNT
};

/// The tool.
pub static TOOL: Tool = Tool {
    name: NAME,
    object: OBJECT,
    command: Args::command,
    modes: &[
        Mode { flag: None, spec: &TCPCOUNT },
        Mode { flag: Some("--light"), spec: &TCPCOUNT_LIGHT },
    ],
    kinds: &[Count::KIND],
    task,
};

fn task(matches: &ArgMatches) -> Result<Box<dyn Task>, clap::Error> {
    let args = Args::from_arg_matches(matches)?;
    args.check().map_err(usage_error::<Args>)?;
    let filter = args.common.filters.filter().map_err(usage_error::<Args>)?;
    args.interval.sort_column::<Count>().map_err(usage_error::<Args>)?;
    Ok(Box::new(Asked { args, filter }))
}

impl Measurement for Asked<Args> {
    fn spec(&self) -> &'static Spec {
        if self.args.light { &TCPCOUNT_LIGHT } else { &TCPCOUNT }
    }

    fn setup(&self, plan: &Plan, measure: &MeasureArgs) -> Result<Setup> {
        let Self { args, filter } = self;
        let cpus = possible_cpus()?;
        let mut setup =
            Setup::new(OBJECT, (filter.to_wire(), filter.wanted()), args.common.output.verbose);
        let options = &mut setup.options;
        options.nr_cpus = u32::try_from(cpus)?;
        options.want_netns = u32::from(filter.netns.is_some());
        args.by.configure(options);
        let keys = args.max_keys.unwrap_or_else(|| max_keys(args.by, cpus));
        setup.map_sizes.extend([(maps::COUNTS, keys)]);
        if args.by.has_lasting_keys() {
            setup.grow(&[maps::COUNTS]);
        }
        setup.size_if(args.light && plan.use_hash, maps::READINGS_HASH, measure.track_max);
        let (by, light) = (args.by.as_wire() as u32, args.light.into());
        setup.set_options(&CountOptions { by, light });
        Ok(setup)
    }
}

impl Task for Asked<Args> {
    fn measurement(&self) -> Option<&dyn Measurement> {
        Some(self)
    }

    fn run(&self) -> Result<ExitCode> {
        let args = &self.args;
        let shown = if args.cumulative { Duration::ZERO } else { args.interval.interval() };
        let mut running = Running::start(self, &args.common, shown)?;
        let source = CountSource::of(&running.session, possible_cpus()?)?;
        let work = watch(&mut running, &source, args);
        running.finish(work, |_| Ok(()))
    }
}

/// How an interval of `length` ns that ends now is shown.
fn shape(args: &Args, length: u64) -> CountRowOptions {
    CountRowOptions {
        ts: wall_now(),
        interval_ns: length,
        by: args.by,
        sort: args.interval.sort_column().unwrap_or_default(),
        top: args.interval.top(),
        cumulative: args.cumulative,
        light: args.light,
    }
}

/// Prints the rows of an interval as one table; with `--by total` as one more line of a stream.
///
/// # Errors
/// The output cannot be written.
pub fn print(
    printer: &mut Printer,
    interval: &CountInterval,
    shape: &CountRowOptions,
    cgroup: impl FnMut(u64) -> Option<Arc<str>>,
    mut netns: impl FnMut(u32) -> Option<Arc<str>>,
) -> Result<(), SinkError> {
    let mut name = |mut row: Count| {
        if shape.by == GroupBy::Netns {
            row.netns_name = row.netns.and_then(&mut netns);
        }
        row
    };
    let view = TableView { idle: Some((Ts(shape.ts), "no traffic")), ..Count::view(shape.by) };
    printer.set_interval(if shape.cumulative { 0 } else { shape.interval_ns });
    if shape.by != GroupBy::Total && !printer.is_json() {
        let rows: Vec<_> = shape.rows(interval, cgroup).into_iter().map(name).collect();
        return printer.rows(&view, &rows);
    }
    let mut written = Ok(());
    shape.each_row(interval, cgroup, |row| {
        if written.is_ok() {
            written = printer.row_in(&view, &name(row));
        }
    });
    written?;
    printer.flush()
}

/// Has the programs read the counters of all sockets.
fn visit(running: &mut Running, sockets: &mut Option<SocketVisits>) -> Result<()> {
    let Some(sockets) = sockets else { return Ok(()) };
    sockets.visit(&running.session, running.netns())?;
    match sockets.take_remark(SocketVisits::CLOSED) {
        Some(remark) => Ok(running.printer.note(&format!("{NAME}: {remark}"))?),
        None => Ok(()),
    }
}

fn watch(running: &mut Running, source: &CountSource, args: &Args) -> Result<()> {
    let mut model = Counts::new(args.cumulative);
    let mut cgroups = CgroupNames::of_machine();
    let mut names = NetnsNames::default();
    if args.by == GroupBy::Cgroup {
        running.note_cgroups()?;
    }
    // From here on older sockets are counted.
    let mut sockets = args.light.then(SocketVisits::default);
    visit(running, &mut sockets)?;
    let rests = if args.light { Looks::SELDOM } else { 0 };
    let mut looks = Looks::new(args.interval.interval, args.interval.interval(), rests);
    let mut began = monotonic_now();
    if args.by == GroupBy::Total {
        running.printer.begin::<Count>(&Count::view(args.by))?;
    }
    let intervals = args.count.map_or(u64::MAX, NonZeroU64::get);
    for nth in 1..=intervals {
        let wake = running.rest(looks.due())?;
        looks.begin();
        let last = nth == intervals || wake != Wake::Work || running.is_over();
        visit(running, &mut sockets)?;
        if last {
            // Nothing may be counted that the last interval does not show.
            running.detach()?;
        }
        let now = monotonic_now();
        let shape = shape(args, now - began);
        let interval =
            source.interval(&running.session, (&mut model, now), shape.wanted(), |_| ())?;
        print(&mut running.printer, &interval, &shape, |id| cgroups.name(id), |id| names.name(id))?;
        if !args.cumulative {
            began = now;
        }
        looks.end();
        if last {
            break;
        }
    }
    Ok(())
}
