//! Features of the running kernel, read once at start.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context, Result};
use rustix::thread::CapabilitySet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::btf::{Btf, Function, VMLINUX_BTF};
use super::probe::{fentry_refused, map_iterators_refused};
use super::procfs;
pub use super::procfs::Lockdown;

/// The iterator over the entries of a map.
pub const MAP_ITERATOR: &str = "bpf_map_elem";
/// What its programs attach to.
const MAP_ITERATOR_FUNCTION: &str = "bpf_iter_bpf_map_elem";

/// The input of a plan. A fixture file can replace a kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Facts {
    /// `uname -r`, for messages only; plans depend on features, never versions.
    pub release: String,
    /// The kernel describes its types.
    pub btf: bool,
    /// Tracepoints that BTF programs can attach to (`btf_trace_*`), of those asked for.
    pub tracepoints: BTreeSet<String>,
    /// BPF iterators (`bpf_iter__*`), of those asked for.
    pub iterators: BTreeSet<String>,
    /// Functions that BTF describes, of those asked for, with the names of their parameters.
    pub functions: BTreeMap<String, Vec<String>>,
    /// Why no fentry or fexit program can be loaded; `None`: they can.
    pub fentry_refused: Option<String>,
    /// Why no iterator over the entries of a map can be loaded; `None`: they can.
    pub map_iterators_refused: Option<String>,
    /// Why kprobes are unavailable; `None`: available.
    pub kprobe_refused: Option<String>,
    /// Programs that this kernel refused to load or attach, with its words.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(skip)]
    pub refused: BTreeMap<String, String>,
    /// Effective capabilities, bits of capabilities(7).
    pub capabilities: u64,
    /// The user is root.
    pub root: bool,
    /// The process lives in the first user namespace.
    pub init_userns: bool,
    /// See [`Lockdown`].
    pub lockdown: Lockdown,
}

/// Kernel names to find.
#[derive(Debug, Clone, Default)]
pub struct SymbolNames {
    /// Tracepoints, without `btf_trace_`.
    pub tracepoints: Vec<&'static str>,
    /// BPF iterators, without `bpf_iter__`.
    pub iterators: Vec<&'static str>,
    /// Functions.
    pub functions: Vec<&'static str>,
}

/// Functions whose presence shows what BPF programs may do; always checked.
mod marker {
    /// Decides which tracing programs may use socket storage; came with that in 5.11 (8e4597c627fb).
    pub const SOCKET_STORAGE: &str = "bpf_sk_storage_tracing_allowed";
    /// The helper for the cookie of a socket in tracing programs, since 5.12 (c5dbb89fc2ac).
    pub const SOCKET_COOKIE: &str = "bpf_get_socket_ptr_cookie";
    /// The helper that leads from an open file to its socket, since 5.11 (4f19cab76136).
    pub const SOCKET_FROM_FILE: &str = "bpf_sock_from_file";
    /// Link info of a kprobe; since 6.7 it includes the number of misses
    /// (3acf8ace6823).
    pub const KPROBE_INFO: &str = "bpf_get_kprobe_info";
    /// The helper for the current task as a pointer that can be followed, since 5.11
    /// (3ca1032ab7ab).
    pub const CURRENT_TASK: &str = "bpf_get_current_task_btf";
    /// Since 6.11, with the socket argument of tracepoint `kfree_skb`
    /// (ba8de796baf4).
    pub const DROP_SOCKET: &str = "sk_skb_reason_drop";
    /// Since 6.6, with tracing programs for functions of more than six
    /// parameters on x86 (473e3150e30a), which itself left no name.
    pub const SEVEN_PARAMETERS: &str = "bpf_map_sum_elem_count";
    /// Counts a new map against `RLIMIT_MEMLOCK`; from 5.11 on memory is the cgroup's affair.
    pub const LOCKED_MEMORY: &str = "bpf_map_charge_init";
    /// Skips one fexit program of a trampoline; without it the kernel skips those of all calls in
    /// progress when any program comes or goes (e21aa341785c). Seen on 7.2.
    pub const TRAMPOLINE_SKIP: &str = "arch_bpf_trampoline_skip";
    /// Sends on an MPTCP socket, where the kernel has that.
    pub const MPTCP: &str = "mptcp_sendmsg";
    /// Takes an entry of a map out of a cache that any context may use, also one per CPU; since 6.1 (7c8199e24fa0, ee4ed53c5eb6).
    pub const MAP_CACHE: &str = "bpf_mem_cache_alloc";
    pub const ALL: [&str; 11] = [
        SOCKET_STORAGE,
        SOCKET_COOKIE,
        SOCKET_FROM_FILE,
        KPROBE_INFO,
        CURRENT_TASK,
        DROP_SOCKET,
        SEVEN_PARAMETERS,
        LOCKED_MEMORY,
        TRAMPOLINE_SKIP,
        MPTCP,
        MAP_CACHE,
    ];
}

