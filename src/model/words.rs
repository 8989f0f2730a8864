//! What views and findings call things.

use crate::listen::ListenerRecord;
use crate::report::{Cell, Ctx, Key};

/// `nginx (812)`, safe to show.
pub fn process(key: &Key) -> String {
    let Some(pid) = key.pid else { return "an unknown process".to_owned() };
    let comm = text(Cell::comm(key.comm.as_ref()));
    format!("{comm} ({pid})")
}

/// `[::]:443 of nginx (812)`
pub fn listener_name(row: &ListenerRecord) -> String {
    format!("{} of {}", text(Cell::Endpoint(row.laddr, row.device, row.lport)), process(&row.key()))
}

/// A cell as people read it, sums as sums.
pub fn text(cell: Cell<'_>) -> String {
    let mut out = Vec::new();
    cell.text(&mut Ctx::new(0, true), &mut out);
    String::from_utf8_lossy(&out).into_owned()
}
