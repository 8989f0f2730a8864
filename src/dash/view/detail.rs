//! Details of the selected row: its history and related rows.

use std::fmt::Write as _;
use std::sync::Arc;

use ratatui::style::Style;

use super::{Canvas, heatmap, port};
use crate::dash::layout::{Area, Cut};
use crate::dash::model::{
    DropReasons, Ends, Model, Points, Step, Weight, Who, ends_in_words, listener_name, peak,
    process,
};
use crate::dash::rows::{
    ConnectionRow, ListenerRow, ProcessRow, RemoteRow, Traffic, bytes, connections, retrans,
};
use crate::dash::{Dash, View};
use crate::life::end_word;
use crate::report::Cell;
use crate::report::Key;
use crate::stall::{Stall, Why};
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
                of_connection(canvas, dash, row, area);
            }
        }
        View::States => {
            if let Some(row) = tables.close_wait.detail() {
                let name = ends(canvas, &row.key);
                title(canvas, line, &name);
                let known = connections(model, None).into_iter();
                let same = known.into_iter().find(|one| Ends::of(&one.key) == Ends::of(&row.key));
                of_connection(canvas, dash, &same.unwrap_or_default(), area);
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

/// What the values of a graph are.
type Unit = fn(u64) -> Cell<'static>;

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "finite and not below 0"
)]
fn rounded(value: f64) -> u64 {
    value.round() as u64
}

/// Two graphs, one below the other.
fn graphs(
    canvas: &mut Canvas<'_>,
    trail: Option<&Points>,
    names: [&str; 2],
    unit: Unit,
    area: Area,
) {
    let each = (area.height / 2).max(1);
    for (index, name) in (0..).zip(names) {
        let (_, rest) = area.split(index * each);
        let (label, graph) = rest.split(each).0.beside(22);
        let x = canvas.text(label, 0, 0, name, canvas.theme.strong());
        let values: Vec<_> = trail
            .into_iter()
            .flatten()
            .map(|point| Some(point.values[usize::from(index)]).filter(|value| !value.is_nan()))
            .collect();
        let top = peak(&values);
        if values.iter().flatten().any(|value| *value > 0.0) {
            let words = canvas.words(unit(rounded(top)));
            canvas.text(label, x + 1, 0, &format!("peak {words}"), canvas.theme.faint());
        }
        canvas.spark(graph, &values, top);
    }
}

/// Segments sent again in the last interval, where they are known.
fn again(canvas: &mut Canvas<'_>, traffic: Option<&Traffic>, (line, x): (Area, u16)) {
    let Some(traffic) = traffic.filter(|traffic| traffic.retrans.is_some()) else { return };
    canvas.ctx.interval_ns = traffic.interval_ns;
    let rate = canvas.words(retrans(Some(traffic)));
    canvas.text(line, x, 0, &format!("segments retransmitted {rate}/s"), Style::new());
}

