//! Keys, and what they do.

use std::time::Duration;

use super::filter_line::FilterLine;
use super::{Action, Control, Dash, Scope, View, filter};

/// A key as the state machine knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "what is written on them")]
pub enum KeyPress {
    Char(char),
    Ctrl(char),
    Enter,
    Esc,
    Tab,
    BackTab,
    Backspace,
    Delete,
    F1,
    Up,
    Down,
    Left,
    Right,
    PageUp,
    PageDown,
    Home,
    End,
}

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
    /// Columns of the view are being chosen; the selected one.
    Columns(usize),
}

/// Every key with what it does, for the help.
pub const HELP: [(&str, &str); 26] = [
    ("1 … 9, Tab", "another view"),
    ("↑ ↓ PgUp PgDn Home End", "select a row or finding; k j g G do the same"),
    ("← →", "scroll columns that do not fit; the finding before, after"),
    ("Enter", "show details of the selected row; once more: enter its process"),
    ("Enter on a finding", "evidence, cause and remedy; once more: the rows that it is about"),
    ("N", "enter the network namespace of the row"),
    ("Backspace", "leave the process or namespace"),
    ("y", "the row as a command, and as a filter of tcpdump"),
    ("b", "in Latency: group by process, by remote"),
    ("< >", "sort by the previous, next column; or click a heading"),
    ("r", "reverse the order"),
    ("c", "choose columns, which are remembered"),
    ("/", "filter as you type: ngin, 443, 10.0.0.0/8, rport:443, state:time_wait, !api"),
    ("s", "save the last 15 minutes as JSON Lines, for --replay; in a recording what is shown"),
    ("Space", "pause, go on"),
    ("+ -", "lengthen, shorten the interval; in a recording faster, slower"),
    ("", ""),
    ("back in time", "in a recording, and live in the last 15 minutes"),
    ("[ ]", "a step back, ahead"),
    (", .", "10 seconds back, ahead"),
    ("( )", "a minute back, ahead"),
    ("0 $", "go to the start, the end"),
    ("", ""),
    ("h ? F1", "this help"),
    ("Esc", "one step back: help, details, finding, filter; it never quits"),
    ("q Ctrl-C", "quit. Ctrl-Z suspends"),
];

#[allow(clippy::cast_possible_truncation, reason = "a few lines")]
pub(super) const LAST_HELP: u16 = HELP.len() as u16 - 1;
/// Intervals to choose from, ms.
const INTERVALS: [u64; 8] = [100, 200, 500, 1_000, 2_000, 5_000, 10_000, 60_000];
const SECOND: i64 = 1_000_000_000;

/// Takes a key.
pub(super) fn press(dash: &mut Dash, key: KeyPress) -> Option<Action> {
    match key {
        KeyPress::Ctrl('c') => return Some(Action::Quit),
        KeyPress::Ctrl('z') => return Some(Action::Suspend),
        KeyPress::Ctrl('l') => return Some(Action::Redraw),
        _ => {}
    }
    dash.message = None;
    match std::mem::take(&mut dash.mode) {
        InputMode::Normal => normal(dash, key),
        InputMode::Help(top) => {
            help(dash, key, top);
            None
        }
        InputMode::Filter(line) => {
            edit(dash, key, line);
            None
        }
        InputMode::Columns(cursor) => choose(dash, key, cursor),
    }
}

/// A key of the box with the columns of the view.
fn choose(dash: &mut Dash, key: KeyPress, cursor: usize) -> Option<Action> {
    let last = dash.tables.of(dash.view).map_or(0, |table| table.choices().len().saturating_sub(1));
    let cursor = match key {
        KeyPress::Esc | KeyPress::Char('c' | 'q') => return None,
        KeyPress::Up | KeyPress::Char('k') => cursor.saturating_sub(1),
        KeyPress::Down | KeyPress::Char('j') => (cursor + 1).min(last),
        KeyPress::Home | KeyPress::PageUp => 0,
        KeyPress::End | KeyPress::PageDown => last,
        _ => cursor,
    };
    dash.mode = InputMode::Columns(cursor);
    if !matches!(key, KeyPress::Enter | KeyPress::Char(' ')) {
        return None;
    }
    dash.tables.with(dash.view, |table| table.toggle(cursor));
    Some(Action::Remember)
}

fn help(dash: &mut Dash, key: KeyPress, top: u16) {
    dash.mode = match key {
        KeyPress::Up | KeyPress::Char('k') => InputMode::Help(top.saturating_sub(1)),
        KeyPress::Down | KeyPress::Char('j') => {
            InputMode::Help(top.saturating_add(1).min(LAST_HELP))
        }
        _ => InputMode::Normal,
    };
}

/// A key of the line in which the filter is typed. What is typed is in force at once; what cannot be read
/// leaves the last one that could.
fn edit(dash: &mut Dash, key: KeyPress, mut line: FilterLine) {
    if key == KeyPress::Esc {
        let before = dash.filter_before.take();
        dash.set_filter(before);
        return;
    }
    if key != KeyPress::Enter {
        line.press(key);
    }
    line.error = match filter::read(line.text()) {
        Ok(filter) => {
            dash.set_filter(filter.map(|filter| (line.text().to_owned(), filter)));
            None
        }
        Err(error) => Some(error),
    };
    if key != KeyPress::Enter || line.error.is_some() {
        dash.mode = InputMode::Filter(line);
    }
}

