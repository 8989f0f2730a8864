//! Runs a plan: open, configure, load, attach.

use std::cell::OnceCell;
use std::fs;
use std::mem;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use libbpf_rs::libbpf_sys::BPF_F_NO_PREALLOC;
use libbpf_rs::query::{LinkTypeInfo, PerfEventLinkInfo, PerfEventType};
use libbpf_rs::{
    Link, MapCore, MapHandle, MapType, Object, ObjectBuilder, OpenObject, ProgramInput, ProgramMut,
};

use super::attach::{AttachMethod, Hook};
use super::btf_subset::SubsetFile;
use super::error::{self, LoadError, explain};
use super::facts::Facts;
use super::map::{Map, MapDef};
use super::plan::Plan;
use super::program_info::ProgramInfos;
use super::reader::{MapReader, RecordIter, RecordReader};
use crate::hooks::maps;
use crate::wire::{self, Record as _, Section};

/// What a tool writes into its programs before they are loaded.
#[derive(Debug)]
pub struct Setup {
    /// The compiled object.
    pub object: &'static [u8],
    /// Shared filter flags.
    pub filter: wire::Filter,
    /// The namespace and cgroup that the filter flags name at the start.
    pub wanted: wire::Wanted,
    /// What all programs are reported.
    pub options: wire::Options,
    /// Options of the object's subjects: sections and their contents, see [`Setup::set_options`].
    pub subjects: Vec<(&'static str, Vec<u8>)>,
    /// Entries (ring buffer: bytes) of maps that are sized at start.
    pub map_sizes: Vec<(MapDef, u32)>,
    /// Maps whose entries are made when they are needed: see [`Setup::grow`].
    pub growing: Vec<MapDef>,
    /// Keep and print what libbpf and the verifier say.
    pub verbose: bool,
}

impl Setup {
    /// An object with the filter of its programs, and nothing else set.
    pub fn new(
        object: &'static [u8],
        (filter, wanted): (wire::Filter, wire::Wanted),
        verbose: bool,
    ) -> Self {
        let options = wire::Options::default();
        let (subjects, map_sizes, growing) = (Vec::new(), Vec::new(), Vec::new());
        Self { object, filter, wanted, options, subjects, map_sizes, growing, verbose }
    }

    /// Has entries of maps made when they are needed, where the kernel can do so in any context: all of a map per CPU take a
    /// millisecond per thousand at the start. It is for maps whose keys do not come in their thousands at once.
    pub fn grow(&mut self, maps: &[MapDef]) {
        self.growing.extend_from_slice(maps);
    }

    /// Gives a map that some plans need these entries, or one where nothing uses it.
    pub fn size_if(&mut self, used: bool, map: MapDef, entries: u32) {
        self.map_sizes.push((map, if used { entries } else { 1 }));
    }

