//! tcpdash: everything that the kit knows, on one screen.

mod json;

use std::fs::File;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use tcpscope::cli::{tcpdash::Args, usage_error};
use tcpscope::dash::live::{self, Request};
use tcpscope::dash::replay::{Input, Lines, Player, play};
use tcpscope::dash::view::Theme;
use tcpscope::dash::{Control, Dash, Event, Feed, Message, demo, run, snapshot, terminal};
use tcpscope::filter::Filter;
use tcpscope::hooks::TCPDASH;
use tcpscope::report::{Ctx, Term};
use tcpscope::tool::conclude;

const OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/tcpdash.bpf.o"));

/// Time that may pass at once in a recording that only comes to its end.
const A_LOT: Duration = Duration::from_secs(1 << 20);

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
        replay(args, filter, &mut dash)?
    } else {
        watch(args, filter, &mut dash)?
    };
    let mut ctx = Ctx::new(0, args.common.output.utc);
    let Some(feed) = feed else {
        let (width, height) = args.size.unwrap_or_else(size);
        print!("{}", snapshot(&mut dash, &mut ctx, width, height));
        return Ok(ExitCode::SUCCESS);
    };
    run(dash, Theme::of_environment(args.ascii), ctx, !args.no_mouse, feed)
}

/// This machine, now. Nothing feeds a snapshot.
fn watch(args: &Args, filter: Filter, dash: &mut Dash) -> Result<Option<Feed>> {
    dash.source = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let request = Request {
        filters: args.common.filters.clone(),
        filter,
        measure: args.common.measure.clone(),
        max_keys: args.max_keys,
        interval: args.interval,
        record: args.record.clone().map(|path| (path, args.record_max)),
    };
    if args.snapshot.is_none() {
        return live::start(OBJECT, request).map(Some);
    }
    dash.handle(Event::Records(live::once(OBJECT, &request)?));
    Ok(None)
}

/// A recording. Nothing feeds a snapshot.
fn replay(args: &Args, filter: Filter, dash: &mut Dash) -> Result<Option<Feed>> {
    let (mut player, source) = open(args)?;
    dash.source = source;
    if args.common.filters.any() {
        dash.set_filter(String::new(), filter);
    }
    // Who is asked for one frame of a pipe waits for its end.
    let to_its_end = args.snapshot.is_some() && args.at.is_none() && !player.can_seek();
    while to_its_end && !player.progress().ended {
        for event in player.advance(A_LOT).context("cannot read the recording")? {
            dash.handle(event);
        }
    }
    let begin = match (args.at, args.snapshot) {
        (None, Some(_)) if to_its_end => None,
        (Some(at), _) => Some(Control::Seek(i64::try_from(at.as_nanos()).unwrap_or(i64::MAX))),
        (None, Some(_)) => Some(Control::End),
        (None, None) => None,
    };
    if let Some(begin) = begin {
        for event in player.control(begin).context("cannot read the recording")? {
            dash.handle(event);
        }
    }
    dash.handle(Event::Progress(player.progress().clone()));
    Ok(args.snapshot.is_none().then(|| feed(player)))
}

/// The terminal's size, if there is one.
fn size() -> (u16, u16) {
    let term = Term::of(rustix::stdio::stdout());
    let known = |size: Option<usize>| size.and_then(|size| u16::try_from(size).ok());
    known(term.width).zip(known(term.height)).unwrap_or(SIZE)
}

/// The recording, and what to call it.
fn open(args: &Args) -> Result<(Player, String)> {
    let (input, name): (Box<dyn Input>, _) = match &args.replay {
        None => (Box::new(io::Cursor::new(demo::recording()?)), "demo".to_owned()),
        Some(path) if path == Path::new("-") => {
            (Box::new(io::stdin()), "standard input".to_owned())
        }
        Some(path) => {
            let file =
                File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            (Box::new(file), name)
        }
    };
    let player = Player::new(Lines::new(input)).context("cannot read the recording")?;
    Ok((player, name))
}

/// A thread that plays.
fn feed(player: Player) -> Feed {
    let (control, orders) = channel();
    let (interval, _) = channel();
    let start = Box::new(move |send: std::sync::mpsc::SyncSender<Message>| {
        let work = move || {
            let to = send.clone();
            let outcome =
                play(player, &orders, move |event| to.send(Message::Event(event)).is_ok());
            if let Err(error) = outcome {
                let error = anyhow::Error::from(error).context("cannot read the recording");
                // If nobody listens any more, nobody wants to know.
                let _ = send.send(Message::Failed(error));
            }
        };
        thread::Builder::new().name("replay".into()).spawn(work)?;
        Ok(())
    });
    Feed { start, control, interval }
}
