//! How the tests are run, by environment variables. The lab sets them where kernels are emulated;
//! without them everything has the full size and runs the programs of this build.
//!
//! | variable | meaning |
//! |---|---|
//! | `TCPSCOPE_BIN_DIR` | folder of the tools and of tcpload |
//! | `TCPSCOPE_ATTACH` | every tool started gets `--attach` with this value |
//! | `TCPSCOPE_RUNNER` | a command that starts the tool named after it, with other rights |
//! | `TCPSCOPE_STARTED` | folder with what each tool printed when it was started (`TOOL.json`), and its exit code (`TOOL.code`): for them it need not start again |
//! | `TCPSCOPE_ATTEMPTS` | how often a test may be tried until it passes; 1 without it. Failed attempts are printed |
//! | `TCPSCOPE_RECORD_TROUBLES` | folder to write the findings of the tests of tcpdoctor to, as people see them |
//! | `TCPSCOPE_HEALTHY_SECONDS` | how long the busy machine without a trouble is watched; with 600 it has 50,000 connections |
//! | `TCPSCOPE_TEST_SCALE` | emulated and slow: divide amounts of traffic by this |

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// How long anything that must happen may take on real hardware …
const PATIENCE: Duration = Duration::from_secs(20);
/// … and how many times that where every instruction is emulated.
const EMULATED_PATIENCE: u32 = 3;
/// By how much an emulated kernel may be late to see what a script did: a softirq has waited 40 ms.
const EMULATED_DELAY: Duration = Duration::from_millis(200);

fn scale() -> u64 {
    let set = env::var("TCPSCOPE_TEST_SCALE").ok().and_then(|text| text.parse().ok());
    set.unwrap_or(1).max(1)
}

/// Whether the tools run with fewer rights than the tests.
pub fn ordinary_user() -> bool {
    env::var("TCPSCOPE_RUNNER").is_ok_and(|runner| !runner.is_empty())
}

/// Whether programs may not copy kernel memory, lockdown=confidentiality.
pub fn confidential() -> bool {
    let lockdown = std::fs::read_to_string("/sys/kernel/security/lockdown").unwrap_or_default();
    lockdown.contains("[confidentiality]")
}

/// The same, and says why a test is not tried there.
pub fn hides(why: &str) -> bool {
    let hidden = confidential();
    if hidden {
        eprintln!("not tried under lockdown=confidentiality: {why}");
    }
    hidden
}

/// How often a test may be tried until it passes.
pub fn attempts() -> u64 {
    let set = env::var("TCPSCOPE_ATTEMPTS").ok().and_then(|text| text.parse().ok());
    set.unwrap_or(1).max(1)
}

/// Where the pages of findings go that docs/troubleshooting.md shows.
pub fn recordings() -> Option<PathBuf> {
    env::var_os("TCPSCOPE_RECORD_TROUBLES").map(PathBuf::from)
}

/// Whether times mean nothing here: clocks are true, but everything takes long.
pub fn emulated() -> bool {
    scale() > 1
}

/// By how much a duration may differ from what a script measured around it, beyond the precision of both.
pub fn delay_ns() -> u64 {
    if emulated() { EMULATED_DELAY.as_nanos().try_into().unwrap_or(u64::MAX) } else { 0 }
}

/// An amount of traffic, less of it under emulation but never fewer than `least`. What is
/// expected of the tools follows from the amount, and stays exact.
pub fn scaled(amount: u64, least: u64) -> u64 {
    (amount / scale()).max(least.min(amount))
}

/// How long anything that must happen may take.
pub fn patience() -> Duration {
    PATIENCE * if emulated() { EMULATED_PATIENCE } else { 1 }
}

/// The path of a tool of this build.
pub fn path_of(tool: &str) -> PathBuf {
    // Cargo builds all tools into the same folder before it builds their tests.
    let built = || Path::new(env!("CARGO_BIN_EXE_tcpstates")).with_file_name("").into_os_string();
    PathBuf::from(env::var_os("TCPSCOPE_BIN_DIR").unwrap_or_else(built)).join(tool)
}

/// `program ARGUMENT...` with the capabilities and the attach method of the variables, in front of it
/// whatever `before` says.
pub fn tool_command(before: &[&str], tool: &str) -> Command {
    let runner = env::var("TCPSCOPE_RUNNER").unwrap_or_default();
    let mut words: Vec<std::ffi::OsString> =
        before.iter().copied().chain(runner.split_whitespace()).map(Into::into).collect();
    words.push(path_of(tool).into());
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    if let Some(method) = env::var_os("TCPSCOPE_ATTACH") {
        command.arg("--attach").arg(method);
    }
    command
}
