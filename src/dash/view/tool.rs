//! The tools: attach methods, losses, cost.

use ratatui::style::Style;

use super::Canvas;
use crate::dash::layout::Area;
use crate::dash::model::{ToolStatus, Weight, float};
use crate::dash::{Dash, Programs};
use crate::report::{Cell, escape};

/// Draws the view.
pub fn draw(canvas: &mut Canvas<'_>, dash: &Dash, area: Area) {
    let mut y = own(canvas, dash, area);
    for tool in dash.model().tools.values() {
        y = one(canvas, tool, area, y) + 1;
    }
    if dash.model().tools.is_empty() {
        canvas.text(area, 0, y, "No tool status yet.", canvas.theme.faint());
        y += 1;
    }
    if let Some(progress) = &dash.progress
        && let Some((line, reason)) = &progress.damage
    {
        let number = line.map_or("-".to_owned(), |line| line.to_string());
        let text =
            format!("{} lines could not be read; the last is line {number}: ", progress.damaged);
        let text = text + &safe(reason);
        canvas.text(area, 0, y, &text, canvas.theme.weight(Weight::Warning));
        y += 1;
    }
    for note in dash.model().notes.iter().rev() {
        if y >= area.height {
            break;
        }
        canvas.text(area, 0, y, &safe(&note.text), canvas.theme.faint());
        y += 1;
    }
}

fn safe(text: &str) -> String {
    let mut out = Vec::new();
    escape::text(text.as_bytes(), &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

/// The dashboard itself.
fn own(canvas: &mut Canvas<'_>, dash: &Dash, area: Area) -> u16 {
    let own = dash.own;
    let cpu = own.cpu.map_or("-".to_owned(), |part| format!("{:.1} %", part * 100.0));
    let rss = canvas.words(own.rss.map_or(Cell::Missing, Cell::Bytes));
    let frame = canvas.words(own.frame_ns.map_or(Cell::Missing, Cell::Nanos));
    let facts = [
        format!("CPU {cpu}"),
        format!("memory {rss}"),
        format!("a frame {frame}"),
        format!("{} records", dash.model().records),
        format!("{} left out", dash.model().left_out()),
    ];
    let name = ("tcpdash".to_owned(), canvas.theme.strong());
    let y = canvas.flow(area, 0, 0, std::iter::once(name).chain(facts.map(plain)));
    let Some(programs) = dash.programs else { return y + 1 };
    let text = match programs {
        Programs::Unmeasured => {
            "programs: not measured (sysctl kernel.bpf_stats_enabled=1 measures)".to_owned()
        }
        Programs::Measured(_, 0) => "programs: did not run".to_owned(),
        Programs::Measured(ns, runs) => {
            format!("programs: {} an event, {runs} runs", canvas.words(Cell::Nanos(ns / runs)))
        }
    };
    canvas.text(area, 2, y, &text, canvas.theme.faint());
    y + 2
}

/// One tool, from line `y` on; returns the line behind it.
fn one(canvas: &mut Canvas<'_>, tool: &ToolStatus, area: Area, y: u16) -> u16 {
    let status = &tool.status;
    let name = (safe(&status.tool), canvas.theme.strong());
    let version = format!("{} on {}", safe(&status.version), safe(&status.kernel));
    let version = (version, canvas.theme.faint());
    let cost = plain(cost(canvas, tool));
    let y = canvas.flow(area, 0, y, [name, version, cost]);
    let number = |value: Option<u64>| value.map_or("-".to_owned(), |value| value.to_string());
    let events = [
        format!("attempted {}", status.attempted),
        format!("= delivered {}", status.delivered),
        format!("+ lost {}", status.lost),
        format!("+ filtered {}", status.filtered),
        format!("+ pending {}", status.pending),
    ];
    let y = canvas.flow(area, 2, y, events.map(plain));
    let complete = status.incomplete() == 0;
    let style = if complete { Style::new() } else { canvas.theme.weight(Weight::Bad) };
    let losses = [
        format!("untracked {}", number(status.untracked)),
        format!("missed {}", number(status.missed)),
        format!("unreturned {}", number(status.unreturned)),
        format!("unexplained {}", number(status.unexplained)),
    ];
    let y = canvas.flow(area, 2, y, losses.map(|text| (text, style)));
    attach(canvas, tool, area, y)
}

fn plain(text: String) -> (String, Style) {
    (text, Style::new())
}

/// CPU since the status before, and per event.
fn cost(canvas: &mut Canvas<'_>, tool: &ToolStatus) -> String {
    let (now, before) = (&tool.status, tool.before.as_ref());
    let spent = |then: u64| now.cpu_ns.map(|cpu| cpu.saturating_sub(then));
    let each = spent(0).filter(|_| now.attempted > 0).map(|cpu| cpu / now.attempted);
    let each = canvas.words(each.map_or(Cell::Missing, Cell::Nanos));
    let part = before.and_then(|before| {
        let time = u64::try_from(now.ts.0 - before.ts.0).ok().filter(|ns| *ns > 0)?;
        Some(float(spent(before.cpu_ns?)?) / float(time))
    });
    let part = part.map_or("-".to_owned(), |part| format!("{:.1} %", part * 100.0));
    format!("CPU {part}, {each} an event")
}

/// Hook=method, as many per line as fit.
fn attach(canvas: &mut Canvas<'_>, tool: &ToolStatus, area: Area, y: u16) -> u16 {
    let warning = canvas.theme.weight(Weight::Warning);
    let mut hooks: Vec<_> = tool.status.attach.0.iter().collect();
    hooks.sort_unstable();
    let words = hooks.into_iter().map(|(hook, method)| {
        let style = if &**method == "-" { warning } else { Style::new() };
        (format!("{}={}", safe(hook), safe(method)), style)
    });
    canvas.flow(area, 2, y, words)
}
