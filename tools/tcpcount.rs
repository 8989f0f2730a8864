//! tcpcount: who sends and receives how much over TCP, each interval.

use std::num::NonZeroU64;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::Parser;
use ipnet::IpNet;
use libbpf_rs::{MapCore, MapFlags, MapHandle, num_possible_cpus};
use tcpscope::cgroup::CgroupNames;
use tcpscope::cli::tcpcount::Args;
use tcpscope::cli::usage_error;
use tcpscope::count::{By, CountRow, Counter, Counts, Interval, Part, Sums};
use tcpscope::filter::{Cgroup, Filter};
use tcpscope::flow::ip;
use tcpscope::hooks::TCPCOUNT;
use tcpscope::kernel::session::Setup;
use tcpscope::report::sort;
use tcpscope::run::{Ticker, Wake, monotonic_now, wall_now};
use tcpscope::tool::{Running, conclude};
use tcpscope::wire::{CountKey, CountValue, Options};

const OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/tcpcount.bpf.o"));

/// Kernel memory that the counters of all keys may take.
const MAP_BYTES: usize = 64 << 20;
/// Keys counted one by one, unless that takes more memory: connections are many and short.
const MAX_CONNECTIONS: u32 = 65_536;
const MAX_OTHERS: u32 = 16_384;

fn main() -> ExitCode {
    let args = Args::parse();
    let usage = |message| -> ! { usage_error::<Args>(message).exit() };
    let filter = args.common.filters.filter().unwrap_or_else(|message| usage(message));
    if let Err(message) = args.interval.sort_column::<CountRow>() {
        usage(message);
    }
    conclude(TCPCOUNT.name, count(&args, &filter))
}

fn setup(args: &Args, filter: &Filter, cpus: usize) -> Result<Setup> {
    let mut options = Options::zeroed();
    options.by = args.by.number();
    options.nr_cpus = u32::try_from(cpus)?;
    let by_netns = matches!(args.by, By::Netns | By::Connection);
    options.want_netns = u32::from(by_netns || filter.netns.is_some());
    options.want_cgroup = u32::from(args.by == By::Cgroup);
    if let By::Remote(v4, v6) = args.by {
        (options.remote_prefix4, options.remote_prefix6) = (v4.into(), v6.into());
    }
    let wanted = if args.by == By::Connection { MAX_CONNECTIONS } else { MAX_OTHERS };
    let fits = MAP_BYTES / (cpus * size_of::<CountValue>() + size_of::<CountKey>());
    let keys = args.max_keys.unwrap_or_else(|| wanted.min(u32::try_from(fits).unwrap_or(wanted)));
    Ok(Setup {
        object: OBJECT,
        filter: filter.to_wire(),
        options,
        map_sizes: vec![("counts", keys)],
        verbose: args.common.output.verbose,
    })
}

/// The counters in the kernel.
struct Source {
    counts: MapHandle,
    other: MapHandle,
    cpus: usize,
}

impl Source {
    /// Every key of the map; those that `model` can spare are taken out of it.
    fn keys(&self, running: &Running, model: &Counts, now: u64) -> Result<Vec<Counter>> {
        let size = size_of::<CountKey>() + self.cpus * size_of::<CountValue>();
        let mut counters = Vec::new();
        running.session.iterate_map("dump_counts", &self.counts, size, |bytes| {
            let (key, values) = bytes.split_at(size_of::<CountKey>());
            counters.extend(Counter::read(key, values.chunks_exact(size_of::<CountValue>())));
        })?;
        let crowded = counters.len() > self.counts.max_entries() as usize / 2;
        for counter in &mut counters {
            if model.expendable(counter, crowded, now) {
                self.take(counter)?;
            }
        }
        Ok(counters)
    }

    /// Takes a key out of the map, with the last word on its sums.
    fn take(&self, counter: &mut Counter) -> Result<()> {
        let key = counter.key;
        let values = self.counts.lookup_percpu(key.as_bytes(), MapFlags::ANY)?;
        if let Some(last) =
            values.and_then(|cpus| Counter::read(key.as_bytes(), cpus.iter().map(Vec::as_slice)))
        {
            self.counts.delete(key.as_bytes()).context("cannot free a counter")?;
            *counter = Counter { gone: true, ..last };
        }
        Ok(())
    }

