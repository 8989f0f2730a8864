//! What the running kernel offers, read once at start.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use anyhow::{Context, Result, ensure};
use memchr::memmem;
use serde::{Deserialize, Serialize};

/// Bit numbers of capabilities(7).
mod cap {
    pub const SYS_ADMIN: u32 = 21;
    pub const PERFMON: u32 = 38;
    pub const BPF: u32 = 39;
}

/// How far the kernel is locked down, see `kernel_lockdown(7)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lockdown {
    /// Not at all, or the kernel does not say.
    None,
    /// User space may not change the running kernel.
    Integrity,
    /// Nor read its memory.
    Confidentiality,
}

/// What decides a plan. A fixture file may stand in for a kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// `uname -r`, for messages only: features decide, never versions.
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
    /// Why no kprobe can be had; `None`: they can.
    pub kprobe_refused: Option<String>,
    /// Programs that this kernel refused to load or attach, with its words.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
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

/// Names to look for in the kernel.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Tracepoints.
    pub tracepoints: Vec<&'static str>,
    /// BPF iterators.
    pub iterators: Vec<&'static str>,
    /// Functions.
    pub functions: Vec<&'static str>,
}

impl Facts {
    /// Reads the facts of this machine; of tracepoints and iterators only the `wanted`
    /// names are looked for.
    ///
    /// # Errors
    /// /proc is not readable.
    pub fn read(wanted: &Wanted) -> Result<Self> {
        let mut facts = Self {
            release: rustix::system::uname().release().to_string_lossy().into_owned(),
            btf: fs::exists(VMLINUX_BTF).unwrap_or(false),
            tracepoints: BTreeSet::new(),
            iterators: BTreeSet::new(),
            functions: BTreeMap::new(),
            fentry_refused: Some("not looked for".to_owned()),
            kprobe_refused: Some("not looked for".to_owned()),
            refused: BTreeMap::new(),
            capabilities: effective_capabilities()?,
            root: rustix::process::geteuid().is_root(),
            init_userns: in_init_userns()?,
            lockdown: lockdown(),
        };
        if facts.btf {
            let names = TypeNames::read(VMLINUX_BTF).context("cannot read the kernel's BTF")?;
            facts.tracepoints = names.present("btf_trace_", &wanted.tracepoints);
            facts.iterators = names.present("bpf_iter__", &wanted.iterators);
        }
        Ok(facts)
    }

    /// The capabilities that tracing programs need and this process lacks.
    pub fn missing_capabilities(&self) -> Vec<&'static str> {
        let has = |bit: u32| self.capabilities & (1 << bit) != 0 || self.has_sys_admin();
        let mut missing = Vec::new();
        if !has(cap::BPF) {
            missing.push("CAP_BPF");
        }
        if !has(cap::PERFMON) {
            missing.push("CAP_PERFMON");
        }
        missing
    }

    /// Tracing programs may keep values in sockets (5.11).
    pub fn socket_storage(&self) -> bool {
        self.functions.contains_key("bpf_sk_storage_tracing_allowed")
    }

    /// Tracing programs may ask for a socket's cookie (5.12).
    pub fn socket_cookie(&self) -> bool {
        self.functions.contains_key("bpf_get_socket_ptr_cookie")
    }

    /// What kprobes leave out is counted (6.7).
    pub fn counts_kprobe_misses(&self) -> bool {
        let reports = self.functions.get("bpf_get_kprobe_info");
        reports.is_some_and(|parameters| parameters.iter().any(|name| name == "missed"))
    }

    fn has_sys_admin(&self) -> bool {
        self.capabilities & (1 << cap::SYS_ADMIN) != 0
    }
}

const VMLINUX_BTF: &str = "/sys/kernel/btf/vmlinux";

/// The string section of a BTF file: every name once, each between two NULs.
///
/// To ask for a name that only one kind of type can have, this is enough, and it costs a
/// tenth of parsing all types, which libbpf does once more anyway.
struct TypeNames(Vec<u8>);

impl TypeNames {
    /// Layout of the header: Documentation/bpf/btf.rst, "BTF Type and String Encoding".
    fn read(path: &str) -> Result<Self> {
        let file = File::open(path)?;
        let mut header = [0; 24];
        file.read_exact_at(&mut header, 0)?;
        let word = |at: usize| {
            u64::from(u32::from_ne_bytes([
                header[at],
                header[at + 1],
                header[at + 2],
                header[at + 3],
            ]))
        };
        ensure!(header[..2] == 0xeb9f_u16.to_ne_bytes(), "{path} is not BTF of this machine");
        let (header_len, offset, length) = (word(4), word(16), word(20));
        let mut strings = vec![0; usize::try_from(length)?];
        file.read_exact_at(&mut strings, header_len + offset)?;
        Ok(Self(strings))
    }

    fn present(&self, prefix: &str, names: &[&str]) -> BTreeSet<String> {
        let stands = |name: &&&str| {
            let between_nuls = format!("\0{prefix}{name}\0");
            memmem::find(&self.0, between_nuls.as_bytes()).is_some()
        };
        names.iter().filter(stands).map(|name| (*name).to_owned()).collect()
    }
}

fn effective_capabilities() -> Result<u64> {
    let status =
        fs::read_to_string("/proc/self/status").context("cannot read /proc/self/status")?;
    status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
        .context("/proc/self/status has no CapEff line")
}

/// Only the first user namespace maps all ids onto themselves.
fn in_init_userns() -> Result<bool> {
    let map = fs::read_to_string("/proc/self/uid_map").context("cannot read /proc/self/uid_map")?;
    Ok(map.split_whitespace().eq(["0", "0", "4294967295"]))
}

/// The word in brackets is the one in force; no file (or no right to read it): none known.
fn lockdown() -> Lockdown {
    let text = fs::read_to_string("/sys/kernel/security/lockdown").unwrap_or_default();
    if text.contains("[confidentiality]") {
        Lockdown::Confidentiality
    } else if text.contains("[integrity]") {
        Lockdown::Integrity
    } else {
        Lockdown::None
    }
}
