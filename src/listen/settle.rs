//! What the plan means for the programs of listeners.

use crate::hooks::{ACCEPT_RETURN, CHILD};
use crate::kernel::plan::Plan;
use crate::kernel::session::Setup;
use crate::wire::ListenOptions;

/// Sets for the programs how children and waits can be seen, and whether to send each dropped
/// connection.
pub fn settle(setup: &mut Setup, plan: &Plan, events: bool) {
    setup.set_options(&ListenOptions {
        events: u32::from(events),
        // If no function shows a child, its socket storage does: a copy of its listener's.
        child_storage: u32::from(!plan.use_hash && plan.method_of(&CHILD).is_none()),
        waits: u32::from(plan.method_of(&ACCEPT_RETURN).is_some()),
    });
}
