//! The tools against real traffic on this kernel, compared with independent truth.
//!
//! Everything here needs root. Without it each test fails and says why, unless
//! `TCPSCOPE_ALLOW_SKIP=1` turns the failures into ignored tests, which the last line counts.
#![allow(clippy::unwrap_used, reason = "a test may end with a panic")]

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

mod check;
mod count;
mod dash;
mod errors;
mod facts;
mod latency;
mod latency_far;
mod latency_peers;
mod latency_sums;
mod listen;
mod listen_views;
mod load;
mod netns;
mod peers;
mod script;
mod setting;
mod shared;
mod states;
mod summary;
mod timewait;
mod tool;

/// A test: an error is a failure and is printed with its causes.
type Test = fn() -> anyhow::Result<()>;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // The tools and their peers watch the whole machine: one at a time.
    arguments.test_threads = Some(1);
    let refusal = tool::missing_rights();
    let allowed = std::env::var_os("TCPSCOPE_ALLOW_SKIP").is_some_and(|value| value == "1");
    let skip = refusal.is_some() && allowed;
    if let (Some(reason), true) = (&refusal, skip) {
        eprintln!("live tests are ignored: {reason}");
    }
    let near = latency_far::missing();
    if let Some(reason) = &near {
        eprintln!("latency_far is ignored, nothing can be delayed here: {reason}");
    }
    let groups = [
        ("states", states::TESTS),
        ("timewait", timewait::TESTS),
        ("count", count::TESTS),
        ("latency", latency::TESTS),
        ("latency_far", latency_far::TESTS),
        ("latency_sums", latency_sums::TESTS),
        ("latency_peers", latency_peers::TESTS),
        ("dash", dash::TESTS),
        ("shared", shared::TESTS),
        ("summary", summary::TESTS),
        ("errors", errors::TESTS),
        ("facts", facts::TESTS),
        ("check", check::TESTS),
        ("listen", listen::TESTS),
        ("listen_views", listen_views::TESTS),
        ("peers", peers::TESTS),
    ];
    let trials = groups
        .iter()
        .flat_map(|(group, tests)| tests.iter().map(move |&(name, test)| (group, name, test)))
        .map(|(group, name, test)| {
            let refusal = refusal.clone();
            let run = move || match refusal {
                Some(reason) => Err(reason.into()),
                None => test().map_err(|e| format!("{e:#}{}", tool::skipped()).into()),
            };
            let ignored = skip || (*group == "latency_far" && near.is_some());
            Trial::test(format!("{group}::{name}"), run).with_ignored_flag(ignored)
        })
        .collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}
