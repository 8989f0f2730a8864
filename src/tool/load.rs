//! From a tool's spec to loaded programs: facts, plan and session, until a plan loads.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use anyhow::{Result, bail};

use super::Measurement;
use crate::cli::MeasureArgs;
use crate::filter::CgroupTree;
use crate::hooks::maps;
use crate::kernel::attach::AttachMethod;
use crate::kernel::error::LoadError;
use crate::kernel::facts::{Facts, Lockdown};
use crate::kernel::pid_namespace;
use crate::kernel::plan::Plan;
use crate::kernel::session::{Session, Setup};
use crate::wire::{CgroupSource, CookieSource};

/// Threads that may be inside of paired functions at a time.
const CALLS: u32 = 32_768;

/// MPTCP sockets whose owners are remembered.
const MPTCP_SOCKETS: u32 = 8192;

/// What the programs have to know under a plan, and the sizes of its maps.
///
/// # Errors
/// Those of [`Measurement::setup`].
pub fn setup(
    measurement: &dyn Measurement,
    plan: &Plan,
    facts: &Facts,
    measure: &MeasureArgs,
) -> Result<Setup> {
    let mut setup = measurement.setup(plan, measure)?;
    if !facts.grows_maps() {
        setup.growing.clear();
    }
    let options = &mut setup.options;
    // Some tools find sockets by their address, which only a hash map allows.
    options.use_hash |= u32::from(plan.use_hash);
    let use_hash = options.use_hash != 0;
    options.may_copy = u32::from(facts.lockdown != Lockdown::Confidentiality);
    options.pidns = pid_namespace().unwrap_or(0);
    if options.pidns != 0 && options.may_copy == 0 {
        bail!(
            "under lockdown=confidentiality the kernel does not show the PIDs of this PID namespace; \
             run it in the initial PID namespace"
        );
    }
    if options.want_cgroup != 0 {
        let source = CgroupTree::find().map_or(CgroupSource::Unified, |tree| tree.source);
        options.cgroup_source = source as u32;
        // The way to a controller's hierarchy is copied.
        options.want_cgroup &= u32::from(source == CgroupSource::Unified) | options.may_copy;
    }
    options.task_by_helpers = u32::from(!facts.current_task());
    let helper = facts.socket_cookie() && !plan.uses(AttachMethod::RawTracepoint);
    if options.cookie == CookieSource::Helper as u32 && !helper {
        options.cookie = CookieSource::Field as u32;
    }
    options.seed = RandomState::new().build_hasher().finish();
    options.mptcp = u32::from(facts.mptcp());
    options.pair_fexit = u32::from(plan.pairs_fexit());
    setup.size_if(use_hash, maps::TRACKED_HASH, measure.track_max);
    setup.size_if(facts.mptcp(), maps::MPTCP_OWNERS, MPTCP_SOCKETS);
    setup.size_if(plan.pairs_calls(), maps::CALLS, CALLS);
    Ok(setup)
}

/// Plans, loads and attaches. A program that the kernel refuses although its facts allow it takes
/// its attach method from the plan; the remaining plan is tried again.
///
/// # Errors
/// A [`StartError`](crate::kernel::error::StartError) where the user can do something about it.
pub fn load(
    measurement: &dyn Measurement,
    facts: &mut Facts,
    measure: &MeasureArgs,
) -> Result<Session> {
    let mut first = None;
    loop {
        let plan = match measurement.spec().plan(facts, measure.request()) {
            Ok(plan) => plan,
            // The error of the preferred method says more than that there is no other.
            Err(refusal) => return Err(first.unwrap_or_else(|| refusal.into())),
        };
        let setup = setup(measurement, &plan, facts, measure)?;
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
