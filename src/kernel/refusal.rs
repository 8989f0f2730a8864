//! Why a tool cannot start, each cause with its own words and exit code (docs/errors.md).

use thiserror::Error;

/// A cause that the user can act on.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum Refusal {
    /// Not root and without the capabilities.
    #[error(
        "missing {}: BPF programs for tracing need CAP_BPF and CAP_PERFMON.\n\
         Run it as root (sudo), or give the file the capabilities once:\n    \
         sudo setcap cap_bpf,cap_perfmon+ep $(command -v {tool})",
        .missing.join(" and ")
    )]
    Capabilities {
        /// Names, as in capabilities(7).
        missing: Vec<&'static str>,
        /// The tool's name.
        tool: &'static str,
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
    /// The kernel is locked down.
    #[error(
        "the kernel is locked down ({mode}) and refused to load the programs: {detail}\n\
         See kernel_lockdown(7); lockdown=integrity is enough for this tool, \
         lockdown=confidentiality may not be."
    )]
    Lockdown {
        /// `integrity` or `confidentiality`.
        mode: String,
        /// What was refused.
        detail: String,
    },
    /// `--probe` asked for a rung that a hook does not have here.
    #[error("--probe {rung} is not possible here: {}", join_missing(.missing))]
    RungUnavailable {
        /// What was asked for.
        rung: &'static str,
        /// Hook and reason, with the rungs there are.
        missing: Vec<(&'static str, String)>,
    },
}

fn join_missing(missing: &[(&'static str, String)]) -> String {
    missing.iter().map(|(hook, why)| format!("{hook}: {why}")).collect::<Vec<_>>().join("; ")
}

impl Refusal {
    /// Process exit code of this cause.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Capabilities { .. } => 3,
            Self::NoBtf => 4,
            Self::Unsupported { .. } => 5,
            Self::UserNamespace => 6,
            Self::Lockdown { .. } => 7,
            Self::RungUnavailable { .. } => 8,
        }
    }
}
