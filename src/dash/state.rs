//! The state machine: events go in, what to draw and orders for the loop come out. It knows no
//! terminal, no file and no clock.

use std::time::Duration;

use super::board::{Board, Finding, findings};
use super::keys::Key;
use super::layout::Layout;
use super::record::Record;
use super::rows::{
    CloseWaitRow, ConnectionRow, LatencyRow, ListenerRow, ProcessRow, connections, latencies,
    listeners, processes,
};
use super::table::Table;
use crate::filter::Filter;

/// What can be shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as on the screen")]
pub enum View {
    #[default]
    Overview,
    Processes,
    Connections,
    Latency,
    States,
    Listeners,
    Tool,
}

impl View {
    /// All, in the order of their keys.
    pub const ALL: [Self; 7] = [
        Self::Overview,
        Self::Processes,
        Self::Connections,
        Self::Latency,
        Self::States,
        Self::Listeners,
        Self::Tool,
    ];

    /// What its tab says.
    pub fn name(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Processes => "Procs",
            Self::Connections => "Conns",
            Self::Latency => "Latency",
            Self::States => "States",
            Self::Listeners => "Listen",
            Self::Tool => "Tool",
        }
    }

    /// The next (`1`), or the one before (`-1`).
    #[must_use]
    pub fn beside(self, step: isize) -> Self {
        let views = Self::ALL.len().cast_signed();
        Self::ALL[(self as usize).cast_signed().wrapping_add(step).rem_euclid(views).unsigned_abs()]
    }

    /// Finds a view by number or name, as `--snapshot` takes it.
    pub fn named(text: &str) -> Option<Self> {
        let number = text.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        let wanted = text.to_ascii_lowercase();
        let words =
            ["overview", "processes", "connections", "latency", "states", "listeners", "tool"];
        let index = number.or_else(|| words.iter().position(|word| *word == wanted))?;
        Self::ALL.get(index).copied()
    }

    /// The columns of its tab: ` 1 Overview `.
    pub fn tab(self) -> std::ops::Range<u16> {
        let width = |view: Self| u16::try_from(view.name().len()).unwrap_or(0) + 2;
        let before = Self::ALL[..self as usize].iter().map(|view| width(*view)).sum();
        before..before + width(self)
    }

    /// The view whose tab has this column.
    pub fn at(x: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|view| view.tab().contains(&x))
    }
}

/// What the keys are for at the moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// The view.
    #[default]
    Normal,
    /// The help, from this line on.
    Help(u16),
    /// The filter's text, and what was wrong with it.
    Filter(String, Option<String>),
}

/// What comes in.
#[derive(Clone, Debug)]
pub enum Event {
    /// A key.
    Key(Key),
    /// A click: column, line.
    Click(u16, u16),
    /// The wheel, by so many lines.
    Wheel(isize),
    /// The screen has so many columns and lines now.
    Resize(u16, u16),
    /// Records with one or several times.
    Records(Vec<Record>),
    /// How the recording is going.
    Progress(Progress),
    /// The recording goes back: what was shown has not happened yet.
    Rewind,
    /// What the dashboard itself costs.
    Own(Own),
    /// Something for the reader.
    Say(String),
}

/// What the dashboard itself costs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Own {
    /// CPU time over the last seconds, as a part of one CPU.
    pub cpu: Option<f64>,
    /// Resident memory, bytes.
    pub rss: Option<u64>,
    /// The time that the last frame took, ns.
    pub frame_ns: Option<u64>,
}

/// How far a recording has come.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// Time of its first line, wall-clock ns; `None` without any.
    pub first: Option<i64>,
    /// Time of its last line; `None` where that cannot be seen yet.
    pub last: Option<i64>,
    /// The moment shown.
    pub now: i64,
    /// How much faster than it happened.
    pub speed: f64,
    /// It stands still.
    pub paused: bool,
    /// Nothing comes any more.
    pub ended: bool,
    /// Lines that could not be read.
    pub damaged: u64,
    /// The last of them: its number if known, and what is wrong with it.
    pub damage: Option<(Option<u64>, String)>,
}

/// How a recording shall go on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Control {
    /// Stand still, or not.
    Pause(bool),
    /// To the next moment, and stand still.
    Step,
    /// The next lower speed.
    Slower,
    /// The next higher speed.
    Faster,
    /// By so many ns.
    Seek(i64),
    /// To the beginning.
    Start,
    /// To the end.
    End,
}

/// What the loop shall do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Order {
    /// End.
    Quit,
    /// Give the terminal back to the shell.
    Suspend,
    /// Draw every cell anew.
    Redraw,
    /// Save what is shown.
    Save,
    /// To the recording.
    Play(Control),
    /// Look so often.
    Interval(Duration),
}

/// A table for each view that has one.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs, reason = "named after the rows")]
pub struct Tables {
    pub processes: Table<ProcessRow>,
    pub connections: Table<ConnectionRow>,
    pub latencies: Table<LatencyRow>,
    pub close_wait: Table<CloseWaitRow>,
    pub listeners: Table<ListenerRow>,
}

/// Intervals to choose from, ms.
const INTERVALS: [u64; 8] = [100, 200, 500, 1_000, 2_000, 5_000, 10_000, 60_000];

