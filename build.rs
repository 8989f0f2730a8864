//! Compiles every `bpf/*.bpf.c` into `OUT_DIR/*.bpf.o`, which the tools carry inside them, and lists
//! them in `OUT_DIR/objects.rs`, a slice of names and contents; `OUT_DIR/type_names.rs` has the names of
//! the types in them. `bpf/wire.bpf.c` is no tool: from its
//! BTF come the Rust types of everything that crosses between C and Rust.

use std::collections::BTreeSet;
use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use libbpf_cargo::SkeletonBuilder;
use libbpf_rs::HasSize;
use libbpf_rs::btf::Btf;
use libbpf_rs::btf::types::{Enum, Enum64, Struct, Typedef, Union};

/// `BPF_PROG()` passes every program a context, which it may ignore.
const CLANG_ARGS: [&str; 7] =
    ["-I", "bpf", "-mcpu=v3", "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter"];

fn main() -> ExitCode {
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<()> {
    let out = PathBuf::from(env::var_os("OUT_DIR").context("OUT_DIR is not set by cargo")?);
    let clang = find_clang()?;
    println!("cargo:rerun-if-env-changed=CLANG");
    // The folder itself, so that a new or renamed file counts too.
    println!("cargo:rerun-if-changed=bpf");
    let mut objects = Vec::new();
    let mut types = BTreeSet::new();
    for source in files_of("bpf")? {
        println!("cargo:rerun-if-changed={}", source.display());
        let name = source.to_string_lossy().into_owned();
        if let Some(stem) = name.strip_suffix(".bpf.c").and_then(|s| s.strip_prefix("bpf/")) {
            let object = out.join(format!("{stem}.bpf.o"));
            compile(&clang, &source, &object)?;
            if stem == "wire" {
                generate_wire(&object, &out)?;
                continue;
            }
            types.extend(type_names(&object)?);
            objects.push(format!(
                "({stem:?}, include_bytes!({:?}).as_slice()),\n",
                object.to_string_lossy()
            ));
        }
    }
    let list = format!("&[\n{}]\n", objects.concat());
    fs::write(out.join("objects.rs"), list).context("cannot write the list of objects")?;
    let names = format!("&{:?}\n", types.into_iter().collect::<Vec<_>>());
    fs::write(out.join("type_names.rs"), names).context("cannot write the names of types")
}

/// The names of what programs may be fitted to, as the kernel has them: without `___` and what follows.
fn type_names(object: &Path) -> Result<BTreeSet<String>> {
    let btf = Btf::from_path(object)
        .with_context(|| format!("cannot read the BTF of {}", object.display()))?;
    let structs = btf.type_by_kind::<Struct<'_>>().filter_map(|one| one.name());
    let unions = btf.type_by_kind::<Union<'_>>().filter_map(|one| one.name());
    let enums = btf.type_by_kind::<Enum<'_>>().filter_map(|one| one.name());
    let enums64 = btf.type_by_kind::<Enum64<'_>>().filter_map(|one| one.name());
    let typedefs = btf.type_by_kind::<Typedef<'_>>().filter_map(|one| one.name());
    let names = structs.chain(unions).chain(enums).chain(enums64).chain(typedefs);
    names
        .map(|name| {
            let name = text(Some(name))?;
            Ok(name.split_once("___").map_or(name.as_str(), |(name, _)| name).to_owned())
        })
        .collect()
}

fn files_of(folder: &str) -> Result<Vec<PathBuf>> {
    let mut files = fs::read_dir(folder)
        .with_context(|| format!("cannot read {folder}/"))?
        .map(|entry| entry.map(|e| e.path()))
        .collect::<Result<Vec<_>, _>>()?;
    files.sort();
    Ok(files)
}

/// The compiler named by $CLANG, else `clang`.
fn find_clang() -> Result<OsString> {
    let clang = env::var_os("CLANG").unwrap_or_else(|| "clang".into());
    if Command::new(&clang).arg("--version").output().is_err() {
        bail!(
            "{} was not found: the BPF programs need it; install the package `clang` \
             (apt-get install clang, dnf install clang), or name another with CLANG=",
            clang.display()
        );
    }
    Ok(clang)
}

fn compile(clang: &OsString, source: &Path, object: &Path) -> Result<()> {
    SkeletonBuilder::new()
        .source(source)
        .obj(object)
        .clang(clang)
        .clang_args(CLANG_ARGS)
        .build()
        .with_context(|| format!("cannot compile {}", source.display()))
}

/// Writes `OUT_DIR/wire_types.rs`, where libbpf-cargo lays out the structs and numbers the enums, and
/// `OUT_DIR/wire_names.rs`, which hands their names to the macros of `src/wire.rs`.
fn generate_wire(object: &Path, out: &Path) -> Result<()> {
    // Nobody reads it, and where there is no rustfmt one that is called so fails.
    let unformatted = out.join("no-rustfmt");
    SkeletonBuilder::new()
        .obj(object)
        .reference_obj(true)
        .rustfmt(unformatted)
        .generate(out.join("wire_types.rs"))
        .context("cannot generate the types of wire.h")?;
    let btf = Btf::from_path(object).context("cannot read the BTF of wire.bpf.o")?;
    let [mut records, mut numbers, mut choices] = [const { String::new() }; 3];
    for record in btf.type_by_kind::<Struct<'_>>() {
        let name = text(record.name())?;
        let fields = record.iter().map(|field| text(field.name)).collect::<Result<Vec<_>>>()?;
        let (fields, size) = (fields.join(", "), record.size());
        writeln!(records, "{} = {name}: {size} {{ {fields} }}", camel_case(&name))?;
    }
    for choice in btf.type_by_kind::<Enum<'_>>() {
        let name = text(choice.name())?;
        let members = choice.iter().map(|member| text(member.name)).collect::<Result<Vec<_>>>()?;
        let number = match name.rsplit('_').next() {
            Some("limits") => "usize",
            Some("flags") => "u32",
            _ => {
                // END_RESET of enum end_cause: the first word is the name of the enum.
                let variant = |member: &String| {
                    let (_, rest) = member.split_once('_').context("an enumerator of one word")?;
                    Ok(format!("{} = {member}", camel_case(rest)))
                };
                let variants = members.iter().map(variant).collect::<Result<Vec<_>>>()?;
                let variants = variants.join(", ");
                writeln!(choices, "{} = {name} {{ {variants} }}", camel_case(&name))?;
                continue;
            }
        };
        writeln!(numbers, "{name}: {number} {{ {} }}", members.join(", "))?;
    }
    let names =
        format!("records! {{\n{records}}}\nnumbers! {{\n{numbers}}}\nchoices! {{\n{choices}}}\n");
    fs::write(out.join("wire_names.rs"), names).context("cannot write the names of wire.h")
}

fn text(name: Option<&OsStr>) -> Result<String> {
    let name = name.and_then(OsStr::to_str).context("a type or member of wire.h without a name")?;
    Ok(name.to_owned())
}

/// `END_CAUSE` and `end_cause` are `EndCause`.
fn camel_case(words: &str) -> String {
    let capital = |word: &str| word[..1].to_uppercase() + &word[1..].to_lowercase();
    words.split('_').filter(|word| !word.is_empty()).map(capital).collect()
}