/// Why segments were dropped in the last minute, if any were; returns what is below.
fn dropped(canvas: &mut Canvas<'_>, reasons: &DropReasons, area: Area) -> Area {
    if reasons.is_empty() {
        return area;
    }
    let mut most: Vec<_> = reasons.iter().collect();
    most.sort_by_key(|(reason, drops)| (std::cmp::Reverse(**drops), Arc::clone(reason)));
    let mut items = vec![("dropped in the last minute".to_owned(), canvas.theme.strong())];
    for (reason, drops) in most {
        let reason = canvas.words(Cell::text_of(Some(reason)));
        items.push((format!("{reason} {drops}"), Style::new()));
    }
    let y = canvas.flow(area, 0, 0, items);
    area.split(y).1
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

/// How connections of a process ended in the last minute, where that is known.
fn endings(canvas: &mut Canvas<'_>, model: &Model, pid: Option<u32>, area: Area) -> Area {
    let words = ends_in_words(&model.endings.of(pid));
    if words.is_empty() {
        return area;
    }
    let (line, below) = area.split(1);
    let title = "ended in the last minute:";
    let x = canvas.text(line, 0, 0, title, canvas.theme.strong());
    canvas.text(line, x + 1, 0, &words, Style::new());
    below
}

fn of_remote(canvas: &mut Canvas<'_>, model: &Model, row: &RemoteRow, area: Area) {
    list(canvas, model, area, |one| {
        (one.key.raddr, one.key.device) == (row.key.raddr, row.key.device)
    });
}

/// Some of the connections, busiest first.
pub(super) fn list(
    canvas: &mut Canvas<'_>,
    model: &Model,
    below: Area,
    which: impl Fn(&ConnectionRow) -> bool,
) {
    let mut own = connections(model, None);
    own.retain(which);
    own.sort_by_key(|one| {
        let bytes = one.traffic.map(|traffic| traffic.sums.bytes());
        (std::cmp::Reverse(bytes), Ends::of(&one.key))
    });
    let title = match own.len() {
        0 => "no known connections".to_owned(),
        1 => "1 connection".to_owned(),
        known => format!("{known} connections, busiest first"),
    };
    canvas.text(below, 0, 0, &title, canvas.theme.strong());
    for (y, one) in (1..below.height).zip(&own) {
        canvas.ctx.interval_ns = one.traffic.map_or(0, |traffic| traffic.interval_ns);
        let local = canvas.words(Cell::Endpoint(one.key.laddr, one.key.device, one.key.lport));
        let remote = canvas.words(Cell::remote(one.key.raddr, one.key.device, one.key.rport));
        let sent = canvas.words(bytes(one.traffic.as_ref(), |sums| sums.tx_bytes));
        let received = canvas.words(bytes(one.traffic.as_ref(), |sums| sums.rx_bytes));
        let state = one.state.map_or("-", TcpState::name);
        let again = canvas.words(retrans(one.traffic.as_ref()));
        let text = format!(
            "{local} → {remote}  {state}  sent {sent}/s  received {received}/s  retransmitted {again}/s"
        );
        canvas.text(below, 0, y, &text, Style::new());
    }
}

fn of_connection(canvas: &mut Canvas<'_>, dash: &Dash, row: &ConnectionRow, area: Area) {
    let tall = (area.height / 3).clamp(2, 6);
    let (above, below) = area.split(tall);
    let trail = Ends::of(&row.key).and_then(|ends| dash.model().series.of(Who::Connection(ends)));
    graphs(canvas, trail, ["sent", "received"], Cell::Bytes, above);
    let known = row.traffic.is_some_and(|traffic| traffic.retrans.is_some());
    let (line, below) = below.split(u16::from(known));
    again(canvas, row.traffic.as_ref(), (line, 0));
    let reasons = Ends::of(&row.key).map(|ends| dash.model().segments.of_connection(&ends));
    let below = dropped(canvas, &reasons.unwrap_or_default(), below);
    let below = endings(canvas, dash.model(), row.key.pid, below);
    let (line, below) = below.split(u16::from(row.stall.is_some()));
    if let Some(stall) = &row.stall {
        let text = stall_words(canvas, stall);
        canvas.text(line, 0, 0, &text, canvas.theme.weight(Weight::Warning));
    }
    if row.steps.is_empty() {
        let why = without_steps(dash);
        for (y, line) in (0..).zip(textwrap::wrap(why, usize::from(below.width).max(1))) {
            canvas.text(below, 0, y, &line, canvas.theme.faint());
        }
    }
    // The last ones, if not all fit.
    let skipped = row.steps.len().saturating_sub(usize::from(below.height));
    for (y, step) in (0..).zip(row.steps.iter().skip(skipped)) {
        let text = step_words(canvas, step);
        canvas.text(below, 0, y, &text, Style::new());
    }
}

/// `does not move for 6.70s: peer_gone, 607K queued, attempt 4 of 15, dies in 15m25s`
fn stall_words(canvas: &mut Canvas<'_>, stall: &Stall) -> String {
    let since = Cell::age(stall.stalled_ns, Some(stall.stalled_at_least_ns));
    let mut text = format!("does not move for {}", canvas.words(since));
    text += ": ";
    text += stall.why.map_or("-", Why::name);
    for (bytes, what) in [(stall.unacked_bytes, "queued"), (stall.unread_bytes, "not read")] {
        if bytes > 0 {
            let _ = write!(text, ", {} {what}", canvas.words(Cell::Bytes(bytes.into())));
        }
    }
    if let Some(attempt) = stall.attempt {
        let of = stall.attempts.map_or(String::new(), |attempts| format!(" of {attempts}"));
        let _ = write!(text, ", attempt {attempt}{of}");
    }
    if let Some(dies_in) = stall.dies_in_ns {
        let _ = write!(text, ", dies in {}", canvas.words(Cell::Nanos(dies_in)));
    }
    text
}

/// Why nothing is known of how a connection came to its state.
fn without_steps(dash: &Dash) -> &'static str {
    let recorded = dash.model().connections.iter().next().is_some();
    match (&dash.progress, recorded) {
        (None, _) => {
            "State changes are not recorded live (too costly). Record tcpstates --json and replay it."
        }
        (Some(_), true) => "No state change recorded so far.",
        (Some(_), false) => "State changes are not in this recording; record tcpstates --json.",
    }
}

fn step_words(canvas: &mut Canvas<'_>, step: &Step) -> String {
    let time = canvas.words(Cell::Time(step.ts));
    let state = step.state.map_or("-", TcpState::name);
    let mut words = format!("{time}  {state}");
    if let Some(ns) = step.after {
        words = format!("{words}  after {}", canvas.words(Cell::Nanos(ns)));
    }
    match step.cause.and_then(end_word) {
        Some(cause) => format!("{words}  {cause}"),
        None => words,
    }
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
