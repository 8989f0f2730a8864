//! Sockets in each state.

use std::num::NonZeroU64;
use std::process::ExitCode;

use anyhow::Result;

use crate::clock::{Ticker, wall_now};
use crate::hooks::SOCKETS;
use crate::kernel::netns::Netns;
use crate::report::{Column, Printer, SinkError, TableView, sort};
use crate::states::Args;
use crate::states::socket_summary::{SocketSummary, Sockets, bound_by_watch};
use crate::tool::{Asked, Running};
use crate::wait::Wake;
use crate::wire::{Record as _, SockEntry};

/// Prints the summary every interval.
pub fn run(asked: &Asked<Args>) -> Result<ExitCode> {
    let Asked { args, filter } = asked;
    let netns = filter.netns.map_or_else(Netns::own, Netns::find)?;
    let mut running = Running::start(asked, &args.common, args.interval.interval())?;
    let work = summarize(&mut running, &netns, args);
    running.finish(work, |_| Ok(()))
}

fn summarize(running: &mut Running, netns: &Netns, args: &Args) -> Result<()> {
    let column = args.interval.sort_column().unwrap_or_default();
    let mut ticker = Ticker::new(args.interval.interval());
    for _ in 0..args.count.map_or(u64::MAX, NonZeroU64::get) {
        let inventory = take(running, netns, args)?;
        print(&mut running.printer, &inventory, column, args.interval.top())?;
        if running.rest(ticker.next_end())? != Wake::Work || running.is_over() {
            break;
        }
    }
    Ok(())
}

/// Prints the first `top` rows, and the oldest in `CLOSE_WAIT` if there are any.
///
/// # Errors
/// The output cannot be written.
pub fn print(
    printer: &mut Printer,
    summary: &SocketSummary,
    by: Option<&Column<Sockets>>,
    top: usize,
) -> Result<(), SinkError> {
    let mut rows = summary.sockets();
    if let Some(column) = by {
        sort(&mut rows, column);
    }
    rows.truncate(top);
    let view = TableView { title: Some(&summary.title()), hide: Sockets::hidden(summary.by()) };
    printer.rows(&view, &rows)?;
    let oldest = summary.close_wait();
    if oldest.is_empty() {
        return Ok(());
    }
    let title = Some("Oldest in CLOSE_WAIT (the peer has closed, the process has not):");
    printer.rows(&TableView { title, ..TableView::default() }, &oldest)
}

/// Counts the sockets of the namespace as they are now.
fn take(running: &Running, netns: &Netns, args: &Args) -> Result<SocketSummary> {
    let mut inventory = SocketSummary::new(wall_now(), netns.inode(), args.by);
    let watched = running.session.watched();
    netns.within(|| {
        running.session.iterate(&SOCKETS, size_of::<SockEntry>(), |bytes| {
            if let Some(mut entry) = SockEntry::read(bytes) {
                bound_by_watch(&mut entry, watched);
                inventory.add(&entry);
            }
        })
    })?;
    Ok(inventory)
}
