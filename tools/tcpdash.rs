//! tcpdash: everything that the kit knows, on one screen.

use std::fs::File;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc::channel;
use std::thread;

use anyhow::{Context, Result};
use clap::Parser;
use tcpscope::cli::{tcpdash::Args, usage_error};
use tcpscope::dash::replay::{Input, Lines, Player, play};
use tcpscope::dash::view::Theme;
use tcpscope::dash::{Control, Dash, Event, Feed, Message, demo, run, snapshot, terminal};
use tcpscope::filter::Filter;
use tcpscope::report::{Ctx, Term};
use tcpscope::tool::conclude;

/// A snapshot where there is no terminal to take the size of.
const SIZE: (u16, u16) = (100, 30);

fn main() -> ExitCode {
    let args = Args::parse();
    let filter =
        args.filters.filter().unwrap_or_else(|message| usage_error::<Args>(message).exit());
    if args.snapshot.is_none() && !terminal::is_there() {
        let message = "there is no terminal to draw on: --snapshot prints one frame as text, and \
                       the tools' own --json is for programs (tcpcount --json)";
        usage_error::<Args>(message).exit();
    }
    conclude("tcpdash", show(&args, filter))
}

fn show(args: &Args, filter: Filter) -> Result<ExitCode> {
    let (mut player, source) = open(args)?;
    let mut dash = Dash::new(source, args.ascii);
    dash.show(args.snapshot.or(args.view).unwrap_or_default());
    if args.filters.any() {
        dash.set_filter(String::new(), filter);
    }
    let mut ctx = Ctx::new(0, args.utc);
    if let Some(at) = args.at {
        let ns = i64::try_from(at.as_nanos()).unwrap_or(i64::MAX);
        for event in player.control(Control::Seek(ns)).context("cannot read the recording")? {
            dash.handle(event);
        }
    }
    if args.snapshot.is_some() {
        let end = if args.at.is_some() { Control::Pause(true) } else { Control::End };
        for event in player.control(end).context("cannot read the recording")? {
            dash.handle(event);
        }
        dash.handle(Event::Progress(player.progress().clone()));
        let (width, height) = args.size.unwrap_or_else(size);
        print!("{}", snapshot(&mut dash, &mut ctx, width, height));
        return Ok(ExitCode::SUCCESS);
    }
    run(dash, Theme::of_environment(args.ascii), ctx, !args.no_mouse, feed(player))
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
        let played = move || {
            let to = send.clone();
            let played = play(player, &orders, move |event| to.send(Message::Event(event)).is_ok());
            if let Err(error) = played {
                let error = anyhow::Error::from(error).context("cannot read the recording");
                // If nobody listens any more, nobody wants to know.
                let _ = send.send(Message::Failed(error));
            }
        };
        thread::Builder::new().name("replay".into()).spawn(played)?;
        Ok(())
    });
    Feed { start, control, interval }
}
