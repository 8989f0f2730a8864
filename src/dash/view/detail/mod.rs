//! Details of the selected row: its history and related rows.

mod connection;
mod parts;

use ratatui::style::Style;

pub use parts::list;
use parts::{again, dropped, endings, graphs};

use super::{Canvas, heatmap, port};
use crate::dash::layout::{Area, Cut};
use crate::dash::model::{Ends, Model, Who, listener_name, process};
use crate::dash::rows::{ListenerRow, ProcessRow, RemoteRow, connections};
use crate::dash::{Dash, View};
use crate::report::{Cell, Key};
use crate::tcp_state::TcpState;

/// Draws the details that are open in this view.
pub fn draw(canvas: &mut Canvas<'_>, dash: &Dash, area: Area) {
    let (line, area) = area.split(1);
    let rule = if canvas.theme.ascii { "-" } else { "─" };
    canvas.text(line, 0, 0, &rule.repeat(usize::from(line.width)), canvas.theme.faint());
    let (tables, model) = (&dash.tables, dash.model());
    let area = commands(canvas, dash, area);
    match dash.view {
        View::Processes => {
            if let Some(row) = tables.processes.detail() {
                title(canvas, line, &process(&row.key));
                of_process(canvas, model, row, area);
            }
        }
        View::Connections => {
            if let Some(row) = tables.connections.detail() {
                let name = ends(canvas, &row.key);
                title(canvas, line, &name);
                connection::draw(canvas, dash, row, area);
            }
        }
        View::States => {
            if let Some(row) = tables.close_wait.detail() {
                let name = ends(canvas, &row.key);
                title(canvas, line, &name);
                let known = connections(model, None).into_iter();
                let same = known.into_iter().find(|one| Ends::of(&one.key) == Ends::of(&row.key));
                connection::draw(canvas, dash, &same.unwrap_or_default(), area);
            }
        }
        View::Listeners => {
            if let Some(row) = tables.listeners.detail() {
                title(canvas, line, &listener_name(&row.row));
                of_listener(canvas, model, row, area);
            }
        }
        View::Latency => {
            if let Some(row) = tables.latencies.detail() {
                title(canvas, line, &row.name());
                heatmap::draw(canvas, model, row, area);
            }
        }
        View::Remotes => {
            if let Some(row) = tables.remotes.detail() {
                let name = canvas.words(Cell::addr(row.key.raddr, row.key.device));
                title(canvas, line, &name);
                of_remote(canvas, model, row, area);
            }
        }
        View::Ports => {
            if let Some(row) = tables.ports.detail() {
                let remote =
                    canvas.words(Cell::remote(row.key.raddr, row.key.device, row.key.rport));
                title(canvas, line, &format!("ports towards {remote}"));
                port::draw(canvas, model, row, area);
            }
        }
        View::Overview | View::Tool => {}
    }
}

/// The row as commands, where there is room.
fn commands(canvas: &mut Canvas<'_>, dash: &Dash, area: Area) -> Area {
    let (command, packets) = dash.commands();
    let lines: Vec<_> = command.into_iter().chain(packets).collect();
    let height = u16::try_from(lines.len()).unwrap_or(0);
    if area.height < height + 8 {
        return area;
    }
    let (above, below) = area.split(area.height - height);
    for (y, line) in (0..).zip(&lines) {
        canvas.text(below, 0, y, line, canvas.theme.faint());
    }
    above
}

fn title(canvas: &mut Canvas<'_>, line: Area, text: &str) {
    canvas.text(line, 2, 0, &format!(" {text} "), canvas.theme.strong());
}

fn ends(canvas: &mut Canvas<'_>, key: &Key) -> String {
    let local = canvas.words(Cell::Endpoint(key.laddr, key.device, key.lport));
    let remote = canvas.words(Cell::remote(key.raddr, key.device, key.rport));
    format!("{local} → {remote} of {}", process(key))
}

fn of_process(canvas: &mut Canvas<'_>, model: &Model, row: &ProcessRow, area: Area) {
    let tall = (area.height / 3).clamp(2, 6);
    let (above, below) = area.split(tall);
    graphs(
        canvas,
        model.series.of(Who::Process(row.key.pid)),
        ["sent", "received"],
        Cell::Bytes,
        above,
    );
    let mut x = 0;
    for state in TcpState::LIFECYCLE {
        if let Some(count @ 1..) = row.in_state(state) {
            x = canvas.text(below, x, 0, &format!("{} {count}", state.name()), Style::new()) + 2;
        }
    }
    again(canvas, row.traffic.as_ref(), (below, x));
    let (_, below) = below.split(1);
    let below = dropped(canvas, &model.segments.of_process(row.key.pid), below);
    let below = endings(canvas, model, row.key.pid, below);
    list(canvas, model, below, |one| one.key.pid == row.key.pid);
}

fn of_remote(canvas: &mut Canvas<'_>, model: &Model, row: &RemoteRow, area: Area) {
    list(canvas, model, area, |one| {
        (one.key.raddr, one.key.device) == (row.key.raddr, row.key.device)
    });
}

fn of_listener(canvas: &mut Canvas<'_>, model: &Model, row: &ListenerRow, area: Area) {
    let tall = (area.height / 2).clamp(2, 8);
    let (above, below) = area.split(tall);
    let who = Who::Listener(row.key.laddr, row.key.device, row.key.lport, row.key.netns);
    graphs(canvas, model.series.of(who), ["queue", "drops"], Cell::Count, above);
    let number = |value: Option<u64>| value.map_or("-".to_owned(), |value| value.to_string());
    let plain = |text: String| (text, Style::new());
    let recent = row.recent;
    let title = format!("dropped in the last minute {}", number(recent.total));
    let causes = recent.causes();
    let causes = causes.iter().map(|(words, count)| plain(format!("{words} {}", number(*count))));
    let drops = std::iter::once((title, canvas.theme.strong())).chain(causes);
    let y = canvas.flow(below, 0, 0, drops.collect::<Vec<_>>());
    let r = &row.row;
    let others = [("accepted", r.accepts), ("cookies sent", r.cookies)];
    let others = others.into_iter().chain([("retransmitted SYN-ACKs", r.synack_retrans)]);
    let others = others.map(|(words, count)| plain(format!("{words} {}", number(count))));
    let title = ("in the last interval:".to_owned(), canvas.theme.strong());
    canvas.flow(below, 0, y, std::iter::once(title).chain(others));
}
