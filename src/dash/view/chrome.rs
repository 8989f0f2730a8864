//! The frame of every view: tabs and status above, keys and messages below.

use super::Canvas;
use crate::dash::layout::Area;
use crate::dash::model::Weight;
use crate::dash::{Dash, FilterLine, InputMode, Progress, View};
use crate::report::Cell;

/// The two lines above.
pub fn head(canvas: &mut Canvas<'_>, dash: &Dash) {
    let area = Area { x: 0, y: 0, width: dash.size.0, height: 2 };
    for (number, view) in (1..).zip(View::ALL) {
        let tab = view.tab();
        let open = view == dash.view;
        let style = if open { canvas.theme.selected() } else { canvas.theme.strong() };
        let x = canvas.text(area, tab.start, 0, &number.to_string(), canvas.theme.faint());
        canvas.text(area, x, 0, view.name(), style);
    }
    let mut x = 0;
    let mut say = |canvas: &mut Canvas<'_>, text: &str, style| {
        x = canvas.text(area, x, 1, text, style) + 2;
    };
    let model = dash.model();
    if model.now > 0 {
        let time = canvas.words(Cell::Time(model.now));
        say(canvas, time.get(..8).unwrap_or(&time), canvas.theme.strong());
    }
    if dash.paused() {
        say(canvas, "PAUSED", canvas.theme.weight(Weight::Warning));
    }
    if let Some(progress) = &dash.progress {
        say(canvas, &position(canvas.theme.ascii, progress), canvas.theme.graph());
        if progress.damaged > 0 {
            let text = format!("{} bad lines (7)", progress.damaged);
            say(canvas, &text, canvas.theme.weight(Weight::Warning));
        }
    } else {
        let every = canvas.words(Cell::Nanos(u64::try_from(dash.interval.as_nanos()).unwrap_or(0)));
        say(canvas, &format!("every {every}"), canvas.theme.faint());
    }
    if let Some(why) = &dash.unrecorded {
        let words = canvas.words(Cell::Text(why.as_bytes()));
        say(canvas, &format!("NOT RECORDED: {words}"), canvas.theme.weight(Weight::Bad));
    }
    // Typed by the reader, and yet a terminal is no place for control characters.
    let typed = dash.filter.as_ref().map(|(text, _)| canvas.words(Cell::Text(text.as_bytes())));
    let flags = canvas.words(Cell::Text(dash.flags.as_bytes()));
    let filter = match (typed, dash.flags.is_empty()) {
        (None, true) => None,
        (None, false) => Some(flags),
        (Some(text), true) => Some(text),
        (Some(text), false) => Some(format!("{flags}, and {text}")),
    };
    if let Some(filter) = filter {
        say(canvas, &format!("filter: {filter}"), canvas.theme.weight(Weight::Warning));
    }
    if let Some(extent) = model.extent().filter(|extent| extent.read > 1 || extent.closed > 0) {
        let all = extent.read + extent.closed;
        let text = if extent.closed > 0 {
            format!("{} of {all} namespaces", extent.read)
        } else {
            format!("{all} namespaces")
        };
        say(canvas, &text, canvas.theme.faint());
    }
    let source = canvas.words(Cell::Text(dash.source.as_bytes()));
    say(canvas, &source, canvas.theme.faint());
    if let Some((row, rows)) = dash.place() {
        let text = format!("row {row} of {rows}");
        let at = area.width.saturating_sub(canvas.width(&text));
        if at >= x {
            canvas.text(area, at, 1, &text, canvas.theme.faint());
        }
    }
}

/// How far a recording has come: `|####......| 2×`.
fn position(ascii: bool, progress: &Progress) -> String {
    const CELLS: i64 = 10;
    let (on, off) = if ascii { ('#', '.') } else { ('█', '░') };
    let bar = match (progress.first, progress.last) {
        (Some(first), Some(last)) if last > first => {
            let done = (progress.now - first).clamp(0, last - first);
            let done =
                i64::try_from(i128::from(done) * i128::from(CELLS) / i128::from(last - first));
            let done = done.unwrap_or(0);
            (0..CELLS).map(|cell| if cell < done { on } else { off }).collect()
        }
        _ => String::new(),
    };
    let speed = match progress.speed {
        _ if progress.ended => "end".to_owned(),
        speed if speed.is_infinite() => "maximum speed".to_owned(),
        speed => format!("{speed}×"),
    };
    format!("{bar} {speed}")
}

/// The line below: the filter being typed, a remark, or the keys.
pub fn foot(canvas: &mut Canvas<'_>, dash: &Dash, area: Area) {
    if let InputMode::Filter(line) = &dash.mode {
        return typed(canvas, line, area);
    }
    if let Some(message) = &dash.message {
        let safe = canvas.words(Cell::Text(message.as_bytes()));
        canvas.text(area, 0, 0, &safe, canvas.theme.strong());
        return;
    }
    let keys: &[(&str, &str)] = if dash.progress.is_some() {
        &[
            ("q", "quit"),
            ("?", "help"),
            ("/", "filter"),
            ("Enter", "details"),
            ("Space", "pause"),
            ("[ ]", "speed"),
            (", .", "seek"),
        ]
    } else {
        &[
            ("q", "quit"),
            ("?", "help"),
            ("/", "filter"),
            ("Enter", "details"),
            ("< >", "sort"),
            ("Space", "pause"),
            ("s", "save"),
        ]
    };
    let mut x = 0;
    for (key, what) in keys {
        if x + canvas.width(key) + canvas.width(what) + 1 > area.width {
            break;
        }
        x = canvas.text(area, x, 0, key, canvas.theme.strong()) + 1;
        x = canvas.text(area, x, 0, what, canvas.theme.faint()) + 2;
    }
}

/// The filter as it is typed: what cannot be read is marked, and why stands behind it.
fn typed(canvas: &mut Canvas<'_>, line: &FilterLine, area: Area) {
    let (strong, bad) = (canvas.theme.strong(), canvas.theme.weight(Weight::Bad));
    let mut x = canvas.text(area, 0, 0, "/", strong);
    let marked = line.error.as_ref().map_or(0..0, |error| error.at.clone());
    let room = usize::from(area.width).saturating_sub(3).max(1);
    // A long one shows the part around its cursor.
    let skipped = line.cursor().saturating_sub(room * 3 / 4);
    let mut cursor_at = None;
    for (number, (at, c)) in line.text().char_indices().enumerate().skip(skipped) {
        if number == line.cursor() {
            cursor_at = Some(x);
        }
        let style = if marked.contains(&at) { bad.underlined() } else { strong };
        x = canvas.text(area, x, 0, c.encode_utf8(&mut [0; 4]), style);
    }
    let cursor = Area { x: area.x + cursor_at.unwrap_or(x), width: 1, ..area };
    canvas.line(cursor, 0, canvas.theme.selected());
    let (hint, style) = match &line.error {
        Some(error) => (error.text.as_str(), bad),
        None => (
            "part of a name, rport:443 state:time_wait, ! excludes; Enter, Esc",
            canvas.theme.faint(),
        ),
    };
    canvas.text(area, x + 2, 0, hint, style);
}
