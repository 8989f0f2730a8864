//! The state machine: events go in, the drawn state and actions for the loop come out. It knows no
//! terminal, no file and no clock.

use std::ops::Bound;
use std::time::Duration;

use super::commands;
use super::events::{Action, Control, Event, Programs, Progress, SelfCost};
use super::filter::{self, RowFilter};
use super::found::Found;
use super::keys::{self, InputMode};
use super::layout::Layout;
use super::model::{Model, findings};
use super::mouse;
use super::past::Past;
use super::related::related;
use super::rows::groupings;
use super::scope::Scope;
use super::table::Browse;
use super::tables::Tables;
use super::timeline::Timeline;
use super::views::View;
use crate::group::Grouping;
use crate::report::Key;

/// A filter, as typed and as read.
type Typed = Option<(String, RowFilter)>;

/// Where the rows of a finding were shown from.
#[derive(Clone, Debug)]
pub(super) struct Before {
    view: View,
    filter: Typed,
    scope: Vec<Scope>,
}

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
    pub filter: Typed,
    /// The tables.
    pub tables: Tables,
    /// What is wrong, which of that is selected, and what is open.
    pub found: Found,
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
    pub(super) filter_before: Typed,
    /// The finding whose rows are shown was opened here.
    pub(super) before: Option<Before>,
    pub(super) stale: bool,
    time: Timeline,
}

impl Dash {
    /// An empty one; `source` is what it is called on the screen.
    pub fn new(source: String, ascii: bool) -> Self {
        Self { source, ascii, ..Self::default() }
    }

    /// Filters by this, with its text; `None` shows all.
    pub fn set_filter(&mut self, filter: Typed) {
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

    /// Shows only the process or the namespace of the current row.
    pub(super) fn enter(&mut self, of: fn(&Key) -> Result<Scope, &'static str>) {
        let Some(scope) = self.current().map(of) else { return };
        match scope {
            Ok(scope) if self.scope.contains(&scope) => {
                self.message =
                    Some(format!("this is {} already; Backspace leaves it", scope.name()));
            }
            Ok(scope) => {
                self.close();
                self.scope.push(scope);
                self.stale = true;
            }
            Err(why) => self.message = Some(why.to_owned()),
        }
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
        self.time.shown()
    }

    /// Whether it is paused.
    pub fn paused(&self) -> bool {
        self.time.is_frozen() || self.progress.as_ref().is_some_and(|progress| progress.paused)
    }

    /// Handles an event and returns the resulting actions.
    pub fn handle(&mut self, event: Event) -> Option<Action> {
        match event {
            Event::Key(key) => return keys::press(self, key),
            Event::Click(x, y) => return mouse::click(self, x, y),
            Event::Wheel(lines) => mouse::wheel(self, lines),
            Event::Resize(width, height) => self.size = (width, height),
            Event::Records(records) => {
                self.time.take(records, self.progress.is_none());
                self.stale |= !self.time.is_frozen();
            }
            Event::Rewind => {
                self.time.rewind();
                self.stale = true;
            }
            Event::Progress(progress) => {
                self.time.reached(progress.now, progress.ended);
                self.stale |= progress.ended;
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
        let filter = self.row_filter();
        let model = self.time.shown();
        if self.view == View::Overview {
            self.found.take(findings(model));
        }
        self.tables.fill(self.view, model, filter.as_ref(), &mut self.latency_by);
    }

    /// Where things are.
    pub fn layout(&self) -> Layout {
        Layout::of(self.view, self.size.0, self.size.1, self.has_detail())
    }

    /// Whether details are open in this view.
    pub fn has_detail(&self) -> bool {
        self.tables.of(self.view).is_some_and(Browse::has_detail)
    }

    /// The selected row of this view or finding, from 1 on, and how many there are; `None` without any.
    pub fn place(&self) -> Option<(usize, usize)> {
        let (row, rows) = match self.view {
            View::Overview => (self.found.cursor()?, self.found.all.found.len()),
            view => self.tables.of(view)?.place(),
        };
        (rows > 0).then_some((row + 1, rows))
    }

    /// Whether the rows of this view are those of a finding, not of a filter that was typed.
    pub fn shows_related(&self) -> bool {
        self.before.as_ref().is_some_and(|before| before.view == self.view)
    }

    /// Shows the rows that the open finding is about.
    pub(super) fn show_related(&mut self) {
        let Some((finding, _)) = self.found.open() else { return };
        let Some(rows) = related(finding) else {
            self.message = Some("no view has rows of this: see what to change".to_owned());
            return;
        };
        // Words that this program has put together can be read.
        let typed = filter::read(&rows.filter).ok().flatten();
        let filter = typed.map(|typed| (rows.filter.clone(), typed));
        let (filter, scope) =
            (std::mem::replace(&mut self.filter, filter), std::mem::take(&mut self.scope));
        self.before = Some(Before { view: rows.view, filter, scope });
        if rows.view == View::Latency {
            self.latency_by = rows.by;
        }
        self.show(rows.view);
        self.tables.with(rows.view, |table| {
            table.close();
            rows.sort.iter().for_each(|key| table.sort_on(key));
        });
    }

    /// One step back, and never out of it all: that would lose the history.
    pub(super) fn back(&mut self) {
        if self.close() {
            return;
        }
        match self.before.take().filter(|before| before.view == self.view) {
            Some(Before { filter, scope, .. }) => {
                (self.filter, self.scope) = (filter, scope);
                self.show(View::Overview);
            }
            None => self.set_filter(None),
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
        match self.view {
            View::Overview => self.found.close(),
            view => self.tables.with(view, |table| table.close()).unwrap_or(false),
        }
    }

    pub(super) fn pause(&mut self) -> Option<Action> {
        if let Some(progress) = &self.progress {
            return Some(Action::Play(Control::Pause(!progress.paused)));
        }
        self.time.pause();
        self.stale = true;
        None
    }

    /// How long ago it is that a live session was as it is shown, ns; `None` if that is now.
    pub fn ago(&self) -> Option<u64> {
        self.time.ago()
    }

    /// The intervals of a live session that are kept.
    pub fn past(&self) -> &Past {
        self.time.past()
    }

    /// Shows a live session as it was, or as it is.
    pub(super) fn travel(&mut self, control: Control) {
        self.time.travel(control);
        self.stale = true;
    }
}
