//! The tools against real traffic on this kernel, compared with independent truth.
//!
//! Everything here needs root. Without it each test fails and says why, unless
//! `TCPSCOPE_ALLOW_SKIP=1` turns the failures into ignored tests, which the last line counts.
#![allow(clippy::unwrap_used, reason = "a test may end with a panic")]

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

mod calls;
mod causes;
mod check;
mod count;
mod count_ends;
mod count_light;
mod dash;
mod dash_drops;
mod dash_findings;
mod dash_terminal;
mod devices;
mod doctor;
mod doctor_counters;
mod doctor_far;
mod doctor_healthy;
mod doctor_peers;
mod doctor_speed;
mod drop;
mod drop_queues;
mod errors;
mod facts;
mod latency;
mod latency_far;
mod latency_peers;
mod latency_sums;
mod life;
mod life_far;
mod life_peers;
mod life_rare;
mod life_views;
mod listen;
mod listen_close;
mod listen_views;
mod load;
mod mptcp;
mod netns;
mod owners;
mod peers;
mod ports;
mod ports_cost;
mod recipes;
mod retrans;
mod retrans_sums;
mod scope;
mod script;
mod segment;
mod setting;
mod shared;
mod sockmap;
mod stall;
mod stall_ends;
mod stall_path;
mod states;
mod summary;
mod timewait;
mod tool;
mod unanswered;
mod vrf;

/// A test: an error is a failure and is printed with its causes.
type Test = fn() -> anyhow::Result<()>;

/// Tests of a module: its name, and each test with its own.
type Group = (&'static str, &'static [(&'static str, Test)]);

/// Each has its traffic, and the filter of its tools, in network namespaces of its own.
const TESTS: &[Group] = &[
    ("states", states::TESTS),
    ("timewait", timewait::TESTS),
    ("count", count::TESTS),
    ("calls", calls::TESTS),
    ("count_ends", count_ends::TESTS),
    ("count_light", count_light::TESTS),
    ("latency", latency::TESTS),
    ("latency_sums", latency_sums::TESTS),
    ("dash", dash::TESTS),
    ("dash_drops", dash_drops::TESTS),
    ("dash_findings", dash_findings::TESTS),
    ("dash_terminal", dash_terminal::TESTS),
    ("doctor", doctor::TESTS),
    ("doctor_counters", doctor_counters::TESTS),
    ("doctor_far", doctor_far::TESTS),
    ("doctor_healthy", doctor_healthy::TESTS),
    ("doctor_peers", doctor_peers::TESTS),
    ("doctor_speed", doctor_speed::TESTS),
    ("shared", shared::TESTS),
    ("summary", summary::TESTS),
    ("devices", devices::TESTS),
    ("vrf", vrf::TESTS),
    ("errors", errors::TESTS),
    ("sockmap", sockmap::TESTS),
    ("facts", facts::TESTS),
    ("check", check::TESTS),
    ("listen", listen::TESTS),
    ("listen_close", listen_close::TESTS),
    ("mptcp", mptcp::TESTS),
    ("listen_views", listen_views::TESTS),
    ("peers", peers::TESTS),
    ("owners", owners::TESTS),
    ("retrans", retrans::TESTS),
    ("retrans_sums", retrans_sums::TESTS),
    ("life", life::TESTS),
    ("life_far", life_far::TESTS),
    ("life_peers", life_peers::TESTS),
    ("life_rare", life_rare::TESTS),
    ("causes", causes::TESTS),
    ("unanswered", unanswered::TESTS),
    ("recipes", recipes::TESTS),
    ("life_views", life_views::TESTS),
    ("ports", ports::TESTS),
    ("ports_cost", ports_cost::TESTS),
    ("drop", drop::TESTS),
    ("drop_queues", drop_queues::TESTS),
    ("stall", stall::TESTS),
    ("stall_ends", stall_ends::TESTS),
    ("stall_path", stall_path::TESTS),
    ("scope", scope::TESTS),
];

/// Each sees or changes the whole machine, or holds times against each other that a busy CPU
/// draws apart; which of them, stands beside it.
const ALONE: &[Group] = &[
    ("states", states::ALONE),
    ("timewait", timewait::ALONE),
    ("latency", latency::ALONE),
    ("latency_far", latency_far::ALONE),
    ("latency_sums", latency_sums::ALONE),
    ("latency_peers", latency_peers::ALONE),
    ("facts", facts::ALONE),
    ("check", check::ALONE),
    ("listen", listen::ALONE),
    ("mptcp", mptcp::ALONE),
    ("listen_views", listen_views::ALONE),
    ("peers", peers::ALONE),
    ("owners", owners::ALONE),
    ("ports", ports::ALONE),
    ("drop", drop::ALONE),
    ("drop_queues", drop_queues::ALONE),
    ("life_rare", life_rare::ALONE),
    ("doctor_healthy", doctor_healthy::ALONE),
    ("doctor_far", doctor_far::ALONE),
];

/// How many of [`TESTS`] run at once: they wait more than they compute.
const AT_ONCE: usize = 4;

fn main() -> ExitCode {
    if setting::recordings().is_some() {
        // Pages of real output have the name of the process that is in trouble.
        let _ = std::fs::write("/proc/self/comm", "shop");
    }
    let arguments = Arguments::from_args();
    let refusal = tool::missing_rights();
    let allowed = std::env::var_os("TCPSCOPE_ALLOW_SKIP").is_some_and(|value| value == "1");
    let skip = refusal.is_some() && allowed;
    if let (Some(reason), true) = (&refusal, skip) {
        eprintln!("live tests are ignored: {reason}");
    }
    let lacking: Vec<_> = [
        ("latency_far", latency_far::missing()),
        ("doctor_far", latency_far::missing()),
        ("vrf", vrf::missing()),
    ]
    .into_iter()
    .filter_map(|(group, reason)| Some((group, reason?)))
    .collect();
    for (group, reason) in &lacking {
        eprintln!("{group} is ignored, this kernel lacks what it needs: {reason}");
    }
    let trials = |groups: &[Group]| {
        let tests = groups
            .iter()
            .flat_map(|&(group, tests)| tests.iter().map(move |&(name, test)| (group, name, test)));
        let trial = |(group, name, test): (&str, &str, Test)| {
            let refusal = refusal.clone();
            let full = format!("{group}::{name}");
            let known = full.clone();
            let run = move || match refusal {
                Some(reason) => Err(reason.into()),
                None => tool::run(&known, test).map_err(|e| format!("{e:#}").into()),
            };
            let ignored = skip || lacking.iter().any(|(lacks, _)| *lacks == group);
            Trial::test(full, run).with_ignored_flag(ignored)
        };
        tests.map(trial).collect()
    };
    let together = libtest_mimic::run(
        &Arguments { test_threads: arguments.test_threads.or(Some(AT_ONCE)), ..arguments.clone() },
        trials(TESTS),
    );
    let alone =
        libtest_mimic::run(&Arguments { test_threads: Some(1), ..arguments }, trials(ALONE));
    if together.has_failed() { together.exit_code() } else { alone.exit_code() }
}
