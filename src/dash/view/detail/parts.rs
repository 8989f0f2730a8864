//! What several kinds of rows have in their details.

use std::sync::Arc;

use ratatui::style::Style;

use crate::dash::layout::{Area, Cut};
use crate::dash::model::{DropReasons, Ends, Model, Points, ends_in_words, peak};
use crate::dash::rows::{ConnectionRow, Traffic, bytes, connections, retrans};
use crate::dash::view::Canvas;
use crate::report::Cell;
use crate::tcp_state::TcpState;

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
pub fn graphs(
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
pub fn again(canvas: &mut Canvas<'_>, traffic: Option<&Traffic>, (line, x): (Area, u16)) {
    let Some(traffic) = traffic.filter(|traffic| traffic.retrans.is_some()) else { return };
    canvas.ctx.interval_ns = traffic.interval_ns;
    let rate = canvas.words(retrans(Some(traffic)));
    canvas.text(line, x, 0, &format!("segments retransmitted {rate}/s"), Style::new());
}

/// Why segments were dropped in the last minute, if any were; returns what is below.
pub fn dropped(canvas: &mut Canvas<'_>, reasons: &DropReasons, area: Area) -> Area {
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

/// How connections of a process ended in the last minute, where that is known.
pub fn endings(canvas: &mut Canvas<'_>, model: &Model, pid: Option<u32>, area: Area) -> Area {
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

/// Some of the connections, busiest first.
pub fn list(
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
