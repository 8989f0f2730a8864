//! The BPF side, as it is compiled: nothing is loaded, no rights are needed.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, thread};

use libbpf_rs::ObjectBuilder;
use tcpscope::kernel::attach::AttachMethod;
use tcpscope::kernel::facts::Facts;
use tcpscope::kernel::plan::PlanRequest;
use tcpscope::latency::{Kinds, LatencyKind, spec_of};
use tcpscope::registry::{TOOLS, modes};
use tcpscope::tool::{Spec, Tool};

/// Name and contents of every object that build.rs compiles.
const OBJECTS: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/objects.rs"));

/// Those of build.rs. A header that declares what an object defines is alone here.
const CLANG_ARGS: [&str; 10] = [
    "-target",
    "bpf",
    "-mcpu=v3",
    "-fsyntax-only",
    "-Ibpf",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-Wno-unused-parameter",
    "-Wno-undefined-internal",
];

/// What every mode of every tool watches; `tcplatency --kind accept` asks for one hook more.
fn specs() -> impl Iterator<Item = &'static Spec> {
    let accept = spec_of(Kinds::of(&[LatencyKind::Accept]), true, false);
    modes().map(|(_, mode)| mode.spec).chain([accept])
}

/// A program: how it attaches, to what, its name.
type Program = (&'static str, String, String);

/// Those of all tools that load this object: tcpdash and tcpdoctor share one.
fn named_by_tables(object: &[u8]) -> BTreeSet<Program> {
    let tools: Vec<_> =
        watching().filter(|tool| tool.object == object).map(|tool| tool.name).collect();
    let specs = specs().filter(|spec| tools.contains(&spec.name));
    let hooks = specs.flat_map(|spec| spec.hooks.iter().chain(spec.hash_hooks));
    hooks
        .flat_map(|hook| hook.attach)
        .flat_map(|attach| {
            attach.programs().map(|program| {
                // Of a lookup the target is a map, and its program attaches to nothing.
                let attaches = attach.kind != AttachMethod::Lookup;
                let target = if attaches { program.target } else { "" };
                (attach.kind.name(), target.to_owned(), program.name.to_owned())
            })
        })
        .collect()
}

/// How a program in a section attaches, and to what.
fn attaches(section: &str) -> (&'static str, &str) {
    let (prefix, target) = section.split_once('/').unwrap_or((section, ""));
    let method = match prefix {
        "fentry" | "fexit" => AttachMethod::Fentry,
        "kprobe" | "kretprobe" => AttachMethod::Kprobe,
        "tp_btf" => AttachMethod::Tracepoint,
        "raw_tp" if target.is_empty() => AttachMethod::Lookup,
        "raw_tp" => AttachMethod::RawTracepoint,
        "iter" => AttachMethod::Iterator,
        _ => panic!("section {section}: unknown to the hook tables"),
    };
    (method.name(), target)
}

fn in_object(bytes: &[u8]) -> BTreeSet<Program> {
    let object = ObjectBuilder::default().open_memory(bytes).expect("an object");
    object
        .progs()
        .map(|program| {
            let section = program.section().to_string_lossy().into_owned();
            let (method, target) = attaches(&section);
            (method, target.to_owned(), program.name().to_string_lossy().into_owned())
        })
        .collect()
}

/// In both directions: a table names no program that is missing or attached elsewhere, and an object has no
/// program that no table of its tools names.
#[test]
fn hook_tables_and_objects_have_the_same_programs_and_targets() {
    for tool in watching() {
        let name = tool.name;
        let in_tables = named_by_tables(tool.object);
        assert_eq!(in_tables, in_object(tool.object), "{name}: tables, object");
    }
}

/// Tools with an object, which are those with modes.
fn watching() -> impl Iterator<Item = &'static Tool> {
    TOOLS.into_iter().filter(|tool| !tool.object.is_empty())
}

#[test]
fn every_tool_of_the_tables_has_an_object() {
    let objects: BTreeSet<_> = watching().map(|tool| tool.name).collect();
    let tools: BTreeSet<_> = specs().map(|spec| spec.name).collect();
    assert_eq!(objects, tools);
}

#[test]
fn objects_of_the_tools_are_all_that_are_compiled() {
    let compiled: BTreeSet<_> = OBJECTS.iter().copied().collect();
    let carried: BTreeSet<_> = watching().map(|tool| (tool.name, tool.object)).collect();
    assert!(compiled.is_subset(&carried), "an object of bpf/ that no tool of its name carries");
    // tcpdoctor measures what tcpdash does.
    let is_compiled = |object: &[u8]| compiled.iter().any(|(_, known)| *known == object);
    assert!(carried.iter().all(|(_, object)| is_compiled(object)), "an object that is not of bpf/");
}

fn headers(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of bpf/") {
        let path = entry.expect("its entry").path();
        if path.is_dir() {
            headers(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "h") {
            found.push(path);
        }
    }
}

