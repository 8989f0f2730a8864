//! From a tool's wishes to loaded programs: facts, plan and session, until one of them holds.

use anyhow::Result;

use crate::cli::MeasureArgs;
use crate::hooks::{
    ACCEPT_RETURN, CHILD, SEND_BEGIN, STATE, Spec, TIME_WAIT, TIME_WAIT_CAUSE, sends_return,
};
use crate::kernel::attach::AttachMethod;
use crate::kernel::error::LoadError;
use crate::kernel::facts::{Facts, Lockdown};
use crate::kernel::plan::Plan;
use crate::kernel::session::{Session, Setup};
use crate::latency::LatencyKind;
use crate::wire::{CookieSource, Options};

/// Threads that may be inside a function between its kprobe and its kretprobe.
const CALLS: u32 = 32_768;

/// Connections that wait for `accept()` at a time, on all listeners together.
const UNACCEPTED: u32 = 65_536;

/// What the plan means for the programs.
fn settle(options: &mut Options, plan: &Plan, facts: &Facts) {
    options.use_hash = u32::from(plan.use_hash);
    options.know_end_cause = u32::from(plan.kind_of(TIME_WAIT_CAUSE.name).is_some());
    options.may_copy = u32::from(facts.lockdown != Lockdown::Confidentiality);
    options.task_by_helpers = u32::from(!facts.current_task());
    if plan.kind_of(ACCEPT_RETURN.name).is_none() {
        options.kinds &= !LatencyKind::Accept.bit();
    }
    options.send_returns = u32::from(plan.programs_of(SEND_BEGIN.name).any(sends_return));
    // Where no function tells of a child, its storage does, which is a copy of its listener's.
    options.heirs = u32::from(!plan.use_hash && plan.kind_of(CHILD.name).is_none());
    options.waits = u32::from(plan.kind_of(ACCEPT_RETURN.name).is_some());
    options.poll_time_wait(plan.kind_of(TIME_WAIT.name) == Some(AttachMethod::Iterator));
    let helper =
        facts.socket_cookie() && plan.kind_of(STATE.name) != Some(AttachMethod::RawTracepoint);
    if options.cookie == CookieSource::Helper as u32 && !helper {
        options.cookie = CookieSource::Field as u32;
    }
}

/// Entries of the maps that some plans need, and others need not pay for.
fn map_sizes(plan: &Plan, track_max: u32) -> Vec<(&'static str, u32)> {
    let if_used = |used, entries| if used { entries } else { 1 };
    let functions = [AttachMethod::Fentry, AttachMethod::Kprobe].map(Some);
    let timewaits = functions.contains(&plan.kind_of(TIME_WAIT.name));
    vec![
        ("tracked_hash", if_used(plan.use_hash, track_max)),
        ("exchanges_hash", if_used(plan.use_hash, track_max)),
        ("timewaits", if_used(timewaits, track_max)),
        ("calls", if_used(plan.uses(AttachMethod::Kprobe), CALLS)),
        ("unaccepted", if_used(plan.kind_of(ACCEPT_RETURN.name).is_some(), UNACCEPTED)),
    ]
}

/// Plans, loads and attaches. A program that the kernel refuses although its facts allow it takes
/// its rung out of the plan; the plan that is left is tried again.
pub fn load(
    spec: &Spec,
    facts: &mut Facts,
    measure: &MeasureArgs,
    mut setup: Setup,
) -> Result<Session> {
    let request = measure.request();
    let mut first = None;
    let own_sizes = setup.map_sizes.len();
    loop {
        let plan = match spec.plan(facts, request) {
            Ok(plan) => plan,
            // What the preferred way ran into says more than that there is no other.
            Err(refusal) => return Err(first.unwrap_or_else(|| refusal.into())),
        };
        settle(&mut setup.options, &plan, facts);
        setup.map_sizes.truncate(own_sizes);
        setup.map_sizes.extend(map_sizes(&plan, measure.track_max));
        match Session::start(plan, facts, &setup) {
            Ok(session) => return Ok(session),
            Err(LoadError { program: Some(program), words, error })
                if !facts.refused.contains_key(&program) =>
            {
                facts.refused.insert(program, words);
                first.get_or_insert(error);
            }
            Err(failure) => return Err(first.unwrap_or(failure.error)),
        }
    }
}

/// Plans, loads and attaches alike, for some rights and limits show nowhere else, and lets go of
/// everything.
///
/// # Errors
/// Those of [`load`].
pub fn trial(spec: &Spec, facts: &mut Facts, measure: &MeasureArgs, setup: Setup) -> Result<Plan> {
    load(spec, facts, measure, setup).map(Session::into_plan)
}
