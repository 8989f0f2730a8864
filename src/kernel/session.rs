//! Carries a plan out: open, configure, load, attach. The only place that calls libbpf.

use std::fs;
use std::io::Read;
use std::mem;
use std::os::fd::{AsFd, AsRawFd};

use anyhow::{Context, Result};
use libbpf_rs::query::{LinkTypeInfo, PerfEventLinkInfo, PerfEventType};
use libbpf_rs::{
    Iter, Link, MapCore, MapFlags, MapHandle, MapType, Object, ObjectBuilder, OpenObject,
    ProgramMut,
};

use super::attach::AttachMethod;
use super::error::{self, LoadError, explain};
use super::facts::Facts;
use super::plan::Plan;
use crate::wire::{self, Record as _};

/// What a tool writes into its programs before they are loaded.
#[derive(Debug)]
pub struct Setup {
    /// The compiled object.
    pub object: &'static [u8],
    /// Shared filter flags.
    pub filter: wire::Filter,
    /// Everything else.
    pub options: wire::Options,
    /// Entries (ring buffer: bytes) of maps that are sized at start.
    pub map_sizes: Vec<(&'static str, u32)>,
    /// Keep and print what libbpf and the verifier say.
    pub verbose: bool,
}

impl Setup {
    /// Gives a map that some plans need these entries, or one where nothing uses it.
    pub fn size_if(&mut self, used: bool, map: &'static str, entries: u32) {
        self.map_sizes.push((map, if used { entries } else { 1 }));
    }
}

/// Loaded and attached programs. Dropping it leaves nothing behind in the kernel: programs,
/// maps and links live by its file descriptors alone, kill -9 included.
#[derive(Debug)]
pub struct Session {
    links: Vec<Link>,
    object: Object,
    plan: Plan,
    may_copy: bool,
    stats: Option<MapHandle>,
}

/// Read from an iterator at once.
const READ_BYTES: usize = 256 << 10;

impl Session {
    /// Loads and attaches what the plan says.
    ///
    /// # Errors
    /// A [`LoadError`]: with [`Forbidden`](super::error::StartError::Forbidden) where rights explain it; else libbpf's own words.
    pub fn start(plan: Plan, facts: &Facts, setup: &Setup) -> Result<Self, LoadError> {
        let mut session = Self::load(plan, facts, setup)?;
        session.attach(facts)?;
        Ok(session)
    }

    fn load(plan: Plan, facts: &Facts, setup: &Setup) -> Result<Self, LoadError> {
        error::listen(setup.verbose);
        let mut open = ObjectBuilder::default()
            .open_memory(setup.object)
            .context("cannot open the compiled BPF object")?;
        configure(&mut open, &plan, setup)?;
        let object = open.load().map_err(|error| explain(&error, None, facts))?;
        let may_copy = setup.options.may_copy != 0;
        let mut session = Self { links: Vec::new(), object, plan, may_copy, stats: None };
        session.stats = Some(session.map("stats")?);
        Ok(session)
    }

    fn attach(&mut self, facts: &Facts) -> Result<(), LoadError> {
        for name in self.watching() {
            let attached = self.program(name)?.attach();
            self.links.push(attached.map_err(|error| explain(&error, Some(name), facts))?);
        }
        Ok(())
    }

    /// Names of the programs that run when something happens, each once.
    fn watching(&self) -> Vec<&'static str> {
        let mut names = Vec::new();
        for (_, program) in self.plan.programs().filter(|(kind, _)| kind.watches()) {
            if !names.contains(&program.name) {
                names.push(program.name);
            }
        }
        names
    }

    /// The plan that was carried out.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Whether its programs may copy kernel memory.
    pub fn may_copy(&self) -> bool {
        self.may_copy
    }

    /// Ends it, leaving the plan that was carried out.
    pub fn into_plan(self) -> Plan {
        self.plan
    }

