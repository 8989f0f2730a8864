//! tcplatency: where the time goes, by socket: histograms every interval, or with --events every
//! single latency.

mod events;
mod intervals;

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use libbpf_rs::num_possible_cpus;
use tcpscope::cli::usage_error;
use tcpscope::filter::Filter;
use tcpscope::hooks::{TCPLATENCY, tcplatency};
use tcpscope::kernel::session::Setup;
use tcpscope::latency::Args;
use tcpscope::latency::{LatencyRow, entries_for, learn_listeners, max_rows};
use tcpscope::tool::{Running, conclude};

const OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/tcplatency.bpf.o"));

fn main() -> ExitCode {
    let args = Args::parse();
    let usage = |message| -> ! { usage_error::<Args>(message).exit() };
    if let Err(message) = args.check() {
        usage(message);
    }
    let filter = args.common.filters.filter().unwrap_or_else(|message| usage(message));
    if let Err(message) = args.interval.sort_column::<LatencyRow>() {
        usage(message);
    }
    conclude(TCPLATENCY.name, run(&args, &filter))
}

fn run(args: &Args, filter: &Filter) -> Result<ExitCode> {
    let cpus = num_possible_cpus().context("cannot count CPUs")?;
    let setup = setup(args, filter, cpus)?;
    let spec = tcplatency(args.kinds(), !args.kinds.is_empty(), args.events);
    let mut running = Running::start(spec, &args.common, setup, args.interval.interval())?;
    learn_listeners(&running.session)?;
    let (work, events) = if args.events {
        let mut events = events::Events::new(&mut running, args)?;
        (events.watch(&mut running), Some(events))
    } else {
        (intervals::watch(&mut running, args, cpus), None)
    };
    let mut events = events;
    running.finish(work, |running| match &mut events {
        Some(events) => events.print(running, true),
        None => Ok(()),
    })
}

fn setup(args: &Args, filter: &Filter, cpus: usize) -> Result<Setup> {
    let rows = args.max_keys.unwrap_or_else(|| max_rows(args.grouping(), cpus));
    let mut options = args.options(filter, rows);
    options.nr_cpus = u32::try_from(cpus)?;
    let (entries, buffer) = if args.events { (1, args.buffer) } else { (entries_for(rows), 4096) };
    Ok(Setup {
        object: OBJECT,
        filter: filter.to_wire(),
        options,
        map_sizes: vec![
            ("latencies_even", entries),
            ("latencies_odd", entries),
            ("events", buffer),
        ],
        verbose: args.common.output.verbose,
    })
}