impl Facts {
    /// Reads the facts of this machine, in 3 ms; only `wanted` names and the markers of a few
    /// features are checked. Programs of two instructions are loaded to ask for fentry, if a wanted
    /// function exists, and for iterators over maps, if they are wanted, where the rights suffice.
    ///
    /// # Errors
    /// /proc is not readable, or the kernel's BTF is damaged.
    pub fn read(wanted: &SymbolNames) -> Result<Self> {
        let lockdown = procfs::lockdown();
        let mut facts = Self {
            release: rustix::system::uname().release().to_string_lossy().into_owned(),
            btf: fs::exists(VMLINUX_BTF).unwrap_or(false),
            tracepoints: BTreeSet::new(),
            iterators: BTreeSet::new(),
            functions: BTreeMap::new(),
            fentry_refused: Some("not tried: it needs BTF".to_owned()),
            map_iterators_refused: None,
            kprobe_refused: procfs::kprobe_refused(lockdown),
            refused: BTreeMap::new(),
            capabilities: rustix::thread::capabilities(None)
                .context("cannot read this process's capabilities")?
                .effective
                .bits(),
            root: rustix::process::geteuid().is_root(),
            init_userns: procfs::in_init_userns()?,
            lockdown,
        };
        if facts.btf {
            facts.look_up(wanted).context("cannot read the kernel's BTF")?;
        }
        Ok(facts)
    }

    /// Fills in the facts from BTF.
    fn look_up(&mut self, wanted: &SymbolNames) -> Result<()> {
        let prefixed = |prefix: &str, names: &[&str]| -> Vec<String> {
            names.iter().map(|name| format!("{prefix}{name}")).collect()
        };
        let tracepoints = prefixed("btf_trace_", &wanted.tracepoints);
        let iterators = prefixed("bpf_iter__", &wanted.iterators);
        let mut names: Vec<_> = tracepoints.iter().chain(&iterators).map(String::as_str).collect();
        names.extend(wanted.functions.iter().chain(&marker::ALL));
        names.push(MAP_ITERATOR_FUNCTION);
        let mut btf = Btf::of_kernel()?;
        let found = btf.names(&names)?;
        let present = |names: &[&str], prefixed: &[String]| {
            let pairs = names.iter().zip(prefixed);
            let there = pairs.filter(|(_, prefixed)| found.contains_key(prefixed.as_str()));
            there.map(|(&name, _)| name.to_owned()).collect()
        };
        self.tracepoints = present(&wanted.tracepoints, &tracepoints);
        self.iterators = present(&wanted.iterators, &iterators);
        let mut functions = btf.functions(&found)?;
        if let Some(function) = functions.remove(MAP_ITERATOR_FUNCTION)
            && self.iterators.contains(MAP_ITERATOR)
            && self.not_tried().is_none()
        {
            self.map_iterators_refused = map_iterators_refused(function.id);
        }
        let ids = wanted.functions.iter().filter_map(|name| Some(functions.get(*name)?.id));
        self.try_fentry(ids);
        let parameters = |(name, function): (String, Function)| (name, function.parameters);
        self.functions = functions.into_iter().map(parameters).collect();
        Ok(())
    }