    /// Gives the programs of a subject their options.
    pub fn set_options<S: Section>(&mut self, options: &S) {
        self.subjects.push((S::NAME, options.as_bytes().to_vec()));
    }
}

/// Loaded and attached programs. Dropping it leaves nothing behind in the kernel: programs,
/// maps and links live only as long as its file descriptors, also after kill -9.
#[derive(Debug)]
pub struct Session {
    links: Vec<Link>,
    object: Object,
    plan: Plan,
    may_copy: bool,
    stats: Option<Map>,
    infos: OnceCell<Option<ProgramInfos>>,
    attached: Instant,
}

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
        // Without it libbpf takes longer.
        let types = SubsetFile::of_kernel().ok();
        let mut builder = ObjectBuilder::default();
        if let Some(types) = &types {
            builder.btf_custom_path(types.path()).context("cannot hand over the kernel's types")?;
        }
        let mut open =
            builder.open_memory(setup.object).context("cannot open the compiled BPF object")?;
        configure(&mut open, &plan, setup)?;
        let object = open.load().map_err(|error| explain(&error, None, facts))?;
        let may_copy = setup.options.may_copy != 0;
        let mut session = Self {
            links: Vec::new(),
            object,
            plan,
            may_copy,
            stats: None,
            infos: OnceCell::new(),
            attached: Instant::now(),
        };
        session.stats = Some(session.map(maps::STATS)?);
        Ok(session)
    }

    fn attach(&mut self, facts: &Facts) -> Result<(), LoadError> {
        for name in self.watching() {
            let attached = self.program(name)?.attach();
            self.links.push(attached.map_err(|error| explain(&error, Some(name), facts))?);
        }
        self.attached = Instant::now();
        Ok(())
    }

    /// How long all programs have been attached.
    pub fn watched(&self) -> Duration {
        self.attached.elapsed()
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

    /// A map of the object.
    ///
    /// # Errors
    /// The object has no such map.
    pub fn map(&self, map: MapDef) -> Result<Map> {
        let name = map.name();
        let map = self
            .object
            .maps()
            .find(|map| map.name() == name)
            .with_context(|| format!("no map {name} in the BPF object"))?;
        MapHandle::try_from(&map).map(Map).with_context(|| format!("cannot duplicate map {name}"))
    }

    /// Runs the iterator that serves a hook to its end, and hands over what it wrote, in records of
    /// `size` bytes. Nothing happens where the plan leaves the hook unserved.
    ///
    /// # Errors
    /// The iterator cannot be created or read.
    pub fn iterate(&self, hook: &Hook, size: usize, mut each: impl FnMut(&[u8])) -> Result<()> {
        for program in self.plan.programs_of(hook) {
            let link = self.program(program.name)?.attach();
            RecordIter(link.context("cannot attach an iterator")?).read(size, &mut each)?;
        }
        Ok(())
    }

    /// The iterators that serve a hook, to be read in records of `size` bytes, as many at a time as fit in
    /// `room` bytes, at least one.
    ///
    /// # Errors
    /// One cannot be started.
    pub fn readers(&self, hook: &Hook, size: usize, room: usize) -> Result<Vec<RecordReader>> {
        let programs = self.plan.programs_of(hook);
        programs
            .map(|program| {
                let link = self.program(program.name)?.attach();
                RecordReader::new(&link.context("cannot attach an iterator")?, size, room)
            })
            .collect()
    }

    /// What serves a hook, for the entries of a map: its iterator, or a look into it.
    ///
    /// # Errors
    /// It cannot be created, or the plan leaves the hook unserved.
    pub fn map_reader(&self, hook: &Hook, map: &Map) -> Result<MapReader> {
        if self.plan.method_of(hook) == Some(AttachMethod::Lookup) {
            return Ok(MapReader::Lookup(map.try_clone()?));
        }
        let planned = self.plan.programs_of(hook).next();
        let program = planned.with_context(|| format!("no program serves {}", hook.name))?;
        let link = self.program(program.name)?.attach_iter(map.as_fd());
        link.map(|link| MapReader::Iterator(RecordIter(link))).context("cannot attach an iterator")
    }

    /// Has the programs of a hook whose map is looked into do what its iterator does with an entry.
    ///
    /// # Errors
    /// The kernel refuses to run one.
    pub fn prepare(&self, hook: &Hook, key: &[u8]) -> Result<()> {
        for program in self.plan.programs_of(hook) {
            let mut context = key.to_vec();
            let input = ProgramInput { context_in: Some(&mut context), ..ProgramInput::default() };
            let run = self.program(program.name)?.test_run(input);
            run.with_context(|| format!("cannot run {}", program.name))?;
        }
        Ok(())
    }

    /// Counters of all CPUs, added up.
    pub fn stats(&self) -> Result<wire::Stats> {
        let map = self.stats.as_ref().context("no map stats in the BPF object")?;
        let cpus = map.lookup_percpu(&0u32.to_ne_bytes())?.unwrap_or_default();
        Ok(wire::Stats::sum(cpus.iter().map(Vec::as_slice)))
    }

    /// Runs of our programs that the kernel left out because a program was already running on
    /// that CPU, and returns that a kretprobe did not see; `None` where the kernel does not say
    /// (before 5.12, with kprobes before 6.7), or not to us.
    pub fn missed(&self, facts: &Facts) -> Option<u64> {
        if self.plan.uses(AttachMethod::Kprobe) && !facts.counts_kprobe_misses() {
            return None;
        }
        let recursion = self.infos()?.sum("recursion_misses")?;
        // Others have no number of their own.
        let probes = if self.plan.uses(AttachMethod::Kprobe) { self.links.as_slice() } else { &[] };
        let returns = probes.iter().map(|link| match link.info().ok()?.info {
            LinkTypeInfo::PerfEvent(PerfEventLinkInfo {
                event_type: PerfEventType::Kprobe { missed, .. },
                ..
            }) => Some(missed),
            _ => Some(0),
        });
        Some(recursion + returns.sum::<Option<u64>>()?)
    }

    /// Of the programs that watch.
    fn infos(&self) -> Option<&ProgramInfos> {
        let open = || {
            let programs = self.watching().into_iter().map(|name| self.program(name).ok());
            let programs: Vec<_> = programs.collect::<Option<_>>()?;
            ProgramInfos::open(programs.iter().map(AsFd::as_fd))
        };
        self.infos.get_or_init(open).as_ref()
    }

    /// What the programs that watch have cost so far: ns and runs; `None` where the kernel does not
    /// measure it (sysctl `kernel.bpf_stats_enabled`).
    pub fn run_time(&self) -> Option<(u64, u64)> {
        if fs::read_to_string("/proc/sys/kernel/bpf_stats_enabled").ok()?.trim() == "0" {
            return None;
        }
        let infos = self.infos()?;
        Some((infos.sum("run_time_ns")?, infos.sum("run_cnt")?))
    }

    /// Whether programs are on their hooks.
    pub fn is_attached(&self) -> bool {
        !self.links.is_empty()
    }

    /// Takes the programs off their hooks; maps stay readable.
    pub fn detach(&mut self) {
        drop(mem::take(&mut self.links));
    }
}

