//! The two lines above every view: tabs and status.

use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Tabs, Widget};

use super::Canvas;
use super::canvas::{fit, width};
use crate::dash::layout::Area;
use crate::dash::model::Weight;
use crate::dash::{Dash, Progress, View};
use crate::report::Cell;

/// The two lines above.
pub fn head(canvas: &mut Canvas<'_>, dash: &Dash) {
    let area = Area { x: 0, y: 0, width: dash.size.0, height: 2 };
    let (faint, strong) = (canvas.theme.faint(), canvas.theme.strong());
    let titles = View::tabs(dash.view, area.width).into_iter().map(|tab| {
        let number = Span::styled((tab.view as usize + 1).to_string(), faint);
        Line::from(vec![number, Span::styled(tab.name, strong)])
    });
    let tabs = Tabs::new(titles).select(dash.view as usize).divider("").padding("", " ");
    let tabs = tabs.highlight_style(canvas.theme.selected());
    tabs.render(Area { height: 1, ..area }, canvas.screen);
    status(canvas, dash, area);
}

/// Columns of a filter that are shown in any case.
const FILTER: u16 = 30;

/// What of the status gives way where there is no room, one after the other. The speed and the name of a recording
/// stay.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Brief {
    /// Nothing.
    Whole,
    /// Namespaces, where none is missing.
    NoNamespaces,
    /// The bar of a recording.
    NoBar,
    /// So many columns at the end of a filter, which `/` shows whole.
    CutFilter(u16),
}

/// When, how far, of what, and which rows of it.
fn status(canvas: &mut Canvas<'_>, dash: &Dash, area: Area) {
    let over = |parts: &[(String, Style)]| {
        let length = parts.iter().map(|(text, _)| usize::from(width(text)) + 2).sum::<usize>();
        u16::try_from(length.saturating_sub(usize::from(area.width) + 2)).unwrap_or(u16::MAX)
    };
    let mut parts = status_parts(canvas, dash, Brief::Whole);
    for brief in [Brief::NoNamespaces, Brief::NoBar] {
        if over(&parts) > 0 {
            parts = status_parts(canvas, dash, brief);
        }
    }
    let over = over(&parts);
    if over > 0 {
        parts = status_parts(canvas, dash, Brief::CutFilter(over));
    }
    let mut x = 0;
    for (text, style) in parts {
        x = canvas.text(area, x, 1, &text, style) + 2;
    }
    if let Some(text) = place(dash) {
        let at = area.width.saturating_sub(width(&text));
        if at >= x {
            canvas.text(area, at, 1, &text, canvas.theme.faint());
        }
    }
}

/// The selected row or finding, and of how many.
fn place(dash: &Dash) -> Option<String> {
    let what = if dash.view == View::Overview { "finding" } else { "row" };
    if let Some((row, rows)) = dash.place() {
        return Some(format!("{what} {row} of {rows}"));
    }
    // The line of the checks is selected.
    match dash.found.all.found.len() {
        count @ 1.. if dash.view == View::Overview => {
            Some(format!("{count} finding{}", if count == 1 { "" } else { "s" }))
        }
        _ => None,
    }
}

fn status_parts(canvas: &mut Canvas<'_>, dash: &Dash, brief: Brief) -> Vec<(String, Style)> {
    let (faint, warning) = (canvas.theme.faint(), canvas.theme.weight(Weight::Warning));
    let mut parts = Vec::new();
    let model = dash.model();
    if model.now > 0 {
        let time = canvas.words(Cell::Time(model.now));
        parts.push((time.get(..8).unwrap_or(&time).to_owned(), canvas.theme.strong()));
    }
    if dash.paused() {
        let ago = dash.ago().map(|ns| format!(" {} ago", canvas.words(Cell::Nanos(ns))));
        parts.push((format!("PAUSED{}", ago.unwrap_or_default()), warning));
    }
    let complete = model.look.extent().map_or(dash.progress.is_some(), |extent| extent.closed == 0);
    let all = dash.scope.is_empty() && complete;
    if brief < Brief::NoNamespaces || !all {
        let style = if dash.scope.is_empty() { faint } else { warning };
        parts.push((scope(canvas, dash), style));
    }
    if let Some(why) = &dash.unrecorded {
        let words = canvas.words(Cell::Text(why.as_bytes()));
        parts.push((format!("NOT RECORDED: {words}"), canvas.theme.weight(Weight::Bad)));
    }
    if let Some(filter) = filter(canvas, dash) {
        let text = format!("filter: {filter}");
        let most = match brief {
            Brief::CutFilter(over) => width(&text).saturating_sub(over).max(FILTER),
            _ => u16::MAX,
        };
        parts.push((fit(&text, most), warning));
    }
    if let Some(progress) = &dash.progress {
        let bar = if brief < Brief::NoBar { bar(progress) } else { String::new() };
        let text = format!("{bar} {}", speed(progress));
        parts.push((text.trim_start().to_owned(), canvas.theme.graph()));
        if progress.damaged > 0 {
            parts.push((format!("{} bad lines (7)", progress.damaged), warning));
        }
    } else {
        let every = canvas.words(Cell::Nanos(u64::try_from(dash.interval.as_nanos()).unwrap_or(0)));
        parts.push((format!("every {every}"), faint));
    }
    parts.push((canvas.words(Cell::Text(dash.source.as_bytes())), faint));
    parts
}

/// `4 namespaces › nginx (812)`
fn scope(canvas: &mut Canvas<'_>, dash: &Dash) -> String {
    let mut words = match dash.model().look.extent() {
        Some(extent) if extent.closed > 0 => {
            format!("{} of {} namespaces", extent.read, extent.read + extent.closed)
        }
        Some(extent) if extent.read == 1 => "1 namespace".to_owned(),
        Some(extent) => format!("{} namespaces", extent.read),
        None if dash.progress.is_none() => "starting".to_owned(),
        None => "all recorded".to_owned(),
    };
    for scope in &dash.scope {
        words += " › ";
        words += &canvas.words(Cell::Text(scope.name().as_bytes()));
    }
    words
}

/// Typed by the reader, and yet a terminal is no place for control characters.
fn filter(canvas: &mut Canvas<'_>, dash: &Dash) -> Option<String> {
    let typed = dash.filter.as_ref().map(|(text, _)| canvas.words(Cell::Text(text.as_bytes())));
    let flags = canvas.words(Cell::Text(dash.flags.as_bytes()));
    match (typed, dash.flags.is_empty()) {
        (None, true) => None,
        (None, false) => Some(flags),
        (Some(text), true) => Some(text),
        (Some(text), false) => Some(format!("{flags}, and {text}")),
    }
}

/// How far a recording has come: `████░░░░░░`.
fn bar(progress: &Progress) -> String {
    const CELLS: i64 = 10;
    match (progress.first, progress.last) {
        (Some(first), Some(last)) if last > first => {
            let done = (progress.now - first).clamp(0, last - first);
            let done =
                i64::try_from(i128::from(done) * i128::from(CELLS) / i128::from(last - first));
            let done = done.unwrap_or(0);
            (0..CELLS).map(|cell| if cell < done { '█' } else { '░' }).collect()
        }
        _ => String::new(),
    }
}

/// How fast it is shown: `2×`.
fn speed(progress: &Progress) -> String {
    match progress.speed {
        _ if progress.ended => "end".to_owned(),
        speed if speed.is_infinite() => "maximum speed".to_owned(),
        speed => format!("{speed}×"),
    }
}
