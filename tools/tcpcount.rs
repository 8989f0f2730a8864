//! tcpcount: who sends and receives how much over TCP, each interval.

use std::num::NonZeroU64;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use libbpf_rs::num_possible_cpus;
use tcpscope::cgroup::CgroupNames;
use tcpscope::cli::usage_error;
use tcpscope::clock::{Ticker, monotonic_now, wall_now};
use tcpscope::count::Args;
use tcpscope::count::{self, CountRow, CountRowOptions, CountSource, Counts, GroupBy};
use tcpscope::filter::{Cgroup, Filter};
use tcpscope::hooks::TCPCOUNT;
use tcpscope::kernel::session::Setup;
use tcpscope::tool::{Running, conclude};
use tcpscope::wait::Wake;
use tcpscope::wire::Options;

const OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/tcpcount.bpf.o"));

fn main() -> ExitCode {
    let args = Args::parse();
    let usage = |message| -> ! { usage_error::<Args>(message).exit() };
    if let Err(message) = args.check() {
        usage(message);
    }
    let filter = args.common.filters.filter().unwrap_or_else(|message| usage(message));
    if let Err(message) = args.interval.sort_column::<CountRow>() {
        usage(message);
    }
    conclude(TCPCOUNT.name, count(&args, &filter))
}

fn setup(args: &Args, filter: &Filter, cpus: usize) -> Result<Setup> {
    let mut options = Options::default();
    options.nr_cpus = u32::try_from(cpus)?;
    options.want_netns = u32::from(filter.netns.is_some());
    args.by.configure(&mut options);
    let keys = args.max_keys.unwrap_or_else(|| count::max_keys(args.by, cpus));
    Ok(Setup {
        object: OBJECT,
        filter: filter.to_wire(),
        options,
        map_sizes: vec![("counts", keys)],
        verbose: args.common.output.verbose,
    })
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
    }
}

fn count(args: &Args, filter: &Filter) -> Result<ExitCode> {
    let cpus = num_possible_cpus().context("cannot count CPUs")?;
    let shown = if args.cumulative { Duration::ZERO } else { args.interval.interval() };
    let mut running = Running::start(&TCPCOUNT, &args.common, setup(args, filter, cpus)?, shown)?;
    let source = CountSource::of(&running.session, cpus)?;
    let work = watch(&mut running, &source, args);
    running.finish(work, |_| Ok(()))
}

fn watch(running: &mut Running, source: &CountSource, args: &Args) -> Result<()> {
    let mut model = Counts::new(args.cumulative);
    let mut cgroups = CgroupNames::new(Cgroup::mount());
    let mut ticker = Ticker::new(args.interval.interval());
    let mut began = monotonic_now();
    if args.by == GroupBy::Total {
        running.printer.begin::<CountRow>(&CountRow::view(args.by))?;
    }
    let intervals = args.count.map_or(u64::MAX, NonZeroU64::get);
    for nth in 1..=intervals {
        let wake = running.rest(ticker.next_end())?;
        let last = nth == intervals || wake != Wake::Work || running.is_over();
        if last {
            // Nothing may be counted that the last interval does not show.
            running.session.detach();
        }
        let now = monotonic_now();
        let interval =
            model.interval(source.keys(&running.session, &model, now)?, source.other()?, now);
        interval.print(&mut running.printer, &shape(args, now - began), |id| cgroups.name(id))?;
        if !args.cumulative {
            began = now;
        }
        if last {
            break;
        }
    }
    Ok(())
}
