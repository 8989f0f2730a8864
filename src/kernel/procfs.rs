//! Kernel facts and capabilities read from /proc and /sys.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::LazyLock;

use anyhow::{Context, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Kinds of events that can be counted; kprobes are one where the kernel has them.
const EVENT_SOURCES: &str = "/sys/bus/event_source/devices";
/// The switch behind everything that runs at the beginning of a function.
const FTRACE: Switch<'_> = Switch {
    path: "/proc/sys/kernel/ftrace_enabled",
    off: "kernel.ftrace_enabled is 0: what attaches to functions would never run (sysctl)",
};
/// The one for all kprobes, where debugfs is mounted.
const KPROBES: Switch<'_> = Switch {
    path: "/sys/kernel/debug/kprobes/enabled",
    off: "kprobes are switched off (/sys/kernel/debug/kprobes/enabled): none would ever run",
};

/// How far the kernel is locked down, see `kernel_lockdown(7)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Lockdown {
    /// Not at all, or the kernel does not say.
    None,
    /// User space may not change the running kernel.
    Integrity,
    /// Nor read its memory.
    Confidentiality,
}

/// A file that holds 0 or 1.
struct Switch<'a> {
    path: &'a str,
    off: &'static str,
}

impl Switch<'_> {
    /// What it means that the switch is off; `None`: it is on, or there is none.
    fn complaint(&self) -> Option<String> {
        let state = fs::read_to_string(self.path).ok()?;
        (state.trim() == "0").then(|| self.off.to_owned())
    }
}

/// Only the first user namespace maps all ids onto themselves.
pub fn in_init_userns() -> Result<bool> {
    let map = fs::read_to_string("/proc/self/uid_map").context("cannot read /proc/self/uid_map")?;
    Ok(map.split_whitespace().eq(["0", "0", "4294967295"]))
}

/// The word in brackets is the one in force; no file (or no right to read it): none known.
pub fn lockdown() -> Lockdown {
    let text = fs::read_to_string("/sys/kernel/security/lockdown").unwrap_or_default();
    if text.contains("[confidentiality]") {
        Lockdown::Confidentiality
    } else if text.contains("[integrity]") {
        Lockdown::Integrity
    } else {
        Lockdown::None
    }
}

/// Inode of the initial PID namespace (`PROC_PID_INIT_INO`).
const INIT_PID_NS: u64 = 0xEFFF_FFFC;

/// The inode of this process's PID namespace; `None`: it is the initial one, or /proc is not there.
pub fn pid_namespace() -> Option<u32> {
    // A process stays in it.
    static OWN: LazyLock<Option<u32>> = LazyLock::new(|| {
        let inode = fs::metadata("/proc/self/ns/pid").ok()?.ino();
        u32::try_from(inode).ok().filter(|_| inode != INIT_PID_NS)
    });
    *OWN
}

/// Why nothing can be attached to functions: where ftrace is switched off, fentry programs and
/// kprobes attach without complaint and never run. Seen on 6.1 and 6.12.
pub fn ftrace_off() -> Option<String> {
    FTRACE.complaint()
}

/// Why kprobes are unavailable. If sysfs is not mounted, attaching fails instead.
pub fn kprobe_refused(lockdown: Lockdown) -> Option<String> {
    ftrace_off()
        .or_else(|| no_kprobes(Path::new(EVENT_SOURCES), lockdown))
        .or_else(|| KPROBES.complaint())
}

fn no_kprobes(event_sources: &Path, lockdown: Lockdown) -> Option<String> {
    if fs::exists(event_sources).unwrap_or(false)
        && !fs::exists(event_sources.join("kprobe/type")).unwrap_or(true)
    {
        return Some(
            "this kernel has no kprobes (CONFIG_KPROBES, CONFIG_KPROBE_EVENTS)".to_owned(),
        );
    }
    (lockdown == Lockdown::Confidentiality)
        .then(|| "lockdown=confidentiality refuses kprobes".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kprobes_are_assumed_unless_the_kernel_disables_them() {
        let sysfs = tempfile::tempdir().unwrap();
        let refused = |lockdown| no_kprobes(sysfs.path(), lockdown);
        assert!(refused(Lockdown::Integrity).unwrap().contains("CONFIG_KPROBES"));
        fs::create_dir(sysfs.path().join("kprobe")).unwrap();
        fs::write(sysfs.path().join("kprobe/type"), "8\n").unwrap();
        assert_eq!(refused(Lockdown::Integrity), None);
        assert!(refused(Lockdown::Confidentiality).unwrap().contains("lockdown=confidentiality"));
        let nowhere = Path::new("/proc/self/no such folder");
        assert_eq!(no_kprobes(nowhere, Lockdown::None), None);
    }

    #[test]
    fn a_sysctl_switch_is_on_unless_zero() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("enabled");
        let switch = Switch { path: path.to_str().unwrap(), off: "it is off" };
        assert_eq!(switch.complaint(), None);
        fs::write(&path, "1\n").unwrap();
        assert_eq!(switch.complaint(), None);
        fs::write(&path, "0\n").unwrap();
        assert_eq!(switch.complaint().unwrap(), "it is off");
    }
}
