//! What views and findings call things.

use crate::listen::ListenerRecord;
use crate::report::{Cell, Ctx, Key};

/// `nginx (812)`, safe to show; `process 812` where the name is not known any more.
pub fn process(key: &Key) -> String {
    match (key.pid, &key.comm) {
        (None, _) => "an unknown process".to_owned(),
        (Some(pid), None) => format!("process {pid}"),
        (Some(pid), comm) => format!("{} ({pid})", text(Cell::comm(comm.as_ref()))),
    }
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
