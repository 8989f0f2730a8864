//! The state machine: events go in, the drawn state and actions for the loop come out. It knows no
//! terminal, no file and no clock.

use std::ops::Bound;
use std::time::Duration;

use super::commands;
use super::events::{Action, Control, Event, Programs, Progress, SelfCost};
use super::filter::RowFilter;
use super::filter_line::FilterLine;
use super::keys;
use super::layout::Layout;
use super::model::{Findings, Model, findings, process};
use super::past::Past;
use super::rows::{
    CloseWaitRow, connections, groupings, latencies, listeners, ports, processes, remotes,
};
use super::scope::Scope;
use super::table::Browse;
use super::tables::Tables;
use super::views::View;
use crate::group::Grouping;
use crate::report::Key;
use crate::tcp_state::TcpState;

/// What the keys are for at the moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum InputMode {
    /// The view.
    #[default]
    Normal,
    /// The help, from this line on.
    Help(u16),
    /// The filter is being typed.
    Filter(FilterLine),
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
    pub mode: InputMode,
    /// What was entered, outermost first.
    pub scope: Vec<Scope>,
    /// What latencies are grouped by.
    pub latency_by: Grouping,
    /// The filter, as typed and as read.
    pub filter: Option<(String, RowFilter)>,
    /// The tables.
    pub tables: Tables,
    /// What is wrong, and what was looked for.
    pub findings: Findings,
    /// Something for the reader, until the next key.
    pub message: Option<String>,
    /// Of a recording; `None` when live.
    pub progress: Option<Progress>,
    /// Of a live session: its interval.
    pub interval: Duration,
    /// What is shown, in a word or two: the file, or the host.
    pub source: String,
    /// ASCII only.
    pub ascii: bool,
    /// What this costs.
    pub own: SelfCost,
    /// What a live session's programs cost.
    pub programs: Option<Programs>,
    /// Why nothing is recorded although it was asked for.
    pub unrecorded: Option<String>,
    /// The flags that keep out what is not asked for before it comes here; none: empty.
    pub flags: String,
    /// The filter that was in force before another was typed.
    pub(super) filter_before: Option<(String, RowFilter)>,
    pub(super) stale: bool,
    model: Model,
    frozen: Option<Box<Model>>,
    /// What a live session has shown.
    past: Past,
}

impl Dash {
    /// An empty one; `source` is what it is called on the screen.
    pub fn new(source: String, ascii: bool) -> Self {
        Self { source, ascii, ..Self::default() }
    }

    /// Filters by this, with its text; `None` shows all.
    pub fn set_filter(&mut self, filter: Option<(String, RowFilter)>) {
        self.filter = filter;
        self.stale = true;
    }

    /// What rows have to meet: the scope, and the filter.
    fn row_filter(&self) -> Option<RowFilter> {
        let typed = self.filter.as_ref().map(|(_, filter)| filter.clone());
        let all = self.scope.iter().map(Scope::filter).chain(typed);
        all.reduce(RowFilter::and)
    }

    /// The row with open details in this view, else the selected one.
    pub fn current(&self) -> Option<&Key> {
        self.tables.of(self.view)?.current()
    }

    /// Shows only the process of a row.
    pub(super) fn enter_process(&mut self) {
        let Some(key) = self.current() else { return };
        let Some(pid) = key.pid else {
            self.message = Some("the process of this row is unknown".to_owned());
            return;
        };
        let scope = Scope::Process(pid, process(key));
        self.enter(scope);
    }

    /// Shows only the network namespace of a row.
    pub(super) fn enter_netns(&mut self) {
        match self.current().map(|key| key.netns) {
            Some(Some(netns)) => self.enter(Scope::Netns(netns)),
            _ => self.message = Some("the network namespace of this row is unknown".to_owned()),
        }
    }

    fn enter(&mut self, scope: Scope) {
        if self.scope.contains(&scope) {
            self.message = Some(format!("this is {} already; Backspace leaves it", scope.name()));
            return;
        }
        self.close();
        self.scope.push(scope);
        self.stale = true;
    }

    /// Leaves what was entered last.
    pub(super) fn leave(&mut self) {
        self.stale |= self.scope.pop().is_some();
    }

    /// Groups latencies in the next way that there are rows of.
    pub(super) fn regroup(&mut self) {
        let groupings = groupings(self.model());
        let next = groupings.range((Bound::Excluded(self.latency_by), Bound::Unbounded)).next();
        self.latency_by = next.or(groupings.first()).copied().unwrap_or_default();
        self.close();
        self.stale = true;
    }

    /// The current row as a command, and as a filter of tcpdump.
    pub fn commands(&self) -> (Option<String>, Option<String>) {
        let of = |key| (commands::command(self.view, key), commands::tcpdump(key));
        self.current().map_or((None, None), of)
    }

    /// What the views are drawn from: as it is now, or as it was when it was paused.
    pub fn model(&self) -> &Model {
        self.frozen.as_deref().unwrap_or(&self.model)
    }

    /// Whether it is paused.
    pub fn paused(&self) -> bool {
        self.frozen.is_some() || self.progress.as_ref().is_some_and(|progress| progress.paused)
    }

