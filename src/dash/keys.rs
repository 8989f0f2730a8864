//! Keys, and what they do.

use super::filter_line::FilterLine;
use super::layout::Cut;
use super::{Action, Control, Dash, InputMode, View, filter};

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

/// Every key with what it does, for the help.
pub const HELP: [(&str, &str); 24] = [
    ("1 … 9, Tab", "another view"),
    ("↑ ↓ PgUp PgDn Home End", "select a row; k j g G do the same"),
    ("← →", "scroll columns that do not fit"),
    ("Enter", "show details of the selected row; once more: enter its process"),
    ("N", "enter the network namespace of the row"),
    ("Backspace", "leave the process or namespace"),
    ("y", "the row as a command, and as a filter of tcpdump"),
    ("b", "in Latency: group by process, by remote"),
    ("< >", "sort by the previous, next column; or click a heading"),
    ("r", "reverse the order"),
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
    ("Esc", "one step back: help, details, filter; it never quits"),
    ("q Ctrl-C", "quit. Ctrl-Z suspends"),
];

#[allow(clippy::cast_possible_truncation, reason = "a few lines")]
const LAST_HELP: u16 = HELP.len() as u16 - 1;
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
    }
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
        // One step back, and never out: that would lose the history.
        KeyPress::Esc => {
            if !dash.close() {
                dash.set_filter(None);
            }
        }
        KeyPress::Char(digit @ '1'..='9') => {
            dash.show(View::ALL[digit as usize - '1' as usize]);
        }
        KeyPress::Tab => dash.show(dash.view.beside(1)),
        KeyPress::BackTab => dash.show(dash.view.beside(-1)),
        KeyPress::Char('h' | '?') | KeyPress::F1 => dash.mode = InputMode::Help(0),
        KeyPress::Char('/') => {
            dash.filter_before.clone_from(&dash.filter);
            let text = dash.filter.as_ref().map_or(String::new(), |(text, _)| text.clone());
            dash.mode = InputMode::Filter(text.into());
        }
        KeyPress::Char('s') => return Some(Action::Save),
        KeyPress::Char(' ') => return dash.pause(),
        KeyPress::Char('+' | '-') => return dash.change_interval(key == KeyPress::Char('+')),
        KeyPress::Enter if dash.has_detail() => dash.enter_process(),
        KeyPress::Enter => dash.open(),
        KeyPress::Backspace => dash.leave(),
        KeyPress::Char('N') => dash.enter_netns(),
        KeyPress::Char('b') if dash.view == View::Latency => dash.regroup(),
        KeyPress::Char('y') => dash.message = Some(commands(dash)),
        _ => return play(dash, key).or_else(|| browse(dash, key)),
    }
    None
}

/// The row as it can be typed elsewhere.
fn commands(dash: &Dash) -> String {
    match dash.commands() {
        (Some(command), Some(packets)) => format!("{command}  |  {packets}"),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => "no row that a command could show".to_owned(),
    }
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

/// Keys of a table.
fn browse(dash: &mut Dash, key: KeyPress) -> Option<Action> {
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

/// Takes a click of the first mouse button.
pub(super) fn click(dash: &mut Dash, x: u16, y: u16) {
    if y == 0 {
        let tabs = View::tabs(dash.view, dash.size.0);
        if let Some(tab) = tabs.into_iter().find(|tab| tab.columns.contains(&x)) {
            dash.show(tab.view);
        }
        return;
    }
    let layout = dash.layout();
    if !layout.table.holds(x, y) {
        return;
    }
    let (column, line) = (x - layout.table.x, y - layout.table.y);
    let (width, page) = (layout.table.width, layout.page());
    dash.tables.with(dash.view, |table| {
        if line == 0 {
            table.click_heading(width, column);
        } else {
            table.click_row(usize::from(line - 1), page);
        }
    });
}
