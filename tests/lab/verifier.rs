//! What the verifier of the running kernel has to do for every program of every tool.
//!
//! Each program is loaded once with sockets kept in socket storage, where the kernel allows that, and once
//! in a hash map (with `--as-planned` only where there is no storage), and never attached. One line each, separated by tabs: object, program, where sockets are kept,
//! instructions processed, or `refused` and the reason. Nothing is left away that a flag can ask for,
//! but for events instead of sums and for filters.

use std::sync::{Mutex, PoisonError};
use std::{env, mem};

use anyhow::{Context, Result};
use libbpf_rs::{MapType, ObjectBuilder, OpenObject, PrintLevel, set_print};
use tcpscope::group::GroupBy;
use tcpscope::kernel::btf_subset::SubsetFile;
use tcpscope::kernel::facts::Facts;
use tcpscope::latency::Kinds;
use tcpscope::registry::wanted;
use tcpscope::wire::{
    CountOptions, LatencyOptions, ListenOptions, Options, Section, StatesOptions,
};

const OBJECTS: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/objects.rs"));

/// `BPF_LOG_STATS` of the kernel's `bpf_verifier.h`: sums at the end, not every step.
const LOG_STATS: u32 = 4;

type Verdict = Result<u64, String>;

/// What libbpf and the verifier said about the programs at hand.
static SAID: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Where libbpf quotes the verifier.
const LOG_BEGIN: &str = "-- BEGIN PROG LOAD LOG --";

fn keep(level: PrintLevel, text: String) {
    if level == PrintLevel::Warn || text.contains(LOG_BEGIN) {
        SAID.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    }
}

/// What is written into an object before it is loaded.
struct Given<'a> {
    types: &'a SubsetFile,
    use_hash: bool,
    sections: Vec<(&'static str, Vec<u8>)>,
}

fn section<S: Section>(options: &S) -> (&'static str, Vec<u8>) {
    (S::NAME, options.as_bytes().to_vec())
}

/// Options that make programs longest.
fn options<'a>(types: &'a SubsetFile, facts: &Facts, object: &str, use_hash: bool) -> Given<'a> {
    let by = GroupBy::Connection;
    let mut options = Options {
        use_hash: u32::from(use_hash),
        task_by_helpers: u32::from(!facts.current_task()),
        nr_cpus: 1,
        want_cgroup: 1,
        may_copy: 1,
        pair_fexit: 1,
        ..Options::default()
    };
    by.configure(&mut options);
    let states = StatesOptions {
        events: u32::from(object == "tcpstates"),
        mark_closing: 1,
        know_end_cause: 1,
        ..StatesOptions::default()
    };
    let by = by.as_wire() as u32;
    let kinds = Kinds::DEFAULT.bits();
    // No keys at all would end the programs early.
    let latency = LatencyOptions { kinds, by, max_keys: 1, ..LatencyOptions::default() };
    let child_storage = u32::from(!use_hash);
    let sections = vec![
        section(&options),
        section(&states),
        section(&CountOptions { by, light: 0 }),
        section(&latency),
        section(&ListenOptions { events: 1, child_storage, waits: 1 }),
    ];
    Given { types, use_hash, sections }
}

/// The object with some of its programs to load.
fn open(object: &[u8], programs: &[String], given: &Given<'_>) -> Result<OpenObject> {
    let mut builder = ObjectBuilder::default();
    builder.btf_custom_path(given.types.path())?;
    let mut open = builder.open_memory(object).context("cannot open the object")?;
    for mut one in open.progs_mut() {
        let wanted = programs.iter().any(|name| one.name() == name.as_str());
        one.set_autoload(wanted);
        one.set_log_level(LOG_STATS);
    }
    for mut map in open.maps_mut() {
        let name = map.name().to_string_lossy().into_owned();
        if let Some((_, options)) = given.sections.iter().find(|(section, _)| *section == name) {
            map.set_initial_value(options)?;
        } else if map.map_type() == MapType::SkStorage {
            // Kernels that refuse socket storage must not be asked for the map either.
            map.set_autocreate(!given.use_hash)?;
        }
    }
    Ok(open)
}

/// Of each program: instructions processed, or why the kernel refused it. libbpf loads them in their
/// order and stops at the first that is refused; it goes on with those behind it.
fn verify(object: &[u8], programs: &[String], given: &Given<'_>) -> Result<Vec<Verdict>> {
    let mut found = Vec::new();
    while found.len() < programs.len() {
        let left = &programs[found.len()..];
        let open = open(object, left, given)?;
        SAID.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let loaded = open.load();
        let said = mem::take(&mut *SAID.lock().unwrap_or_else(PoisonError::into_inner));
        let of = |program: &String| -> String {
            let name = format!("prog '{program}': ");
            said.iter().filter(|text| text.contains(&name)).map(String::as_str).collect()
        };
        let refused = match &loaded {
            Ok(_) => left.len(),
            Err(error) => left
                .iter()
                .rposition(|program| !of(program).is_empty())
                .with_context(|| format!("no program is to blame: {error}: {said:?}"))?,
        };
        for program in &left[..refused] {
            let said = of(program);
            found.push(Ok(processed(&said).with_context(|| format!("no sums in {said:?}"))?));
        }
        if let Err(error) = loaded {
            found.push(Err(format!("{}: {error}", reason(&of(&left[refused])))));
        }
    }
    Ok(found)
}

/// `processed N insns (limit ...`
fn processed(said: &str) -> Option<u64> {
    said.rsplit_once("processed ")?.1.split(' ').next()?.parse().ok()
}

/// The verifier's last line before its sums says why; without its log, libbpf's first.
fn reason(said: &str) -> String {
    let log = said.split(LOG_BEGIN).nth(1).unwrap_or_default();
    let log = log.split("verification time ").next().unwrap_or_default();
    let telling = |line: &&str| {
        // Lines of source are quoted after a semicolon.
        !line.is_empty() && !line.starts_with(';') && !line.contains("RLIMIT_MEMLOCK")
    };
    let last = log.lines().map(str::trim).rfind(telling);
    last.or_else(|| said.lines().map(str::trim).find(telling)).unwrap_or_default().to_owned()
}

fn main() -> Result<()> {
    set_print(Some((PrintLevel::Debug, keep)));
    let facts = Facts::read(&wanted())?;
    let types = SubsetFile::of_kernel()?;
    let as_planned = env::args().any(|argument| argument == "--as-planned");
    for (name, object) in OBJECTS {
        let open =
            ObjectBuilder::default().open_memory(object).context("cannot open the object")?;
        let programs: Vec<_> =
            open.progs().map(|one| one.name().to_string_lossy().into_owned()).collect();
        for (kept, use_hash) in [("storage", false), ("hash", true)] {
            let planned = use_hash != facts.socket_storage();
            // Where there is no storage, no plan keeps sockets in it.
            if !planned && (as_planned || !use_hash) {
                continue;
            }
            let verdicts = verify(object, &programs, &options(&types, &facts, name, use_hash))?;
            for (program, found) in programs.iter().zip(verdicts) {
                let found = found.map_or_else(|why| format!("refused\t{why}"), |n| n.to_string());
                println!("{name}\t{program}\t{kept}\t{found}");
            }
        }
    }
    Ok(())
}
