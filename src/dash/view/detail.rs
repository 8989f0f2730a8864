//! More of the selected row: how it went, and what belongs to it.

use ratatui::style::Style;

use super::{Pen, heatmap};
use crate::dash::layout::Area;
use crate::dash::model::{Board, Ends, Step, Trail, Who, listener_name, process};
use crate::dash::record::Key;
use crate::dash::rows::{ConnectionRow, ListenerRow, ProcessRow, connections};
use crate::dash::{Dash, View};
use crate::report::Cell;
use crate::tcp_state::TcpState;

/// Draws the details that are open in this view.
pub fn draw(pen: &mut Pen<'_>, dash: &Dash, area: Area) {
    let (line, area) = area.split(1);
    let rule = if pen.theme.ascii { "-" } else { "─" };
    pen.text(line, 0, 0, &rule.repeat(usize::from(line.width)), pen.theme.faint());
    let (tables, board) = (&dash.tables, dash.board());
    match dash.view {
        View::Processes => {
            if let Some(row) = tables.processes.detail() {
                title(pen, line, &process(&row.key));
                of_process(pen, board, row, area);
            }
        }
        View::Connections => {
            if let Some(row) = tables.connections.detail() {
                let name = ends(pen, &row.key);
                title(pen, line, &name);
                of_connection(pen, dash, row, area);
            }
        }
        View::States => {
            if let Some(row) = tables.close_wait.detail() {
                let name = ends(pen, &row.key);
                title(pen, line, &name);
                let known = connections(board, None).into_iter();
                let same = known.into_iter().find(|one| Ends::of(&one.key) == Ends::of(&row.key));
                of_connection(pen, dash, &same.unwrap_or_default(), area);
            }
        }
        View::Listeners => {
            if let Some(row) = tables.listeners.detail() {
                title(pen, line, &listener_name(&row.row));
                of_listener(pen, board, row, area);
            }
        }
        View::Latency => {
            if let Some(row) = tables.latencies.detail() {
                title(pen, line, &row.name());
                heatmap::draw(pen, board, row, area);
            }
        }
        View::Overview | View::Tool => {}
    }
}

fn title(pen: &mut Pen<'_>, line: Area, text: &str) {
    pen.text(line, 2, 0, &format!(" {text} "), pen.theme.strong());
}

fn ends(pen: &mut Pen<'_>, key: &Key) -> String {
    let local = pen.words(Cell::Endpoint(key.laddr, key.lport));
    let remote = pen.words(Cell::Endpoint(key.raddr, key.rport));
    format!("{local} → {remote} of {}", process(key))
}

/// Two graphs, one below the other.
fn graphs(pen: &mut Pen<'_>, trail: Option<&Trail>, names: [&str; 2], area: Area) {
    let each = (area.height / 2).max(1);
    for (index, name) in (0..).zip(names) {
        let (_, rest) = area.split(index * each);
        let (label, graph) = rest.split(each).0.beside(11);
        pen.text(label, 0, 0, name, pen.theme.strong());
        let values: Vec<_> = trail
            .into_iter()
            .flatten()
            .map(|point| Some(point.values[usize::from(index)]).filter(|value| !value.is_nan()))
            .collect();
        pen.graph(graph, &values);
    }
}

