//! What the plan means for the programs of state changes.

use crate::clock::tick_ns;
use crate::hooks::maps;
use crate::hooks::{TIME_WAIT, TIME_WAIT_CAUSE};
use crate::kernel::attach::AttachMethod;
use crate::kernel::plan::Plan;
use crate::kernel::session::Setup;
use crate::wire::{CLOSER_SETS, StatesOptions};

/// Sets of the map that finds the closing processes of timewait sockets.
#[allow(clippy::cast_possible_truncation, reason = "a limit of the wire")]
pub const CLOSERS: u32 = CLOSER_SETS as u32;

/// Sets how the programs get `TIME_WAIT`. `track_max` timewait sockets are
/// stored where functions are hooked.
pub fn settle(setup: &mut Setup, options: StatesOptions, plan: &Plan, track_max: u32) {
    // If TIME_WAIT is polled, the closes that may lead there are marked, the summary is of timewait
    // sockets alone, and those of different namespaces must not be mixed up.
    let polls = u32::from(plan.method_of(&TIME_WAIT) == Some(AttachMethod::Iterator));
    setup.set_options(&StatesOptions {
        mark_closing: polls,
        timewait_only: polls,
        know_end_cause: u32::from(plan.method_of(&TIME_WAIT_CAUSE).is_some()),
        tick_ns: tick_ns(),
        ..options
    });
    setup.options.want_netns |= polls;
    let functions = [AttachMethod::Fentry, AttachMethod::Kprobe].map(Some);
    setup.size_if(functions.contains(&plan.method_of(&TIME_WAIT)), maps::TIMEWAITS, track_max);
}