    fn other(&self) -> Result<Sums> {
        let cpus = self.other.lookup_percpu(&0u32.to_ne_bytes(), MapFlags::ANY)?;
        let values = cpus.iter().flatten().filter_map(|bytes| CountValue::read(bytes));
        Ok(values.fold(Sums::default(), |sums, value| sums.plus(Sums::of(&value))))
    }
}

fn count(args: &Args, filter: &Filter) -> Result<ExitCode> {
    let cpus = num_possible_cpus().context("cannot count CPUs")?;
    let shown = if args.cumulative { std::time::Duration::ZERO } else { args.interval.interval };
    let mut running = Running::start(&TCPCOUNT, &args.common, setup(args, filter, cpus)?, shown)?;
    let source = Source {
        counts: running.session.map("counts")?,
        other: running.session.map("other")?,
        cpus,
    };
    let mut model = Counts::new(args.cumulative);
    let mut cgroups = CgroupNames::new(Cgroup::mount());
    let mut ticker = Ticker::new(args.interval.interval);
    let mut left = args.count.map_or(u64::MAX, NonZeroU64::get);
    let mut began = monotonic_now();
    let mut wake = Wake::Work;
    while wake == Wake::Work && left > 0 && !running.is_over() {
        wake = running.waiter.wait(running.until(ticker.deadline()))?;
        if ticker.tick() || wake != Wake::Work || running.is_over() {
            let now = monotonic_now();
            let interval =
                model.interval(source.keys(&running, &model, now)?, source.other()?, now);
            show(&mut running, args, &mut cgroups, &interval, now - began)?;
            if !args.cumulative {
                began = now;
            }
            left -= 1;
        }
        running.keep_watch()?;
    }
    running.finish(|running| {
        let stats = running.session.stats()?;
        running.delivered = stats.attempted - stats.lost - stats.filtered;
        Ok(())
    })
}

/// Prints the rows of an interval of `length` ns, the total last.
fn show(
    running: &mut Running,
    args: &Args,
    cgroups: &mut CgroupNames,
    interval: &Interval,
    length: u64,
) -> Result<()> {
    let ts = wall_now();
    let row = |part, counter: Option<&Counter>, sums, cgroup: Option<Arc<str>>| CountRow {
        ts,
        interval_ns: length,
        by: args.by,
        part,
        key: counter.map_or_else(CountKey::zeroed, |c| c.key),
        pid: counter.map_or(0, |c| c.pid),
        comm: counter.map_or([0; 16], |c| c.comm),
        cgroup,
        remote_net: counter.and_then(|c| network(args.by, &c.key)),
        sums,
    };
    let mut rows: Vec<_> = interval
        .keys
        .iter()
        .map(|(counter, sums)| {
            row(Part::Key, Some(counter), *sums, cgroups.name(counter.key.cgroup))
        })
        .collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.sums.tx_bytes + row.sums.rx_bytes));
    if let Ok(Some(column)) = args.interval.sort_column::<CountRow>() {
        sort(&mut rows, column);
    }
    let mut other = interval.other;
    if args.by != By::Total {
        let hidden = rows.split_off(args.interval.top().min(rows.len()));
        other = hidden.iter().fold(other, |sums, row| sums.plus(row.sums));
        if !other.is_idle() {
            rows.push(row(Part::Other, None, other, None));
        }
    }
    rows.push(row(Part::Total, None, interval.total, None));
    running.printer.set_interval(if args.cumulative { 0 } else { length });
    let view = CountRow::view(args.by);
    if args.by == By::Total {
        running.printer.row_in(&view, &rows[0])?;
        return Ok(running.printer.flush()?);
    }
    Ok(running.printer.rows(&view, &rows)?)
}

/// With a prefix, a remote in words.
fn network(by: By, key: &CountKey) -> Option<String> {
    let By::Remote(v4, v6) = by else { return None };
    let addr = ip(&key.flow.raddr);
    let bits = if addr.is_ipv4() { v4 } else { v6 };
    (bits < if addr.is_ipv4() { 32 } else { 128 })
        .then(|| IpNet::new(addr, bits).map(|net| net.to_string()).ok())
        .flatten()
}
