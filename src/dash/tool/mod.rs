//! tcpdash: all subjects on one screen.

mod json;
mod recording;

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use clap::{ArgMatches, CommandFactory, FromArgMatches};

use super::args::ThemeChoice;
use super::live::{self, Everything, LiveRequest, NAME, OBJECT, TCPDASH, TCPDASH_LIGHT};
use super::replay::open;
use super::view::Theme;
use super::{Args, ConfigFile, Dash, Event, Feed, run, snapshot, terminal};
use crate::cli::{filters_given, usage_error};
use crate::count::Count;
use crate::drop::DropSum;
use crate::interfaces::Interface;
use crate::latency::Latency;
use crate::life::{Life, LifeSum};
use crate::listen::{Files, ListenerRecord};
use crate::nstat::Mib;
use crate::ports::{Bound, PortPool, Ports};
use crate::report::{Ctx, Record, SinkError, Term};
use crate::settings::Settings;
use crate::stall::Stall;
use crate::states::socket_summary::{CloseWait, Destination, Socket, Sockets};
use crate::tool::{Measurement, Mode, Task, Tool, complain};

/// A snapshot where there is no terminal to take the size of.
const SIZE: (u16, u16) = (100, 30);

/// Reading all sockets takes 2.5 % of a CPU, or more where a look takes over a second: see `LONGEST_REST`.
const RESTS: u32 = 40;

/// The tool with its command line.
struct Asked {
    args: Args,
    /// The filters as given.
    flags: String,
    everything: Everything,
}

/// The tool.
pub static TOOL: Tool = Tool {
    name: NAME,
    object: OBJECT,
    command: Args::command,
    modes: &[
        Mode { flag: None, spec: &TCPDASH },
        Mode { flag: Some("--light"), spec: &TCPDASH_LIGHT },
    ],
    kinds: &[
        Count::KIND,
        Mib::KIND,
        Sockets::KIND,
        Socket::KIND,
        CloseWait::KIND,
        Destination::KIND,
        Latency::KIND,
        LifeSum::KIND,
        Life::KIND,
        ListenerRecord::KIND,
        DropSum::KIND,
        Ports::KIND,
        PortPool::KIND,
        Files::KIND,
        Stall::KIND,
        Interface::KIND,
        Settings::KIND,
        Bound::KIND,
    ],
    task,
};

fn task(matches: &ArgMatches) -> Result<Box<dyn Task>, clap::Error> {
    let args = Args::from_arg_matches(matches)?;
    args.check().map_err(usage_error::<Args>)?;
    let everything = Everything {
        spec: if args.light { &TCPDASH_LIGHT } else { &TCPDASH },
        light: args.light,
        filter: args.common.filters.filter().map_err(usage_error::<Args>)?,
        max_keys: args.max_keys,
        rests: RESTS,
        verbose: args.common.output.verbose,
    };
    // What a recording lacks is said first, when it is opened.
    let screen = !args.common.output.json && args.snapshot.is_none() && !is_broken(&args);
    if screen && let Some(why) = terminal::lacking() {
        let message = format!(
            "{why}: --snapshot prints one frame as text, and the tools' own --json is for programs \
             (tcpcount --json)"
        );
        return Err(usage_error::<Args>(message));
    }
    Ok(Box::new(Asked { args, everything, flags: filters_given(matches) }))
}

/// Whether the recording cannot be replayed.
fn is_broken(args: &Args) -> bool {
    let Some(path) = args.replay.as_deref().filter(|path| *path != Path::new("-")) else {
        return false;
    };
    // To open a pipe would wait for its other end.
    fs::metadata(path).map_or(true, |file| file.is_file() && open(Some(path)).is_err())
}

impl Task for Asked {
    fn measurement(&self) -> Option<&dyn Measurement> {
        Some(&self.everything)
    }

    fn run(&self) -> Result<ExitCode> {
        let Self { args, everything, .. } = self;
        if args.common.output.json { json::print(args, everything) } else { self.show() }
    }
}

impl Asked {
    fn show(&self) -> Result<ExitCode> {
        let Self { args, everything, flags } = self;
        let mut dash = Dash::new(String::new(), args.ascii);
        dash.interval = args.interval;
        dash.show(args.snapshot.or(args.view).unwrap_or_default());
        let (config, wrong) = ConfigFile::open(args.config.as_deref());
        config.config.apply(&mut dash.tables);
        match wrong {
            Some(text) if args.snapshot.is_some() => complain(&format!("{NAME}: {text}")),
            wrong => dash.message = wrong,
        }
        let feed = if args.replay.is_some() || args.demo {
            recording::replay(args, (flags, &everything.filter), &mut dash)?
        } else {
            dash.flags.clone_from(flags);
            watch(args, everything, &mut dash)?
        };
        let mut ctx = Ctx::new(0, args.common.output.utc);
        let Some(feed) = feed else {
            let (width, height) = args.size.unwrap_or_else(size);
            return print(&snapshot(&mut dash, &mut ctx, width, height));
        };
        let theme = args.theme.or(config.config.theme).map(ThemeChoice::palette);
        run(dash, Theme::new(theme, args.ascii), ctx, !args.no_mouse, config, feed)
    }
}

fn print(frame: &str) -> Result<ExitCode> {
    let mut out = io::stdout().lock();
    match out.write_all(frame.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(SinkError::Closed.into()),
        written => Ok(written.map(|()| ExitCode::SUCCESS).map_err(SinkError::Write)?),
    }
}

/// This machine, now. Nothing feeds a snapshot.
fn watch(args: &Args, everything: &Everything, dash: &mut Dash) -> Result<Option<Feed>> {
    dash.source = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let request = LiveRequest {
        filters: args.common.filters.clone(),
        everything: everything.clone(),
        measure: args.common.measure.clone(),
        interval: args.interval,
        record: args.target(),
    };
    if args.snapshot.is_none() {
        return live::start(request).map(Some);
    }
    let duration = args.common.output.duration.unwrap_or(args.interval);
    live::once(&request, duration, |records| {
        dash.handle(Event::Records(records));
    })?;
    Ok(None)
}

/// The terminal's size, if there is one.
fn size() -> (u16, u16) {
    let term = Term::of(rustix::stdio::stdout());
    let known = |size: Option<usize>| size.and_then(|size| u16::try_from(size).ok());
    known(term.width).zip(known(term.height)).unwrap_or(SIZE)
}