/// What clang says of a file that includes this header alone; empty if nothing.
fn compile(clang: &OsString, header: &Path, arch: &str, work: &Path) -> String {
    let source = work.join(header.to_string_lossy().replace('/', "_") + arch + ".c");
    let include = header.strip_prefix("bpf").expect("a header of bpf/");
    fs::write(&source, format!("#include \"{}\"\n", include.display())).expect("a source file");
    let output = Command::new(clang)
        .args(CLANG_ARGS)
        .arg(format!("-D__TARGET_ARCH_{arch}"))
        .arg("-I")
        .arg(work)
        .arg(&source)
        .output()
        .expect("clang runs");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// So the order of includes does not matter: each includes what it uses.
#[test]
fn every_header_compiles_alone() {
    env::set_current_dir(env!("CARGO_MANIFEST_DIR")).expect("the repository");
    let work = tempfile::tempdir().expect("a temporary folder");
    fs::create_dir(work.path().join("bpf")).expect("a folder for libbpf's headers");
    for (name, text) in libbpf_sys::API_HEADERS {
        fs::write(work.path().join("bpf").join(name), text).expect("libbpf's header");
    }
    let clang = env::var_os("CLANG").unwrap_or_else(|| "clang".into());
    let mut found = Vec::new();
    headers(Path::new("bpf"), &mut found);
    assert!(found.len() > 30, "{found:?}");
    let faults: Vec<_> = thread::scope(|scope| {
        let arches = ["x86", "arm64"].map(|arch| {
            let (clang, work, found) = (&clang, work.path(), &found);
            scope.spawn(move || {
                found.iter().map(|header| compile(clang, header, arch, work)).collect::<String>()
            })
        });
        arches.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    assert_eq!(faults.concat(), "");
}

/// What each mode loads without flags: programs, and instructions of theirs as compiled.
const SIZES: &str = "tests/bpf-sizes.tsv";

fn facts(kernel: &str) -> Facts {
    let text = fs::read_to_string(format!("tests/facts/{kernel}.json")).expect("facts");
    serde_json::from_str(&text).expect("facts")
}

/// Instructions of each program of an object.
fn instructions(object: &[u8]) -> BTreeMap<String, usize> {
    let mut builder = ObjectBuilder::default();
    let open = builder.open_memory(object).expect("an object");
    open.progs().map(|one| (one.name().to_string_lossy().into(), one.insn_cnt())).collect()
}

/// Which kernel, tool and mode; programs and instructions.
fn sizes() -> BTreeMap<String, [usize; 2]> {
    let mut found = BTreeMap::new();
    for kernel in ["debian-5.10", "debian-7.2", "hardened-6.18"] {
        let facts = facts(kernel);
        for (tool, mode) in modes() {
            let instructions = instructions(tool.object);
            let plan = mode.spec.plan(&facts, PlanRequest::default()).expect("a plan");
            let names: BTreeSet<_> = plan.programs().map(|(_, program)| program.name).collect();
            let sum = names.iter().map(|name| instructions[*name]).sum();
            let mode = mode.flag.unwrap_or("-");
            found.insert(format!("{kernel}\t{}\t{mode}", tool.name), [names.len(), sum]);
        }
    }
    found
}

/// What a tool loads is part of its cost and of its start. Compilers differ by some instructions.
#[test]
fn tools_load_no_more_than_is_recorded() {
    const PERCENT: usize = 10;
    let found = sizes();
    if env::var_os("UPDATE_SIZES").is_some() {
        let head = "# What each mode loads; `UPDATE_SIZES=1 cargo test --test bpf` writes it.\n\
                    # facts\ttool\tmode\tprograms\tinstructions\n";
        let lines =
            found.iter().map(|(mode, [programs, sum])| format!("{mode}\t{programs}\t{sum}\n"));
        fs::write(SIZES, head.to_owned() + &lines.collect::<String>()).expect("a file");
        return;
    }
    let text = fs::read_to_string(SIZES).expect("sizes");
    let recorded: BTreeMap<_, _> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let mut fields = line.rsplitn(3, '\t');
            let mut number =
                || fields.next().and_then(|field| field.parse().ok()).expect("a number");
            let [sum, programs]: [usize; 2] = [number(), number()];
            (fields.next().expect("a mode").to_owned(), [programs, sum])
        })
        .collect();
    let modes =
        |sizes: &BTreeMap<String, [usize; 2]>| -> Vec<_> { sizes.keys().cloned().collect() };
    assert_eq!(modes(&found), modes(&recorded), "UPDATE_SIZES=1 records the modes there are");
    for (mode, now) in &found {
        let before = recorded[mode];
        let near = now[1].abs_diff(before[1]) * 100 <= before[1] * PERCENT;
        assert!(
            now[0] == before[0] && near,
            "{mode}: programs and instructions {now:?}, recorded {before:?}; UPDATE_SIZES=1 if that is meant"
        );
    }
}
