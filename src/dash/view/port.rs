//! Details of a destination: what its ports are used for, and the pool of its local address.

use ratatui::style::Style;

use super::Canvas;
use super::detail::list;
use crate::dash::layout::{Area, Cut};
use crate::dash::model::Model;
use crate::dash::rows::PortRow;
use crate::report::Cell;

/// Draws them, and the connections to the destination.
pub fn draw(canvas: &mut Canvas<'_>, model: &Model, row: &PortRow, area: Area) {
    let one = &row.row;
    let plain = |text: String| (text, Style::new());
    let mut number = |words: &str, count: Option<u64>| {
        plain(format!("{words} {}", canvas.words(Cell::id(count))))
    };
    let parts = [
        number("established", Some(one.established)),
        number("TIME_WAIT", Some(one.time_wait)),
        number("reusable", one.reusable),
        number("other", Some(one.others)),
        number("held by bind()", one.held),
    ];
    let closed = [
        number("connections that we closed first:", one.closed_us),
        number("the peer:", one.closed_peer),
    ];
    let range = match (one.range_first, one.range_last) {
        (Some(first), Some(last)) => format!("{first}-{last}"),
        _ => "-".to_owned(),
    };
    let all = canvas.words(Cell::id(one.ports));
    let used = canvas.words(Cell::id(one.used));
    let title = (format!("{used} of {all} ports used, range {range}:"), canvas.theme.strong());
    let y = canvas.flow(area, 0, 0, std::iter::once(title).chain(parts).collect::<Vec<_>>());
    let mut y = canvas.flow(area, 0, y, closed);
    let here =
        |pool: &&crate::ports::PortPool| (pool.netns, pool.laddr) == (row.key.netns, row.key.laddr);
    if let Some(pool) = model.look.port_pools().find(here) {
        let mut number = |words: &str, count: Option<u64>| {
            plain(format!("{words} {}", canvas.words(Cell::id(count))))
        };
        let parts = [
            number("used", pool.used),
            number("taken by bind()", pool.by_bind),
            number("not connected", pool.bound),
        ];
        let title = ("the local address, for bind():".to_owned(), canvas.theme.strong());
        y = canvas.flow(area, 0, y, std::iter::once(title).chain(parts));
    }
    let (_, below) = area.split(y);
    let ends = |key: &crate::report::Key| (key.laddr, key.raddr, key.rport, key.device);
    list(canvas, model, below, |one| ends(&one.key) == ends(&row.key));
}
