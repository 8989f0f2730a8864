//! tcpstates: every TCP state change, or with --summary how many sockets are in which state.

use std::num::NonZeroU64;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Parser;
use tcpscope::cgroup::CgroupNames;
use tcpscope::cli::{tcpstates::Args, usage_error};
use tcpscope::filter::{Cgroup, Filter};
use tcpscope::hooks::{TCPSTATES, TCPSTATES_SUMMARY};
use tcpscope::inventory::{Hz, Inventory, SocketsRow};
use tcpscope::kernel::netns::Netns;
use tcpscope::kernel::ring::Ring;
use tcpscope::kernel::session::Setup;
use tcpscope::report::View;
use tcpscope::run::{Ticker, Wake, WallClock, wall_now};
use tcpscope::states::Transition;
use tcpscope::tool::{Running, conclude};
use tcpscope::wire::{SockEntry, StateEvent};

const OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/tcpstates.bpf.o"));

/// Events are printed this long after they happened, at the latest twice that.
const BATCH: Duration = Duration::from_millis(40);
/// Timewait sockets whose closing process is remembered for the summary.
const CLOSERS: u32 = 65_536;
/// The two clocks must be seen this far apart to tell how long a jiffy is.
const CLOCKS_APART: Duration = Duration::from_millis(60);

fn main() -> ExitCode {
    let args = Args::parse();
    let usage = |message| -> ! { usage_error::<Args>(message).exit() };
    if let Err(message) = args.check() {
        usage(message);
    }
    let filter = args.common.filters.filter().unwrap_or_else(|message| usage(message));
    if let Err(message) = args.interval.sort_column::<SocketsRow>() {
        usage(message);
    }
    let outcome = if args.summary { summary(&args, &filter) } else { events(&args, &filter) };
    conclude(TCPSTATES.name, outcome)
}

fn setup(args: &Args, filter: &Filter) -> Setup {
    Setup {
        object: OBJECT,
        filter: filter.to_wire(),
        options: args.options(filter),
        map_sizes: vec![
            ("events", if args.summary { 4096 } else { args.buffer }),
            ("closers", if args.summary { CLOSERS } else { 1 }),
        ],
        verbose: args.common.output.verbose,
    }
}

fn events(args: &Args, filter: &Filter) -> Result<ExitCode> {
    let mut running =
        Running::start(&TCPSTATES, &args.common, setup(args, filter), Duration::ZERO)?;
    let map = running.session.map("events")?;
    let mut ring = Ring::new(&map, StateEvent::read)?;
    running.waiter.watch_ring(map.as_fd())?;
    let mut cgroups = CgroupNames::new(args.common.output.json.then(Cgroup::mount).flatten());
    let mut left = args.count.map_or(u64::MAX, NonZeroU64::get);
    let mut work = || -> Result<()> {
        running.printer.begin::<Transition>(&View::default())?;
        loop {
            let wake = running.rest_for_events(BATCH)?;
            print_events(&mut running, &mut ring, &mut cgroups, &mut left, false)?;
            running.printer.flush()?;
            if wake != Wake::Work || left == 0 || running.is_over() {
                return Ok(());
            }
        }
    };
    let worked = work();
    running
        .finish(worked, |running| print_events(running, &mut ring, &mut cgroups, &mut left, true))
}

/// Prints what waits in the ring buffer, at most `left` events; the rest only counts. While the
/// hooks are on, more may come faster than a slow reader takes it: the end must not wait for
/// the buffer to be empty, unless it is the `last` time.
fn print_events(
    running: &mut Running,
    ring: &mut Ring<StateEvent>,
    cgroups: &mut CgroupNames,
    left: &mut u64,
    last: bool,
) -> Result<()> {
    let clock = WallClock::now();
    ring.drain(|batch| {
        for event in batch {
            running.delivered += 1;
            if *left > 0 {
                *left -= 1;
                let cgroup = cgroups.name(event.cgroup);
                let row = Transition { ts: clock.at(event.ts), event: *event, cgroup };
                running.printer.row(&row)?;
            }
        }
        Ok(last || (*left > 0 && !running.is_over()))
    })
}

fn summary(args: &Args, filter: &Filter) -> Result<ExitCode> {
    let netns = filter.netns.map_or_else(Netns::own, Netns::find)?;
    let setup = setup(args, filter);
    let mut running =
        Running::start(&TCPSTATES_SUMMARY, &args.common, setup, args.interval.interval())?;
    let work = summarize(&mut running, &netns, args);
    running.finish(work, |_| Ok(()))
}

fn summarize(running: &mut Running, netns: &Netns, args: &Args) -> Result<()> {
    let column = args.interval.sort_column().unwrap_or_default();
    let mut hz = Hz::default();
    take(running, netns, args, &mut hz)?;
    let mut wake = running.rest(Instant::now() + CLOCKS_APART)?;
    let mut ticker = Ticker::new(args.interval.interval());
    for _ in 0..args.count.map_or(u64::MAX, NonZeroU64::get) {
        if wake != Wake::Work || running.is_over() {
            break;
        }
        let inventory = take(running, netns, args, &mut hz)?;
        inventory.print(&mut running.printer, column, args.interval.top())?;
        wake = running.rest(ticker.next_end())?;
    }
    Ok(())
}

/// Counts the sockets of the namespace as they are now.
fn take(running: &Running, netns: &Netns, args: &Args, hz: &mut Hz) -> Result<Inventory> {
    let mut inventory = Inventory::new(wall_now(), netns.inode(), args.by);
    netns.within(|| {
        running.session.iterate("dump_sockets", size_of::<SockEntry>(), |bytes| {
            if let Some(entry) = SockEntry::read(bytes) {
                inventory.add(&entry, hz);
            }
        })
    })?;
    Ok(inventory)
}