    /// Handles an event and returns the resulting actions.
    pub fn handle(&mut self, event: Event) -> Option<Action> {
        match event {
            Event::Key(key) => return keys::press(self, key),
            Event::Click(x, y) if self.mode == InputMode::Normal => keys::click(self, x, y),
            Event::Wheel(lines) if self.mode == InputMode::Normal => {
                let page = self.layout().page();
                self.tables.with(self.view, |table| table.step(lines, page));
            }
            Event::Click(..) | Event::Wheel(_) => {}
            Event::Resize(width, height) => self.size = (width, height),
            Event::Records(records) => {
                if self.progress.is_none() {
                    self.past.push(&records);
                }
                for record in records {
                    self.model.take(record);
                }
                self.model.settle();
                self.stale |= self.frozen.is_none();
            }
            Event::Rewind => {
                self.model = Model::default();
                self.stale = true;
            }
            Event::Progress(progress) => {
                self.model.now = self.model.now.max(progress.now);
                if progress.ended {
                    self.model.end();
                    self.stale = true;
                }
                self.progress = Some(progress);
            }
            Event::SelfCost(own) => self.own = own,
            Event::Programs(programs) => self.programs = Some(programs),
            Event::Unrecorded(why) => self.unrecorded = Some(why),
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
        let model = self.frozen.as_deref().unwrap_or(&self.model);
        let filter = self.row_filter();
        let filter = filter.as_ref();
        let tables = &mut self.tables;
        match self.view {
            View::Overview => {
                self.findings = findings(model);
                tables.processes.fill(processes(model, filter));
                tables.remotes.fill(remotes(model, filter));
                tables.listeners.fill(listeners(model, filter));
            }
            View::Remotes => tables.remotes.fill(remotes(model, filter)),
            View::Processes => tables.processes.fill(processes(model, filter)),
            View::Connections => tables.connections.fill(connections(model, filter)),
            View::Latency => {
                let groupings = groupings(model);
                if !groupings.contains(&self.latency_by) {
                    self.latency_by = groupings.first().copied().unwrap_or_default();
                }
                tables.latencies.fill(latencies(model, self.latency_by, filter));
            }
            View::States => {
                let rows = model.close_wait.rows().map(CloseWaitRow::from);
                let passes = |row: &CloseWaitRow| {
                    filter.is_none_or(|f| f.passes(&row.key, Some(TcpState::CloseWait)))
                };
                tables.close_wait.fill(rows.filter(passes).collect());
            }
            View::Listeners => tables.listeners.fill(listeners(model, filter)),
            View::Ports => tables.ports.fill(ports(model, filter)),
            View::Tool => {}
        }
    }

    /// Where things are.
    pub fn layout(&self) -> Layout {
        Layout::of(self.view, self.size.0, self.size.1, self.has_detail())
    }

    /// Whether details are open in this view.
    pub fn has_detail(&self) -> bool {
        self.tables.of(self.view).is_some_and(Browse::has_detail)
    }

    /// The selected row of this view, from 1 on, and how many there are; `None` without any.
    pub fn place(&self) -> Option<(usize, usize)> {
        let (row, rows) = self.tables.of(self.view)?.place();
        (rows > 0).then_some((row + 1, rows))
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

    pub(super) fn pause(&mut self) -> Option<Action> {
        if let Some(progress) = &self.progress {
            return Some(Action::Play(Control::Pause(!progress.paused)));
        }
        self.frozen = match self.frozen.take() {
            Some(_) => None,
            None => Some(Box::new(self.model.clone())),
        };
        self.stale = true;
        None
    }

    /// How long ago it is that a live session was as it is shown, ns; `None` if that is now.
    pub fn ago(&self) -> Option<u64> {
        let shown = self.frozen.as_ref()?;
        u64::try_from(self.model.now - shown.now).ok().filter(|ns| *ns > 0)
    }

    /// The intervals of a live session that are kept.
    pub fn past(&self) -> &Past {
        &self.past
    }

    /// Shows a live session as it was, or as it is.
    pub(super) fn travel(&mut self, control: Control) {
        let now = self.model().now;
        let near = |ts: i64| self.past.before(ts.saturating_add(1)).or(self.past.oldest());
        let to = match control {
            Control::Back => self.past.before(now).or(self.past.oldest()),
            Control::Step => self.past.after(now),
            Control::Seek(by) => near(now.saturating_add(by)),
            Control::Start => self.past.oldest(),
            _ => None,
        };
        // The newest is not the past.
        let to = to.filter(|to| Some(*to) < self.past.newest());
        self.frozen = to.map(|to| Box::new(self.past.at(to, &self.model)));
        self.stale = true;
    }

    /// Another interval; in a recording, another speed.
    pub(super) fn change_interval(&mut self, longer: bool) -> Option<Action> {
        if self.progress.is_some() {
            return Some(Action::Play(if longer { Control::Faster } else { Control::Slower }));
        }
        let mut choices = INTERVALS.into_iter().map(Duration::from_millis);
        let now = self.interval;
        let next = if longer {
            choices.find(|choice| *choice > now)
        } else {
            choices.rev().find(|choice| *choice < now)
        };
        self.interval = next?;
        Some(Action::Interval(self.interval))
    }
}
