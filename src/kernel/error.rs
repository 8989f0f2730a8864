//! Why a tool cannot start (docs/errors.md), and why the kernel refused to load a program.

use std::io;
use std::mem;
use std::sync::Mutex;

use anyhow::anyhow;
use libbpf_rs::{ErrorKind, PrintLevel, set_print};
use rustix::io::Errno;
use thiserror::Error;

use super::facts::{Facts, Lockdown};

/// A cause that the user can act on.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum StartError {
    /// Not root and without the capabilities.
    #[error(
        "missing {}: BPF programs for tracing need CAP_BPF and CAP_PERFMON.\n{}",
        .missing.join(" and "),
        how_to_get_capabilities(.tool, *.root)
    )]
    Capabilities {
        /// Names, as in capabilities(7).
        missing: Vec<&'static str>,
        /// The tool's name.
        tool: &'static str,
        /// The user is root already.
        root: bool,
    },
    /// The kernel does not describe its types.
    #[error(
        "this kernel has no BTF (/sys/kernel/btf/vmlinux is missing): programs cannot be \
         relocated for it.\nUse a kernel built with CONFIG_DEBUG_INFO_BTF=y; most distribution \
         kernels since 5.8 are."
    )]
    NoBtf,
    /// No attach method of a hook is available here.
    #[error("kernel {release} cannot serve {}", join_missing(.missing))]
    Unsupported {
        /// `uname -r`.
        release: String,
        /// Hook and reason.
        missing: Vec<(&'static str, String)>,
    },
    /// Root in a user namespace is not root of the kernel.
    #[error(
        "this is an unprivileged user namespace (a rootless container, or unshare -U): \
         the kernel does not allow tracing from inside it, even with these capabilities.\n\
         Run it in the host's user namespace."
    )]
    UserNamespace,
    /// The capabilities are there, and yet the kernel refused.
    #[error(
        "the kernel refused to load the programs although the capabilities are there: {detail}\n\
         {}",
        why_forbidden(*.lockdown)
    )]
    Forbidden {
        /// How far the kernel is locked down, as far as it says.
        lockdown: Lockdown,
        /// What was refused.
        detail: String,
    },
    /// `bpf()` does not exist, or a filter says so.
    #[error(
        "there is no system call bpf() here: {detail}\n\
         A seccomp filter (a container's?) hides it, or the kernel is built without \
         CONFIG_BPF_SYSCALL.\nRun it on the host, or with a seccomp profile that allows bpf()."
    )]
    NoBpf {
        /// What was refused.
        detail: String,
    },
    /// Maps or programs found no memory.
    #[error(
        "the kernel has no memory for the programs and their maps: {detail}\n\
         Raise the memory limit of this container or cgroup, or make the maps smaller: {}.",
        SIZES
    )]
    NoMemory {
        /// What was refused.
        detail: String,
    },
    /// The method of `--attach` is not available for a hook here.
    #[error("--attach {method} is not possible here: {}", join_missing(.missing))]
    MethodUnavailable {
        /// What was asked for.
        method: &'static str,
        /// Hook and reason, with the attach there are.
        missing: Vec<(&'static str, String)>,
    },
    /// `--track storage` where it cannot be had.
    #[error("--track storage is not possible here: {obstacle}\nUse --track hash or --track auto.")]
    NoStorage {
        /// The obstacle.
        obstacle: String,
    },
}

/// Flags that size maps, of one tool or another.
const SIZES: &str = "--buffer, --max-keys, --max-listeners, --track-max";

/// Hooks with the same reason share one mention of it.
fn join_missing(missing: &[(&'static str, String)]) -> String {
    let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
    for (hook, why) in missing {
        match groups.iter_mut().find(|(reason, _)| reason == why) {
            Some((_, hooks)) => hooks.push(hook),
            None => groups.push((why, vec![hook])),
        }
    }
    let group = |(why, hooks): &(&str, Vec<&str>)| format!("{}: {why}", hooks.join(", "));
    groups.iter().map(group).collect::<Vec<_>>().join("; ")
}

fn how_to_get_capabilities(tool: &str, root: bool) -> String {
    if root {
        "You are root, but they were dropped, usually by container settings. \
         Start the container with them\n(docker run --cap-add BPF --cap-add PERFMON …), or run the tool on \
         the host."
            .to_owned()
    } else {
        format!(
            "Run it as root (sudo), or give the file the capabilities once:\n    \
             sudo setcap cap_bpf,cap_perfmon+ep $(command -v {tool})"
        )
    }
}

fn why_forbidden(lockdown: Lockdown) -> &'static str {
    match lockdown {
        Lockdown::Confidentiality => {
            "lockdown=confidentiality (see kernel_lockdown(7)) or a security module forbids it."
        }
        Lockdown::Integrity => {
            "A security module or a seccomp filter forbids it, or lockdown=integrity (see \
             kernel_lockdown(7)),\nwhich the tools usually tolerate."
        }
        Lockdown::None => {
            "A security module, a seccomp filter (a container's?) or a locked-down kernel forbids \
             it.\n/sys/kernel/security/lockdown shows the lockdown level if securityfs is mounted."
        }
    }
}

impl StartError {
    /// Process exit code of this cause.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Capabilities { .. } => 3,
            Self::NoBtf => 4,
            Self::Unsupported { .. } => 5,
            Self::UserNamespace => 6,
            Self::Forbidden { .. } => 7,
            Self::MethodUnavailable { .. } | Self::NoStorage { .. } => 8,
            Self::NoBpf { .. } => 11,
            Self::NoMemory { .. } => 12,
        }
    }
}

/// Recent libbpf messages; shown if loading fails.
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
pub struct LoadError {
    /// The program that the kernel refused, where it was one.
    pub program: Option<String>,
    /// The kernel's or libbpf's words, on one line.
    pub words: String,
    /// What it means to the user.
    pub error: anyhow::Error,
}

impl From<anyhow::Error> for LoadError {
    fn from(error: anyhow::Error) -> Self {
        Self { program: None, words: format!("{error:#}"), error }
    }
}

/// What it means to the user that the kernel refused to load, or to attach `program`.
pub(super) fn explain(error: &libbpf_rs::Error, program: Option<&str>, facts: &Facts) -> LoadError {
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
    let error = match error.kind() {
        ErrorKind::PermissionDenied => {
            StartError::Forbidden { lockdown: facts.lockdown, detail }.into()
        }
        // The kind stands for EOPNOTSUPP too.
        ErrorKind::Unsupported
            if error.to_string() == io::Error::from(Errno::NOSYS).to_string() =>
        {
            StartError::NoBpf { detail }.into()
        }
        ErrorKind::OutOfMemory => StartError::NoMemory { detail }.into(),
        _ => anyhow!(
            "the kernel refused to load the programs: {detail}\n\
             Run again with -v for the full log."
        ),
    };
    LoadError { program, words, error }
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
    fn other_messages_name_no_program() {
        for said in ["", "libbpf: Failed to bump RLIMIT_MEMLOCK", "libbpf: prog 'unended", "prog"] {
            assert_eq!((blamed(said), verdict(said)), (None, None), "{said}");
        }
    }
}
