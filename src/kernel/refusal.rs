//! Why a tool cannot start, each cause with its own words and exit code (docs/errors.md).

use thiserror::Error;

use super::facts::Lockdown;

/// A cause that the user can act on.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum Refusal {
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
        "this kernel has no BTF (/sys/kernel/btf/vmlinux is missing): programs cannot be fitted \
         to it.\nUse a kernel built with CONFIG_DEBUG_INFO_BTF=y; distribution kernels from 5.8 on \
         mostly are."
    )]
    NoBtf,
    /// Something that every rung of a hook needs does not exist here.
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
         the kernel allows no tracing from inside it, whatever capabilities are shown.\n\
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
    /// `--probe` asked for a rung that a hook does not have here.
    #[error("--probe {rung} is not possible here: {}", join_missing(.missing))]
    MethodUnavailable {
        /// What was asked for.
        rung: &'static str,
        /// Hook and reason, with the attach there are.
        missing: Vec<(&'static str, String)>,
    },
    /// `--track storage` where it cannot be had.
    #[error(
        "--track storage is not possible here: {obstacle}\nUse --track hash, or leave it to the tool."
    )]
    NoStorage {
        /// What is in the way.
        obstacle: String,
    },
}

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
        "You are root, but something has taken them away: a container's settings mostly. \
         Start it with them\n(docker run --cap-add BPF --cap-add PERFMON …), or run the tool on \
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
             kernel_lockdown(7)),\nwhich this tool can mostly live with."
        }
        Lockdown::None => {
            "A security module, a seccomp filter (a container's?) or a locked-down kernel forbids \
             it; the last is told by\n/sys/kernel/security/lockdown, where securityfs is mounted."
        }
    }
}

impl Refusal {
    /// Process exit code of this cause.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Capabilities { .. } => 3,
            Self::NoBtf => 4,
            Self::Unsupported { .. } => 5,
            Self::UserNamespace => 6,
            Self::Forbidden { .. } => 7,
            Self::MethodUnavailable { .. } | Self::NoStorage { .. } => 8,
        }
    }
}
