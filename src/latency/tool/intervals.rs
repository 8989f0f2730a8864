//! Histograms, every interval.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::cgroup::CgroupNames;
use crate::clock::{Ticker, monotonic_now, wall_now};
use crate::group::GroupBy;
use crate::latency::{
    Args, Heatmap, Latencies, Latency, LatencyInterval, LatencyRowOptions, LatencySource, bars,
};
use crate::report::{Ctx, Printer, SinkError, TableView, Ts};
use crate::tool::Running;
use crate::wait::Wake;

/// Interval of emptying the kernel's maps in long intervals: its counters have 32 bits.
const LONGEST: Duration = Duration::from_secs(10);

/// Prints intervals until stopped.
pub fn watch(running: &mut Running, args: &Args, cpus: usize) -> Result<()> {
    let mut source = LatencySource::new(&running.session, cpus)?;
    let mut latencies = Latencies::default();
    let mut cgroups = CgroupNames::of_machine();
    if args.grouping() == GroupBy::Cgroup {
        running.note_cgroups()?;
    }
    let mut shades = Heatmap::default();
    let mut ctx = Ctx::new(0, args.common.output.utc);
    let mut ticker = Ticker::new(args.interval.interval());
    let mut began = monotonic_now();
    let intervals = args.count.map_or(u64::MAX, NonZeroU64::get);
    for nth in 1..=intervals {
        let end = ticker.next_end();
        let mut wake = running.rest(end.min(Instant::now() + LONGEST))?;
        while wake == Wake::Work && Instant::now() < end && !running.is_over() {
            source.take(&running.session, &mut latencies)?;
            wake = running.rest(end.min(Instant::now() + LONGEST))?;
        }
        let last = nth == intervals || wake != Wake::Work || running.is_over();
        if last {
            // Nothing may be counted that the last interval does not show.
            running.detach()?;
        }
        let now = monotonic_now();
        source.take(&running.session, &mut latencies)?;
        let interval = latencies.finish();
        let shape = shape(args, now - began);
        show(running, args, interval, &shape, &mut ctx, &mut shades, &mut cgroups)?;
        began = now;
        if last {
            break;
        }
    }
    Ok(())
}

fn show(
    running: &mut Running,
    args: &Args,
    interval: LatencyInterval,
    shape: &LatencyRowOptions,
    ctx: &mut Ctx,
    shades: &mut Heatmap,
    cgroups: &mut CgroupNames,
) -> Result<()> {
    let printer = &mut running.printer;
    if args.heatmap && !printer.is_json() {
        printer.text(&shades.draw(interval, shape.ts, ctx))?;
    } else if args.hist {
        draw(printer, ctx, interval, shape, |id| cgroups.name(id))?;
    } else {
        print(printer, interval, shape, |id| cgroups.name(id))?;
    }
    Ok(())
}

/// Prints the rows of an interval as one table.
///
/// # Errors
/// The output cannot be written.
pub fn print(
    printer: &mut Printer,
    interval: LatencyInterval,
    shape: &LatencyRowOptions,
    cgroup: impl FnMut(u64) -> Option<Arc<str>>,
) -> Result<(), SinkError> {
    let rows = shape.records(interval, cgroup);
    let hidden = Latency::hidden(shape.by, &rows);
    let idle = Some((Ts(shape.ts), "no latency measured"));
    printer.rows(&TableView { hide: &hidden, idle, title: None }, &rows)
}

/// Draws the histogram of each row; JSON has the rows with their buckets.
///
/// # Errors
/// The output cannot be written.
pub fn draw(
    printer: &mut Printer,
    ctx: &mut Ctx,
    interval: LatencyInterval,
    shape: &LatencyRowOptions,
    cgroup: impl FnMut(u64) -> Option<Arc<str>>,
) -> Result<(), SinkError> {
    if printer.is_json() {
        return printer.rows(&TableView::default(), &shape.records(interval, cgroup));
    }
    let rows = shape.rows(interval, cgroup);
    rows.iter().filter(|(_, sums)| sums.hist.count() > 0).try_for_each(|(row, sums)| {
        printer.text(&format!("{}\n{}\n", row.title(shape.by, ctx), bars(&sums.hist)))
    })
}

/// How an interval of `length` ns that ends now is shown.
fn shape(args: &Args, length: u64) -> LatencyRowOptions {
    LatencyRowOptions {
        ts: wall_now(),
        interval_ns: length,
        by: args.grouping(),
        sort: args.interval.sort_column().unwrap_or_default(),
        top: args.interval.top(),
        buckets: args.with_buckets(),
    }
}