    fn program(&self, name: &str) -> Result<ProgramMut<'_>> {
        self.object
            .progs_mut()
            .find(|program| program.name() == name)
            .with_context(|| format!("no program {name} in the BPF object"))
    }

    /// A handle on a map of the object.
    pub fn map(&self, name: &str) -> Result<MapHandle> {
        let map = self
            .object
            .maps()
            .find(|map| map.name() == name)
            .with_context(|| format!("no map {name} in the BPF object"))?;
        MapHandle::try_from(&map).with_context(|| format!("cannot duplicate map {name}"))
    }

    /// Runs an iterator program to its end and hands over what it wrote, record by record.
    ///
    /// # Errors
    /// The iterator cannot be created or read.
    pub fn iterate(&self, program: &str, size: usize, each: impl FnMut(&[u8])) -> Result<()> {
        let link = self.program(program)?.attach().context("cannot attach an iterator")?;
        read_all(&link, size, each)
    }

    /// Likewise an iterator over the entries of a map.
    ///
    /// # Errors
    /// As of [`Session::iterate`].
    pub fn iterate_map(
        &self,
        program: &str,
        map: &MapHandle,
        size: usize,
        each: impl FnMut(&[u8]),
    ) -> Result<()> {
        read_all(&self.iterator_over(program, map)?, size, each)
    }

    /// An iterator over the entries of a map, for [`read_all`].
    ///
    /// # Errors
    /// It cannot be created.
    pub fn iterator_over(&self, program: &str, map: &MapHandle) -> Result<Link> {
        let program = self.program(program)?;
        program.attach_iter(map.as_fd()).context("cannot attach an iterator")
    }

    /// Counters of all CPUs, added up.
    pub fn stats(&self) -> Result<wire::Stats> {
        let map = self.stats.as_ref().context("no map stats in the BPF object")?;
        let cpus = map
            .lookup_percpu(&0u32.to_ne_bytes(), MapFlags::ANY)
            .context("cannot read the map stats")?
            .unwrap_or_default();
        Ok(wire::Stats::sum(cpus.iter().map(Vec::as_slice)))
    }

    /// Runs of our programs that the kernel left out because a program was already running on
    /// that CPU, and returns that a kretprobe did not see; `None` where the kernel does not say
    /// (before 5.12, with kprobes before 6.7), or not to us.
    pub fn missed(&self, facts: &Facts) -> Option<u64> {
        if self.plan.uses(AttachMethod::Kprobe) && !facts.counts_kprobe_misses() {
            return None;
        }
        let recursion = self.watching().into_iter().map(|name| {
            let fd = self.program(name).ok()?.as_fd().as_raw_fd();
            let info = fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).ok()?;
            let line = info.lines().find_map(|l| l.strip_prefix("recursion_misses:"))?;
            line.trim().parse::<u64>().ok()
        });
        let returns = self.links.iter().map(|link| match link.info().ok()?.info {
            LinkTypeInfo::PerfEvent(PerfEventLinkInfo {
                event_type: PerfEventType::Kprobe { missed, .. },
                ..
            }) => Some(missed),
            _ => Some(0),
        });
        recursion.chain(returns).sum()
    }

    /// What the programs that watch have cost so far: ns and runs; `None` where the kernel does not
    /// measure it (sysctl `kernel.bpf_stats_enabled`).
    pub fn run_time(&self) -> Option<(u64, u64)> {
        if fs::read_to_string("/proc/sys/kernel/bpf_stats_enabled").ok()?.trim() == "0" {
            return None;
        }
        let mut sums = (0, 0);
        for name in self.watching() {
            let fd = self.program(name).ok()?.as_fd().as_raw_fd();
            let info = fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).ok()?;
            let value = |key: &str| -> Option<u64> {
                info.lines().find_map(|line| line.strip_prefix(key))?.trim().parse().ok()
            };
            sums.0 += value("run_time_ns:")?;
            sums.1 += value("run_cnt:")?;
        }
        Some(sums)
    }

    /// Takes the programs off their hooks; maps stay readable.
    pub fn detach(&mut self) {
        drop(mem::take(&mut self.links));
    }
}

/// Runs an iterator to its end.
///
/// # Errors
/// It cannot be read.
pub fn read_all(link: &Link, size: usize, mut each: impl FnMut(&[u8])) -> Result<()> {
    let mut iter = Iter::new(link).context("cannot start an iterator")?;
    let mut buffer = vec![0; (READ_BYTES / size).max(1) * size];
    let mut filled = 0;
    loop {
        let read = match iter.read(&mut buffer[filled..]) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error).context("cannot read an iterator"),
        };
        filled += read;
        let whole = filled - filled % size;
        buffer[..whole].chunks_exact(size).for_each(&mut each);
        buffer.copy_within(whole..filled, 0);
        filled -= whole;
    }
}

fn configure(open: &mut OpenObject, plan: &Plan, setup: &Setup) -> Result<()> {
    for mut program in open.progs_mut() {
        let planned = plan.programs().any(|(_, planned)| program.name() == planned.name);
        program.set_autoload(planned);
    }
    for mut map in open.maps_mut() {
        let name = map.name().to_string_lossy().into_owned();
        match name.as_str() {
            ".rodata.filter" => map.set_initial_value(setup.filter.as_bytes()),
            ".rodata.options" => map.set_initial_value(setup.options.as_bytes()),
            // Kernels that refuse socket storage must not be asked for the map either.
            _ if map.map_type() == MapType::SkStorage => {
                map.set_autocreate(setup.options.use_hash == 0)
            }
            _ => match setup.map_sizes.iter().find(|(sized, _)| *sized == name) {
                Some((_, size)) => map.set_max_entries(*size),
                None => Ok(()),
            },
        }
        .with_context(|| format!("cannot configure map {name}"))?;
    }
    Ok(())
}
