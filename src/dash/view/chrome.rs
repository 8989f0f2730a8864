//! What is around every view: tabs and what is being shown above, keys and remarks below.

use super::Pen;
use crate::dash::layout::Area;
use crate::dash::model::Weight;
use crate::dash::{Dash, Mode, Progress, View};
use crate::report::Cell;

/// The two lines above.
pub fn head(pen: &mut Pen<'_>, dash: &Dash) {
    let area = Area { x: 0, y: 0, width: dash.size.0, height: 2 };
    for (number, view) in (1..).zip(View::ALL) {
        let tab = view.tab();
        let open = view == dash.view;
        let style = if open { pen.theme.selected() } else { pen.theme.strong() };
        let x = pen.text(area, tab.start, 0, &number.to_string(), pen.theme.faint());
        pen.text(area, x, 0, view.name(), style);
    }
    let mut x = 0;
    let mut say = |pen: &mut Pen<'_>, text: &str, style| {
        x = pen.text(area, x, 1, text, style) + 2;
    };
    let board = dash.board();
    if board.now > 0 {
        let time = pen.words(Cell::Time(board.now));
        say(pen, time.get(..8).unwrap_or(&time), pen.theme.strong());
    }
    if dash.paused() {
        say(pen, "PAUSED", pen.theme.weight(Weight::Warning));
    }
    if let Some(progress) = &dash.progress {
        say(pen, &way(pen.theme.ascii, progress), pen.theme.graph());
        if progress.damaged > 0 {
            let text = format!("{} bad lines (7)", progress.damaged);
            say(pen, &text, pen.theme.weight(Weight::Warning));
        }
    } else {
        let every = pen.words(Cell::Nanos(u64::try_from(dash.interval.as_nanos()).unwrap_or(0)));
        say(pen, &format!("every {every}"), pen.theme.faint());
    }
    if let Some(why) = &dash.unrecorded {
        let words = pen.words(Cell::Text(why.as_bytes()));
        say(pen, &format!("NOT RECORDED: {words}"), pen.theme.weight(Weight::Bad));
    }
    // Typed by the reader, and yet a terminal is no place for control characters.
    let typed = dash.filter.as_ref().map(|(text, _)| pen.words(Cell::Text(text.as_bytes())));
    let filter = match (typed.as_deref(), dash.by_flags) {
        (None, false) => None,
        (None | Some(""), _) => Some("by flags".to_owned()),
        (Some(text), true) => Some(format!("{text}, and by flags")),
        (Some(text), false) => Some(text.to_owned()),
    };
    if let Some(filter) = filter {
        say(pen, &format!("filter: {filter}"), pen.theme.weight(Weight::Warning));
    }
    let source = pen.words(Cell::Text(dash.source.as_bytes()));
    say(pen, &source, pen.theme.faint());
    if let Some((row, rows)) = dash.place() {
        let text = format!("row {row} of {rows}");
        let at = area.width.saturating_sub(pen.width(&text));
        if at >= x {
            pen.text(area, at, 1, &text, pen.theme.faint());
        }
    }
}

/// How far a recording has come: `|####......| 2×`.
fn way(ascii: bool, progress: &Progress) -> String {
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
pub fn foot(pen: &mut Pen<'_>, dash: &Dash, area: Area) {
    if let Mode::Filter(text, error) = &dash.mode {
        let x = pen.text(area, 0, 0, "/", pen.theme.strong());
        let x = pen.text(area, x, 0, text, pen.theme.strong());
        let cursor = if pen.theme.ascii { "_" } else { "▏" };
        let x = pen.text(area, x, 0, cursor, pen.theme.graph());
        let (hint, style) = match error {
            Some(error) => (error.as_str(), pen.theme.weight(Weight::Bad)),
            None => ("--comm nginx --rport 443, or a word; Enter, Esc", pen.theme.faint()),
        };
        pen.text(area, x + 1, 0, hint, style);
        return;
    }
    if let Some(message) = &dash.message {
        let safe = pen.words(Cell::Text(message.as_bytes()));
        pen.text(area, 0, 0, &safe, pen.theme.strong());
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
        if x + pen.width(key) + pen.width(what) + 1 > area.width {
            break;
        }
        x = pen.text(area, x, 0, key, pen.theme.strong()) + 1;
        x = pen.text(area, x, 0, what, pen.theme.faint()) + 2;
    }
}
