//! How the tools do: what serves their hooks, what they lost, what they cost.

use ratatui::style::Style;

use super::Pen;
use crate::dash::board::{Tool, Weight, float};
use crate::dash::layout::Area;
use crate::dash::{Dash, Programs};
use crate::report::{Cell, escape};

/// Draws the view.
pub fn draw(pen: &mut Pen<'_>, dash: &Dash, area: Area) {
    let mut y = own(pen, dash, area);
    for tool in dash.board().tools.values() {
        y = one(pen, tool, area, y) + 1;
    }
    if dash.board().tools.is_empty() {
        pen.text(area, 0, y, "No status of any tool yet.", pen.theme.faint());
        y += 1;
    }
    if let Some(progress) = &dash.progress
        && let Some((line, reason)) = &progress.damage
    {
        let number = line.map_or("-".to_owned(), |line| line.to_string());
        let text =
            format!("{} lines could not be read; the last is line {number}: ", progress.damaged);
        let text = text + &safe(reason);
        pen.text(area, 0, y, &text, pen.theme.weight(Weight::Warning));
        y += 1;
    }
    for note in dash.board().notes.iter().rev() {
        if y >= area.height {
            break;
        }
        pen.text(area, 0, y, &safe(&note.text), pen.theme.faint());
        y += 1;
    }
}

fn safe(text: &str) -> String {
    let mut out = Vec::new();
    escape::text(text.as_bytes(), &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

/// The dashboard itself.
fn own(pen: &mut Pen<'_>, dash: &Dash, area: Area) -> u16 {
    let own = dash.own;
    let cpu = own.cpu.map_or("-".to_owned(), |part| format!("{:.1} %", part * 100.0));
    let rss = pen.words(own.rss.map_or(Cell::Missing, Cell::Bytes));
    let frame = pen.words(own.frame_ns.map_or(Cell::Missing, Cell::Nanos));
    let x = pen.text(area, 0, 0, "tcpdash", pen.theme.strong());
    let text = format!(
        "CPU {cpu}  memory {rss}  a frame {frame}  {} records  {} left out",
        dash.board().records,
        dash.board().left_out()
    );
    pen.text(area, x + 1, 0, &text, Style::new());
    let Some(programs) = dash.programs else { return 2 };
    let text = match programs {
        Programs::Unmeasured => {
            "programs: not measured (sysctl kernel.bpf_stats_enabled=1 measures)".to_owned()
        }
        Programs::Measured(_, 0) => "programs: did not run".to_owned(),
        Programs::Measured(ns, runs) => {
            format!("programs: {} an event, {runs} runs", pen.words(Cell::Nanos(ns / runs)))
        }
    };
    pen.text(area, 2, 1, &text, pen.theme.faint());
    3
}

/// One tool, from line `y` on; returns the line behind it.
fn one(pen: &mut Pen<'_>, tool: &Tool, area: Area, y: u16) -> u16 {
    let status = &tool.status;
    let x = pen.text(area, 0, y, &safe(&status.tool), pen.theme.strong());
    let name = format!("{} on {}", safe(&status.version), safe(&status.kernel));
    let x = pen.text(area, x + 1, y, &name, pen.theme.faint());
    let cost = cost(pen, tool);
    pen.text(area, x + 2, y, &cost, Style::new());
    let number = |value: Option<u64>| value.map_or("-".to_owned(), |value| value.to_string());
    let events = format!(
        "attempted {} = delivered {} + lost {} + filtered {} + pending {}",
        status.attempted, status.delivered, status.lost, status.filtered, status.pending
    );
    pen.text(area, 2, y + 1, &events, Style::new());
    let losses = format!(
        "untracked {}  missed {}  unreturned {}",
        number(status.untracked),
        number(status.missed),
        number(status.unreturned)
    );
    let complete = status.incomplete() == 0;
    let style = if complete { Style::new() } else { pen.theme.weight(Weight::Bad) };
    pen.text(area, 2, y + 2, &losses, style);
    probes(pen, tool, area, y + 3)
}

/// CPU since the status before, and per event.
fn cost(pen: &mut Pen<'_>, tool: &Tool) -> String {
    let (now, before) = (&tool.status, tool.before.as_ref());
    let spent = |then: u64| now.cpu_ns.map(|cpu| cpu.saturating_sub(then));
    let each = spent(0).filter(|_| now.attempted > 0).map(|cpu| cpu / now.attempted);
    let each = pen.words(each.map_or(Cell::Missing, Cell::Nanos));
    let part = before.and_then(|before| {
        let time = u64::try_from(now.ts.0 - before.ts.0).ok().filter(|ns| *ns > 0)?;
        Some(float(spent(before.cpu_ns?)?) / float(time))
    });
    let part = part.map_or("-".to_owned(), |part| format!("{:.1} %", part * 100.0));
    format!("CPU {part}, {each} an event")
}

/// Hook=rung, as many to a line as fit.
fn probes(pen: &mut Pen<'_>, tool: &Tool, area: Area, mut y: u16) -> u16 {
    let mut x = 2;
    for (hook, rung) in &tool.status.probes {
        let words = format!("{}={}", safe(hook), safe(rung));
        if x > 2 && x + pen.width(&words) > area.width {
            (x, y) = (2, y + 1);
        }
        let style = if &**rung == "-" { pen.theme.weight(Weight::Warning) } else { Style::new() };
        x = pen.text(area, x, y, &words, style) + 2;
    }
    y + 1
}
