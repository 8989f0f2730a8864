//! tcpdash: everything that the kit knows, on one screen.

mod json;
mod recording;

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use tcpscope::cli::usage_error;
use tcpscope::dash::Args;
use tcpscope::dash::live::{self, LiveRequest};
use tcpscope::dash::view::Theme;
use tcpscope::dash::{Dash, Event, Feed, run, snapshot, terminal};
use tcpscope::filter::Filter;
use tcpscope::hooks::TCPDASH;
use tcpscope::report::{Ctx, SinkError, Term};
use tcpscope::tool::conclude;

const OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/tcpdash.bpf.o"));

/// A snapshot where there is no terminal to take the size of.
const SIZE: (u16, u16) = (100, 30);

fn main() -> ExitCode {
    let args = Args::parse();
    let usage = |message| -> ! { usage_error::<Args>(message).exit() };
    if let Err(message) = args.check() {
        usage(message);
    }
    let filter = args.common.filters.filter().unwrap_or_else(|message| usage(message));
    if args.common.output.json {
        return conclude(TCPDASH.name, json::print(OBJECT, &args, &filter));
    }
    if args.snapshot.is_none() && !terminal::is_there() {
        let message = "there is no terminal to draw on: --snapshot prints one frame as text, and \
                       the tools' own --json is for programs (tcpcount --json)";
        usage(message.to_owned());
    }
    conclude(TCPDASH.name, show(&args, filter))
}

fn show(args: &Args, filter: Filter) -> Result<ExitCode> {
    let mut dash = Dash::new(String::new(), args.ascii);
    dash.interval = args.interval;
    dash.show(args.snapshot.or(args.view).unwrap_or_default());
    let feed = if args.replay.is_some() || args.demo {
        recording::replay(args, filter, &mut dash)?
    } else {
        watch(args, filter, &mut dash)?
    };
    let mut ctx = Ctx::new(0, args.common.output.utc);
    let Some(feed) = feed else {
        let (width, height) = args.size.unwrap_or_else(size);
        return print(&snapshot(&mut dash, &mut ctx, width, height));
    };
    run(dash, Theme::of_environment(args.ascii), ctx, !args.no_mouse, feed)
}

fn print(frame: &str) -> Result<ExitCode> {
    let mut out = io::stdout().lock();
    match out.write_all(frame.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(SinkError::Closed.into()),
        written => Ok(written.map(|()| ExitCode::SUCCESS).map_err(SinkError::Write)?),
    }
}

/// This machine, now. Nothing feeds a snapshot.
fn watch(args: &Args, filter: Filter, dash: &mut Dash) -> Result<Option<Feed>> {
    dash.source = rustix::system::uname().nodename().to_string_lossy().into_owned();
    dash.by_flags = args.common.filters.any();
    let request = LiveRequest {
        filters: args.common.filters.clone(),
        filter,
        measure: args.common.measure.clone(),
        max_keys: args.max_keys,
        interval: args.interval,
        record: args.target(),
    };
    if args.snapshot.is_none() {
        return live::start(OBJECT, request).map(Some);
    }
    dash.handle(Event::Records(live::once(OBJECT, &request)?));
    Ok(None)
}

/// The terminal's size, if there is one.
fn size() -> (u16, u16) {
    let term = Term::of(rustix::stdio::stdout());
    let known = |size: Option<usize>| size.and_then(|size| u16::try_from(size).ok());
    known(term.width).zip(known(term.height)).unwrap_or(SIZE)
}
