//! What the plan means for the programs of latencies.

use super::LatencyKind;
use crate::hooks::maps;
use crate::hooks::{ACCEPT_RETURN, SEND_BEGIN, keep_accept_waits, sends_return};
use crate::kernel::plan::Plan;
use crate::kernel::session::Setup;
use crate::wire::LatencyOptions;

/// Sets what the programs can measure. `track_max` exchanges are stored where sockets are
/// kept in a hash map.
pub fn settle(setup: &mut Setup, mut options: LatencyOptions, plan: &Plan, track_max: u32) {
    if plan.method_of(&ACCEPT_RETURN).is_none() {
        options.kinds &= !LatencyKind::Accept.bit();
    }
    options.send_returns = u32::from(plan.programs_of(&SEND_BEGIN).any(sends_return));
    setup.set_options(&options);
    setup.size_if(plan.use_hash, maps::EXCHANGES_HASH, track_max);
    keep_accept_waits(setup, plan);
}