/// The dashboard.
#[derive(Clone, Debug, Default)]
pub struct Dash {
    /// What is shown.
    pub view: View,
    /// Columns and lines.
    pub size: (u16, u16),
    /// What the keys are for.
    pub mode: Mode,
    /// The filter, as typed and as read.
    pub filter: Option<(String, Filter)>,
    /// The tables.
    pub tables: Tables,
    /// What is wrong, worst first.
    pub findings: Vec<Finding>,
    /// Something for the reader, until the next key.
    pub message: Option<String>,
    /// Of a recording; `None` when live.
    pub progress: Option<Progress>,
    /// Of a live session: how often is looked.
    pub interval: Duration,
    /// What is shown, in a word or two: the file, or the host.
    pub source: String,
    /// ASCII only.
    pub ascii: bool,
    /// What this costs.
    pub own: Own,
    pub(super) stale: bool,
    board: Board,
    frozen: Option<Box<Board>>,
}

impl Dash {
    /// An empty one; `source` is what it is called on the screen.
    pub fn new(source: String, ascii: bool) -> Self {
        Self { source, ascii, ..Self::default() }
    }

    /// Filters from the beginning, as if `text` had been typed; empty if flags say it.
    pub fn set_filter(&mut self, text: String, filter: Filter) {
        self.filter = Some((text, filter));
        self.stale = true;
    }

    /// What the views are drawn from: as it is now, or as it was when it was paused.
    pub fn board(&self) -> &Board {
        self.frozen.as_deref().unwrap_or(&self.board)
    }

    /// Whether it stands still.
    pub fn paused(&self) -> bool {
        self.frozen.is_some() || self.progress.as_ref().is_some_and(|progress| progress.paused)
    }

    /// Takes an event in, and says what shall be done about it.
    pub fn handle(&mut self, event: Event) -> Option<Order> {
        match event {
            Event::Key(key) => return self.key(key),
            Event::Click(x, y) if self.mode == Mode::Normal => self.click(x, y),
            Event::Wheel(lines) if self.mode == Mode::Normal => {
                let page = self.layout().page();
                self.tables.with(self.view, |table| table.step(lines, page));
            }
            Event::Click(..) | Event::Wheel(_) => {}
            Event::Resize(width, height) => self.size = (width, height),
            Event::Records(records) => {
                for record in records {
                    self.board.take(record);
                }
                self.board.settle();
                self.stale |= self.frozen.is_none();
            }
            Event::Rewind => {
                self.board = Board::default();
                self.stale = true;
            }
            Event::Progress(progress) => {
                self.board.now = self.board.now.max(progress.now);
                self.progress = Some(progress);
            }
            Event::Own(own) => self.own = own,
            Event::Say(text) => self.message = Some(text),
        }
        None
    }

    /// Keys that work on rows find them as they are now.
    pub fn refresh_for(&mut self, event: &Event) {
        if matches!(event, Event::Key(_) | Event::Click(..) | Event::Wheel(_)) {
            self.refresh();
        }
    }

    /// Brings rows and findings up to date, if anything has changed since they were.
    pub fn refresh(&mut self) {
        if !std::mem::take(&mut self.stale) {
            return;
        }
        let board = self.frozen.as_deref().unwrap_or(&self.board);
        let filter = self.filter.as_ref().map(|(_, filter)| filter);
        let tables = &mut self.tables;
        match self.view {
            View::Overview => self.findings = findings(board),
            View::Processes => tables.processes.fill(processes(board, filter)),
            View::Connections => tables.connections.fill(connections(board, filter)),
            View::Latency => tables.latencies.fill(latencies(board, filter)),
            View::States => {
                let rows = board.close_wait.rows().map(CloseWaitRow::from);
                let passes =
                    |row: &CloseWaitRow| filter.is_none_or(|f| f.passes(&row.key.subject()));
                tables.close_wait.fill(rows.filter(passes).collect());
            }
            View::Listeners => tables.listeners.fill(listeners(board, filter, self.ascii)),
            View::Tool => {}
        }
    }

    /// Where things are.
    pub fn layout(&self) -> Layout {
        Layout::of(self.view, self.size.0, self.size.1, self.has_detail())
    }

    /// Whether details are open in this view.
    pub fn has_detail(&self) -> bool {
        match self.view {
            View::Processes => self.tables.processes.detail().is_some(),
            View::Connections => self.tables.connections.detail().is_some(),
            View::Latency => self.tables.latencies.detail().is_some(),
            View::States => self.tables.close_wait.detail().is_some(),
            View::Listeners => self.tables.listeners.detail().is_some(),
            View::Overview | View::Tool => false,
        }
    }

    /// Shows a view.
    pub fn show(&mut self, view: View) {
        self.view = view;
        self.stale = true;
    }

    pub(super) fn open(&mut self) {
        self.tables.with(self.view, |table| table.open());
    }

    pub(super) fn close(&mut self) -> bool {
        self.tables.with(self.view, |table| table.close()).unwrap_or(false)
    }

    pub(super) fn pause(&mut self) -> Option<Order> {
        if let Some(progress) = &self.progress {
            return Some(Order::Play(Control::Pause(!progress.paused)));
        }
        self.frozen = match self.frozen.take() {
            Some(_) => None,
            None => Some(Box::new(self.board.clone())),
        };
        self.stale = true;
        None
    }

    pub(super) fn change_interval(&mut self, longer: bool) -> Option<Order> {
        if self.progress.is_some() {
            self.message =
                Some("a recording keeps its interval; [ and ] change the speed".to_owned());
            return None;
        }
        let mut choices = INTERVALS.into_iter().map(Duration::from_millis);
        let now = self.interval;
        let next = if longer {
            choices.find(|choice| *choice > now)
        } else {
            choices.rev().find(|choice| *choice < now)
        };
        self.interval = next?;
        Some(Order::Interval(self.interval))
    }
}
