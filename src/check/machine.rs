//! Settings that do not affect plans but can explain failures.

use std::fs;
use std::path::Path;

use rustix::process::{Resource, getrlimit};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings around the kernel; `None` if unknown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Machine {
    /// `uname -m`.
    pub machine: String,
    /// Memory in bytes that this process may lock; `None`: as much as it likes.
    pub memlock_bytes: Option<u64>,
    /// A seccomp filter is in force, as in most containers.
    pub seccomp: Option<bool>,
    /// Security modules in force, separated by commas.
    pub security_modules: Option<String>,
    /// `kernel.unprivileged_bpf_disabled`: 0, 1 or 2.
    pub unprivileged_bpf_disabled: Option<u64>,
}

impl Machine {
    /// Reads those of this machine.
    pub fn read() -> Self {
        Self {
            machine: rustix::system::uname().machine().to_string_lossy().into_owned(),
            memlock_bytes: getrlimit(Resource::Memlock).current,
            ..Self::below(Path::new("/"))
        }
    }

    /// Reads the settings from files, below another root in tests.
    fn below(root: &Path) -> Self {
        let text = |path| fs::read_to_string(root.join(path)).ok();
        let number = |path| text(path)?.trim().parse::<u64>().ok();
        let status = text("proc/self/status").unwrap_or_default();
        let mode = status.lines().find_map(|line| line.strip_prefix("Seccomp:"));
        Self {
            seccomp: mode.and_then(|mode| mode.trim().parse::<u8>().ok()).map(|mode| mode != 0),
            security_modules: text("sys/kernel/security/lsm").map(|list| list.trim().to_owned()),
            unprivileged_bpf_disabled: number("proc/sys/kernel/unprivileged_bpf_disabled"),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unreadable_files_are_unknown() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(Machine::below(root.path()), Machine::default());
        for (path, text) in [
            ("proc/self/status", "Name:\tx\nSeccomp:\t2\nSeccomp_filters:\t1\n"),
            ("proc/sys/kernel/unprivileged_bpf_disabled", "not a number\n"),
            ("sys/kernel/security/lsm", "lockdown,capability,apparmor\n"),
        ] {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let expected = Machine {
            seccomp: Some(true),
            security_modules: Some("lockdown,capability,apparmor".to_owned()),
            ..Machine::default()
        };
        assert_eq!(Machine::below(root.path()), expected);
    }
}