    /// Without the capabilities a refusal says nothing about the kernel.
    fn not_tried(&self) -> Option<String> {
        if !self.init_userns {
            return Some("not tried: inside a user namespace".to_owned());
        }
        let missing = self.missing_capabilities();
        (!missing.is_empty()).then(|| format!("not tried: it needs {}", missing.join(" and ")))
    }

    fn try_fentry(&mut self, functions: impl Iterator<Item = u32>) {
        let mut functions = functions.peekable();
        self.fentry_refused = if let Some(why) = procfs::ftrace_off().or_else(|| self.not_tried()) {
            Some(why)
        } else if functions.peek().is_none() {
            Some("not tried: no suitable function in BTF".to_owned())
        } else {
            fentry_refused(functions)
        };
    }

    /// Programs at tracepoints and functions may keep state in sockets.
    pub fn socket_storage(&self) -> bool {
        self.functions.contains_key(marker::SOCKET_STORAGE)
    }

    /// Programs at tracepoints and functions may ask for the cookie of a socket.
    pub fn socket_cookie(&self) -> bool {
        self.functions.contains_key(marker::SOCKET_COOKIE)
    }

    /// Programs can follow a pointer to the current task (5.11).
    pub fn current_task(&self) -> bool {
        self.functions.contains_key(marker::CURRENT_TASK)
    }

    /// The kernel has MPTCP.
    pub fn mptcp(&self) -> bool {
        self.functions.contains_key(marker::MPTCP)
    }

    /// Programs may have entries of maps made in any context, also with a value for each CPU.
    pub fn grows_maps(&self) -> bool {
        self.functions.contains_key(marker::MAP_CACHE)
    }

    /// Maps and programs count as locked memory, which `RLIMIT_MEMLOCK` limits.
    pub fn counts_locked_memory(&self) -> bool {
        self.functions.contains_key(marker::LOCKED_MEMORY)
    }

    /// Fexit programs run at the end of each call, even if another program was attached to the function or
    /// detached from it meanwhile.
    pub fn fexit_sees_every_return(&self) -> bool {
        self.functions.contains_key(marker::TRAMPOLINE_SKIP)
    }

    /// What kprobes leave out is counted.
    pub fn counts_kprobe_misses(&self) -> bool {
        let info = self.functions.get(marker::KPROBE_INFO);
        info.is_some_and(|parameters| parameters.iter().any(|name| name == "missed"))
    }

    /// The capabilities that tracing programs need and this process lacks.
    pub fn missing_capabilities(&self) -> Vec<&'static str> {
        let has = |one| self.has(one) || self.has(CapabilitySet::SYS_ADMIN);
        let mut missing = Vec::new();
        if !has(CapabilitySet::BPF) {
            missing.push("CAP_BPF");
        }
        if !has(CapabilitySet::PERFMON) {
            missing.push("CAP_PERFMON");
        }
        missing
    }

    fn has(&self, capability: CapabilitySet) -> bool {
        CapabilitySet::from_bits_retain(self.capabilities).contains(capability)
    }

    /// The process may raise its own limits.
    pub fn has_sys_resource(&self) -> bool {
        self.has(CapabilitySet::SYS_RESOURCE)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn fixtures_contain_only_facts() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/facts");
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let text = fs::read_to_string(&path).unwrap();
            let fixture: serde_json::Value = serde_json::from_str(&text).unwrap();
            let facts: Facts = serde_json::from_value(fixture.clone()).unwrap();
            assert_eq!(serde_json::to_value(&facts).unwrap(), fixture, "{}", path.display());
        }
    }
}
