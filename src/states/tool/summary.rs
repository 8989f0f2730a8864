//! Sockets in each state.

use std::num::NonZeroU64;
use std::process::ExitCode;

use anyhow::Result;

use crate::clock::{Ticker, wall_now};
use crate::report::{Column, Printer, SinkError, TableView, sort};
use crate::states::Args;
use crate::states::socket_summary::{
    CloseWait, ClosingSocket, SocketReader, SocketSummary, Sockets,
};
use crate::tool::{Asked, Running};
use crate::wait::Wake;

/// Prints the summary every interval.
pub fn run(asked: &Asked<Args>) -> Result<ExitCode> {
    let args = &asked.args;
    let mut running = Running::start(asked, &args.common, args.interval.interval())?;
    let work = summarize(&mut running, args);
    running.finish(work, |_| Ok(()))
}

fn summarize(running: &mut Running, args: &Args) -> Result<()> {
    let column = args.interval.sort_column().unwrap_or_default();
    let mut reader = SocketReader::default();
    let mut ticker = Ticker::new(args.interval.interval());
    for _ in 0..args.count.map_or(u64::MAX, NonZeroU64::get) {
        if let Some(inventory) = take(running, &mut reader, args)? {
            print(&mut running.printer, &inventory, column, args.interval.top())?;
        }
        if running.rest(ticker.next_end())? != Wake::Work || running.is_over() {
            break;
        }
    }
    Ok(())
}

/// Prints the first `top` rows, and the oldest in `CLOSE_WAIT` and those that close if there are any.
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
    let title = summary.title();
    let hide = Sockets::hidden(summary.by());
    let view = TableView { title: Some(&title), hide, idle: None };
    printer.rows(&view, &rows)?;
    let oldest = summary.close_wait();
    if !oldest.is_empty() {
        let title = Some("Oldest in CLOSE_WAIT (the peer has closed, the process has not):");
        let hide = CloseWait::hidden(&oldest);
        printer.rows(&TableView { title, hide, idle: None }, &oldest)?;
    }
    let closing = summary.closing();
    if !closing.is_empty() {
        let title = format!(
            "Oldest that close (the process has, the peer has not acknowledged it); orphans: {}",
            summary.orphans()
        );
        let hide = ClosingSocket::hidden(&closing);
        printer.rows(&TableView { title: Some(&title), hide, idle: None }, &closing)?;
    }
    Ok(())
}

/// Counts the sockets as they are now; `None` while the namespace that was asked for is gone.
fn take(
    running: &Running,
    reader: &mut SocketReader,
    args: &Args,
) -> Result<Option<SocketSummary>> {
    let asked = running.netns();
    if asked == Some(None) {
        return Ok(None);
    }
    let mut summary = SocketSummary::new(wall_now(), args.by);
    let extent = reader.read(&running.session, asked.flatten(), |entry| summary.add(entry))?;
    summary.finish(extent, |netns| reader.name(netns));
    Ok((extent.read > 0).then_some(summary))
}
