//! The loop: moves events to the state machine, its orders to where they are carried out, and its
//! state to the screen.

use std::io;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::terminal::{Guard, Screen};
use super::view::{self, Theme};
use super::{Action, ConfigFile, Control, Dash, Event, Message, SelfCost, input, save};
use crate::clock::own_cpu_ns;
use crate::report::{Ctx, SinkError};

/// Maximum number of queued events. The reader of a recording waits for the screen, not the reverse.
const WAITING: usize = 64;
/// Interval of measuring the dashboard's own cost.
const OWN: Duration = Duration::from_secs(2);

/// Where records come from: it gets a function to send events, which returns whether the receiver is
/// listens.
pub struct Feed {
    /// Starts it, in threads of its own.
    pub start: Box<dyn FnOnce(SyncSender<Message>) -> Result<()>>,
    /// To a recording.
    pub control: Sender<Control>,
    /// To a live session.
    pub interval: Sender<Duration>,
}

/// Shows a dashboard until the user has seen enough.
///
/// # Errors
/// The terminal or the feed fails.
pub fn run(
    mut dash: Dash,
    theme: Theme,
    mut ctx: Ctx,
    clicks: bool,
    mut config: ConfigFile,
    feed: Feed,
) -> Result<ExitCode> {
    let (send, messages) = sync_channel(WAITING);
    input::watch_signals(send.clone()).context("cannot watch for signals")?;
    let guard = Guard::take(clicks).context("cannot use the terminal")?;
    (feed.start)(send.clone())?;
    input::watch_terminal(send).context("cannot read keys")?;
    let mut screen = Screen::new().context("cannot use the terminal")?;
    let mut own = Cost::new();
    loop {
        draw(&mut screen, &mut dash, theme, &mut ctx, &mut own)?;
        if own.due() {
            dash.handle(Event::SelfCost(own.measure()));
        }
        let Some(actions) = take(&messages, &mut dash)? else { continue };
        for order in actions {
            match order {
                Action::Quit => {
                    drop(guard);
                    return ended(dash.unrecorded.take());
                }
                Action::Suspend => {
                    guard.suspend().context("cannot take the terminal again")?;
                    screen.redraw().context("the terminal has no size")?;
                }
                Action::Redraw => {
                    guard.resume().context("cannot take the terminal again")?;
                    screen.redraw().context("the terminal has no size")?;
                }
                Action::Save => {
                    let said = save(&dash).unwrap_or_else(|error| format!("{error:#}"));
                    dash.handle(Event::Say(said));
                }
                Action::Remember => {
                    if let Some(text) = config.remember(&dash.tables) {
                        dash.handle(Event::Say(text));
                    }
                }
                // Who has ended needs no orders.
                Action::Play(control) => _ = feed.control.send(control),
                Action::Interval(interval) => _ = feed.interval.send(interval),
            }
        }
    }
}

/// An incomplete recording is reported.
fn ended(unrecorded: Option<String>) -> Result<ExitCode> {
    let why = unrecorded.map(|why| SinkError::Write(io::Error::other(format!("recording: {why}"))));
    why.map_or(Ok(ExitCode::SUCCESS), |why| Err(why.into()))
}

/// Waits for something, and takes everything that is there. `None` when nothing came.
fn take(messages: &Receiver<Message>, dash: &mut Dash) -> Result<Option<Vec<Action>>> {
    let first = match messages.recv_timeout(OWN) {
        Ok(message) => message,
        Err(RecvTimeoutError::Timeout) => return Ok(None),
        Err(RecvTimeoutError::Disconnected) => return Ok(Some(vec![Action::Quit])),
    };
    let mut actions = Vec::new();
    // No more than may wait, or a fast recording would never let anything be drawn.
    for message in std::iter::once(first).chain(messages.try_iter().take(WAITING)) {
        match message {
            Message::Event(event) => {
                dash.refresh_for(&event);
                actions.extend(dash.handle(event));
            }
            Message::Action(order) => actions.push(order),
            Message::Failed(error) => return Err(error),
        }
    }
    Ok(Some(actions))
}

fn draw(
    screen: &mut Screen,
    dash: &mut Dash,
    theme: Theme,
    ctx: &mut Ctx,
    own: &mut Cost,
) -> Result<()> {
    let before = Instant::now();
    let (width, height) = screen.size().context("the terminal has no size")?;
    dash.handle(Event::Resize(width, height));
    dash.refresh();
    screen
        .draw(|buffer| view::draw(dash, theme, ctx, buffer))
        .context("cannot draw on the terminal")?;
    own.frame = before.elapsed();
    Ok(())
}

/// What this process costs.
struct Cost {
    measured: Instant,
    cpu_ns: u64,
    frame: Duration,
}

impl Cost {
    fn new() -> Self {
        Self { measured: Instant::now(), cpu_ns: own_cpu_ns(), frame: Duration::ZERO }
    }

    fn due(&self) -> bool {
        self.measured.elapsed() >= OWN
    }

    fn measure(&mut self) -> SelfCost {
        let (now, cpu_ns) = (Instant::now(), own_cpu_ns());
        let time = (now - self.measured).as_secs_f64();
        let spent = Duration::from_nanos(cpu_ns.saturating_sub(self.cpu_ns)).as_secs_f64();
        (self.measured, self.cpu_ns) = (now, cpu_ns);
        SelfCost {
            cpu: Some(spent / time),
            rss: resident(),
            frame_ns: u64::try_from(self.frame.as_nanos()).ok(),
        }
    }
}

/// Resident memory of this process in bytes, as `/proc/self/statm` counts pages.
fn resident() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}