fn normal(dash: &mut Dash, key: KeyPress) -> Option<Action> {
    match key {
        KeyPress::Char('q') => return Some(Action::Quit),
        KeyPress::Esc => dash.back(),
        KeyPress::Char(digit @ '1'..='9') => {
            dash.show(View::ALL[digit as usize - '1' as usize]);
        }
        KeyPress::Tab => dash.show(dash.view.beside(1)),
        KeyPress::BackTab => dash.show(dash.view.beside(-1)),
        KeyPress::Char('h' | '?') | KeyPress::F1 => dash.mode = InputMode::Help(0),
        KeyPress::Char('/') => {
            dash.before = None;
            dash.filter_before.clone_from(&dash.filter);
            let text = dash.filter.as_ref().map_or(String::new(), |(text, _)| text.clone());
            dash.mode = InputMode::Filter(text.into());
        }
        KeyPress::Char('s') => return Some(Action::Save),
        KeyPress::Char(' ') => return dash.pause(),
        KeyPress::Char('+' | '-') => return change_interval(dash, key == KeyPress::Char('+')),
        KeyPress::Char('c') if dash.tables.of(dash.view).is_some() => {
            dash.mode = InputMode::Columns(0);
        }
        KeyPress::Enter if dash.view == View::Overview => enter(dash),
        KeyPress::Enter if dash.has_detail() => dash.enter(Scope::process),
        KeyPress::Enter => dash.open(),
        KeyPress::Backspace => dash.leave(),
        KeyPress::Char('N') => dash.enter(Scope::netns),
        KeyPress::Char('b') if dash.view == View::Latency => dash.regroup(),
        KeyPress::Char('y') => dash.message = Some(commands(dash)),
        _ => return play(dash, key).or_else(|| browse(dash, key)),
    }
    None
}

/// The selected finding, and then its rows.
fn enter(dash: &mut Dash) {
    if dash.found.open().is_some() {
        dash.show_related();
    } else {
        let layout = dash.layout();
        dash.found.enter(&layout);
    }
}

/// The row as it can be typed elsewhere.
fn commands(dash: &Dash) -> String {
    match dash.commands() {
        (Some(command), Some(packets)) => format!("{command}  |  {packets}"),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => "no row that a command could show".to_owned(),
    }
}

/// Another interval; in a recording, another speed.
fn change_interval(dash: &mut Dash, longer: bool) -> Option<Action> {
    if dash.progress.is_some() {
        return Some(Action::Play(if longer { Control::Faster } else { Control::Slower }));
    }
    let mut choices = INTERVALS.into_iter().map(Duration::from_millis);
    let now = dash.interval;
    let next = if longer {
        choices.find(|choice| *choice > now)
    } else {
        choices.rev().find(|choice| *choice < now)
    };
    dash.interval = next?;
    Some(Action::Interval(dash.interval))
}

/// Keys of a recording, and of the last minutes of a live session.
fn play(dash: &mut Dash, key: KeyPress) -> Option<Action> {
    let control = match key {
        KeyPress::Char('[') => Control::Back,
        KeyPress::Char(']' | 'n') => Control::Step,
        KeyPress::Char(',') => Control::Seek(-10 * SECOND),
        KeyPress::Char('.') => Control::Seek(10 * SECOND),
        KeyPress::Char('(') => Control::Seek(-60 * SECOND),
        KeyPress::Char(')') => Control::Seek(60 * SECOND),
        KeyPress::Char('0') => Control::Start,
        KeyPress::Char('$') => Control::End,
        _ => return None,
    };
    if dash.progress.is_none() {
        dash.travel(control);
        return None;
    }
    Some(Action::Play(control))
}

/// Keys of the findings.
fn look(dash: &mut Dash, key: KeyPress) {
    let layout = dash.layout();
    let page = isize::from(layout.body.height.cast_signed().max(1));
    let by = match key {
        KeyPress::Up | KeyPress::Char('k') => -1,
        KeyPress::Down | KeyPress::Char('j') => 1,
        KeyPress::PageUp => -page,
        KeyPress::PageDown => page,
        KeyPress::Home | KeyPress::Char('g') => isize::MIN,
        KeyPress::End | KeyPress::Char('G') => isize::MAX,
        KeyPress::Left | KeyPress::Right => {
            dash.found.beside(if key == KeyPress::Left { -1 } else { 1 });
            return;
        }
        _ => return,
    };
    dash.found.step(by, &layout);
}

/// Keys of a table.
fn browse(dash: &mut Dash, key: KeyPress) -> Option<Action> {
    if dash.view == View::Overview {
        look(dash, key);
        return None;
    }
    let page = dash.layout().page();
    let rows = page.max(1).cast_signed();
    dash.tables.with(dash.view, |table| match key {
        KeyPress::Up | KeyPress::Char('k') => table.step(-1, page),
        KeyPress::Down | KeyPress::Char('j') => table.step(1, page),
        KeyPress::PageUp => table.step(-rows, page),
        KeyPress::PageDown => table.step(rows, page),
        KeyPress::Home | KeyPress::Char('g') => table.step(isize::MIN, page),
        KeyPress::End | KeyPress::Char('G') => table.step(isize::MAX, page),
        KeyPress::Left => table.scroll(-1),
        KeyPress::Right => table.scroll(1),
        KeyPress::Char('<') => table.sort_beside(-1),
        KeyPress::Char('>') => table.sort_beside(1),
        KeyPress::Char('r') => table.turn(),
        _ => {}
    });
    None
}