fn configure(open: &mut OpenObject, plan: &Plan, setup: &Setup) -> Result<()> {
    for mut program in open.progs_mut() {
        let planned = plan.programs().any(|(_, planned)| program.name() == planned.name);
        program.set_autoload(planned);
    }
    let section = |name: &str| match name {
        wire::Filter::NAME => Some(setup.filter.as_bytes()),
        wire::Wanted::NAME => Some(setup.wanted.as_bytes()),
        wire::Options::NAME => Some(setup.options.as_bytes()),
        _ => setup.subjects.iter().find(|(known, _)| *known == name).map(|(_, bytes)| &**bytes),
    };
    for mut map in open.maps_mut() {
        let name = map.name().to_string_lossy().into_owned();
        let configured = if let Some(bytes) = section(&name) {
            map.set_initial_value(bytes)
        } else if name.starts_with(".rodata.") {
            bail!("the options of section {name} are missing");
        } else if map.map_type() == MapType::SkStorage {
            // Kernels that refuse socket storage must not be asked for the map either.
            map.set_autocreate(setup.options.use_hash == 0)
        } else if let Some((_, size)) =
            setup.map_sizes.iter().find(|(sized, _)| sized.name() == name)
        {
            map.set_max_entries(*size)
        } else {
            Ok(())
        };
        configured.with_context(|| format!("cannot configure map {name}"))?;
        if setup.growing.iter().any(|growing| growing.name() == name) {
            let flags = map.set_map_flags(BPF_F_NO_PREALLOC);
            flags.with_context(|| format!("cannot set the flags of map {name}"))?;
        }
    }
    Ok(())
}