fn of_process(pen: &mut Pen<'_>, board: &Board, row: &ProcessRow, area: Area) {
    let tall = (area.height / 3).clamp(2, 6);
    let (above, below) = area.split(tall);
    graphs(pen, board.trails.of(Who::Process(row.key.pid)), ["sent", "received"], above);
    let mut x = 0;
    for state in TcpState::ALL {
        if let Some(count @ 1..) = row.in_state(state) {
            x = pen.text(below, x, 0, &format!("{} {count}", state.name()), Style::new()) + 2;
        }
    }
    let mut own = connections(board, None);
    own.retain(|one| one.key.pid == row.key.pid);
    own.sort_by_key(|one| {
        (std::cmp::Reverse(one.traffic.map(|t| t.tx_bytes + t.rx_bytes)), Ends::of(&one.key))
    });
    let (_, below) = below.split(1);
    let title = match own.len() {
        0 => "no known connections".to_owned(),
        1 => "1 connection".to_owned(),
        known => format!("{known} connections, busiest first"),
    };
    pen.text(below, 0, 0, &title, pen.theme.strong());
    for (y, one) in (1..below.height).zip(&own) {
        pen.ctx.interval_ns = one.traffic.map_or(0, |traffic| traffic.interval_ns);
        let local = pen.words(Cell::Endpoint(one.key.laddr, one.key.lport));
        let remote = pen.words(Cell::Endpoint(one.key.raddr, one.key.rport));
        let rate = |pen: &mut Pen<'_>, bytes: Option<u64>| {
            pen.words(bytes.map_or(Cell::Missing, Cell::BytesPerSec))
        };
        let sent = rate(pen, one.traffic.map(|traffic| traffic.tx_bytes));
        let received = rate(pen, one.traffic.map(|traffic| traffic.rx_bytes));
        let state = one.state.map_or("-", TcpState::name);
        let text = format!("{local} → {remote}  {state}  sent {sent}/s  received {received}/s");
        pen.text(below, 0, y, &text, Style::new());
    }
}

fn of_connection(pen: &mut Pen<'_>, dash: &Dash, row: &ConnectionRow, area: Area) {
    let tall = (area.height / 3).clamp(2, 6);
    let (above, below) = area.split(tall);
    let trail = Ends::of(&row.key).and_then(|ends| dash.board().trails.of(Who::Connection(ends)));
    graphs(pen, trail, ["sent", "received"], above);
    if row.steps.is_empty() {
        let why = without_steps(dash);
        for (y, line) in (0..).zip(textwrap::wrap(why, usize::from(below.width).max(1))) {
            pen.text(below, 0, y, &line, pen.theme.faint());
        }
    }
    // The last ones, if not all fit.
    let skipped = row.steps.len().saturating_sub(usize::from(below.height));
    for (y, step) in (0..).zip(row.steps.iter().skip(skipped)) {
        let text = step_words(pen, step);
        pen.text(below, 0, y, &text, Style::new());
    }
}

/// Why nothing is known of how a connection came to its state.
fn without_steps(dash: &Dash) -> &'static str {
    let recorded = dash.board().connections.iter().next().is_some();
    match (&dash.progress, recorded) {
        (None, _) => {
            "State changes are not recorded live (too costly). Record tcpstates --json and replay it."
        }
        (Some(_), true) => "No state change recorded so far.",
        (Some(_), false) => "State changes are not in this recording; record tcpstates --json.",
    }
}

fn step_words(pen: &mut Pen<'_>, step: &Step) -> String {
    let time = pen.words(Cell::Time(step.ts));
    let state = step.state.map_or("-", TcpState::name);
    match step.after {
        Some(ns) => format!("{time}  {state}  after {}", pen.words(Cell::Nanos(ns))),
        None => format!("{time}  {state}"),
    }
}

fn of_listener(pen: &mut Pen<'_>, board: &Board, row: &ListenerRow, area: Area) {
    let tall = (area.height / 2).clamp(2, 8);
    let (above, below) = area.split(tall);
    let who = Who::Listener(row.key.laddr, row.key.lport, row.key.netns);
    graphs(pen, board.trails.of(who), ["queue", "drops"], above);
    let number = |value: Option<u64>| value.map_or("-".to_owned(), |value| value.to_string());
    let plain = |text: String| (text, Style::new());
    let lately = row.lately;
    let title = format!("dropped in the last minute {}", number(lately.total));
    let causes = lately.causes();
    let causes = causes.iter().map(|(words, count)| plain(format!("{words} {}", number(*count))));
    let drops = std::iter::once((title, pen.theme.strong())).chain(causes);
    let y = pen.flow(below, 0, 0, drops.collect::<Vec<_>>());
    let r = &row.row;
    let others = [("accepted", r.accepts), ("cookies sent", r.cookies)];
    let others = others.into_iter().chain([("retransmitted SYN-ACKs", r.synack_retrans)]);
    let others = others.map(|(words, count)| plain(format!("{words} {}", number(count))));
    let title = ("in the last interval:".to_owned(), pen.theme.strong());
    pen.flow(below, 0, y, std::iter::once(title).chain(others));
}
