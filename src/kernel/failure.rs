//! Why a session did not start, from what libbpf and the verifier said.

use std::mem;
use std::sync::Mutex;

use anyhow::anyhow;
use libbpf_rs::{PrintLevel, set_print};

use super::facts::Facts;
use super::refusal::Refusal;

/// What libbpf said lately; shown when loading fails.
static COMPLAINTS: Mutex<Vec<String>> = Mutex::new(Vec::new());

#[expect(clippy::needless_pass_by_value, reason = "the type is libbpf-rs's")]
fn keep_complaint(level: PrintLevel, text: String) {
    if level == PrintLevel::Warn
        && let Ok(mut complaints) = COMPLAINTS.lock()
    {
        complaints.push(text.trim_end().to_owned());
    }
}

fn keep_and_print(level: PrintLevel, text: String) {
    eprint!("{text}");
    keep_complaint(level, text);
}

/// Keeps what libbpf says from now on, and prints everything if `verbose`.
pub(super) fn listen(verbose: bool) {
    if verbose {
        set_print(Some((PrintLevel::Debug, keep_and_print)));
    } else {
        set_print(Some((PrintLevel::Warn, keep_complaint)));
    }
}

/// Why a session did not start.
#[derive(Debug)]
pub struct Failure {
    /// The program that the kernel refused, where it was one.
    pub program: Option<String>,
    /// The kernel's or libbpf's words, on one line.
    pub words: String,
    /// What it means to the user.
    pub error: anyhow::Error,
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self { program: None, words: format!("{error:#}"), error }
    }
}

/// What it means to the user that the kernel refused to load, or to attach `program`.
pub(super) fn explain(error: &libbpf_rs::Error, program: Option<&str>, facts: &Facts) -> Failure {
    let complaints = COMPLAINTS.lock().map(|mut said| mem::take(&mut *said)).unwrap_or_default();
    // The first complaint names the program or map; verifier logs are for -v. That the limit on
    // locked memory could not be raised follows from other causes and is one on old kernels only.
    let telling = |said: &&str| !said.is_empty() && !said.contains("RLIMIT_MEMLOCK");
    let first = complaints.iter().map(|said| said.trim()).find(telling);
    let detail = first
        .and_then(|said| said.lines().next())
        .map_or_else(|| error.to_string(), |said| format!("{said} ({error})"));
    let program =
        program.map(str::to_owned).or_else(|| complaints.iter().find_map(|said| blamed(said)));
    let words =
        complaints.iter().find_map(|said| verdict(said)).unwrap_or_else(|| error.to_string());
    let error = if error.kind() == libbpf_rs::ErrorKind::PermissionDenied {
        Refusal::Forbidden { lockdown: facts.lockdown, detail }.into()
    } else {
        anyhow!(
            "the kernel refused to load the programs: {detail}\n\
             Run again with -v for the whole story."
        )
    };
    Failure { program, words, error }
}

/// The program that libbpf blames: it writes `prog 'name': …`.
fn blamed(said: &str) -> Option<String> {
    let (_, rest) = said.split_once("prog '")?;
    Some(rest.split_once('\'')?.0.to_owned())
}

/// The verifier's last word: the line before its statistics.
fn verdict(said: &str) -> Option<String> {
    let (log, _) = said.split_once("\nprocessed ")?;
    Some(log.lines().next_back()?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As libbpf 1.7 prints it, the verifier's log inside.
    const LOG: &str = "libbpf: prog 'send_fexit': -- BEGIN PROG LOAD LOG --\n\
        0: R1=ctx() R10=fp0\n; int BPF_PROG(send_fexit)\n0: (79) r6 = *(u64 *)(r1 +48)\n\
        invalid bpf_context access off=48 size=8\nprocessed 1 insns (limit 1000000)\n\
        -- END PROG LOAD LOG --";

    #[test]
    fn the_program_and_the_verdict_are_found_in_the_log() {
        assert_eq!(blamed(LOG).as_deref(), Some("send_fexit"));
        assert_eq!(verdict(LOG).as_deref(), Some("invalid bpf_context access off=48 size=8"));
    }

    #[test]
    fn other_complaints_blame_nobody() {
        for said in ["", "libbpf: Failed to bump RLIMIT_MEMLOCK", "libbpf: prog 'unended", "prog"] {
            assert_eq!((blamed(said), verdict(said)), (None, None), "{said}");
        }
    }
}
