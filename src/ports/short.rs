//! Which destinations and local addresses are short of ports: those that are shown without `--all`.

use super::record::per_mille;
use super::{PortPool, Ports};

/// Destinations count as short of ports that use this part of them, in thousandths, ...
const SHORT: u64 = 100;
/// ... or that run out of them within this time, ns.
const SOON: u64 = 600_000_000_000;

/// Whether it is worth a look.
pub fn is_short(row: &Ports) -> bool {
    row.no_port.is_some_and(|failed| failed > 0)
        || row.share().is_some_and(|share| share >= SHORT)
        || row.empty_in_ns.is_some_and(|ns| ns <= SOON)
}

/// The same of a local address.
pub fn is_pool_short(row: &PortPool) -> bool {
    let share = per_mille(row.used, row.ports);
    row.no_port.is_some_and(|failed| failed > 0) || share.is_some_and(|share| share >= SHORT)
}
