//! Compiles every `bpf/*.bpf.c` into `OUT_DIR/*.bpf.o`, which the tools carry inside them, and lists
//! them in `OUT_DIR/objects.rs`, a slice of names and contents.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use libbpf_cargo::SkeletonBuilder;

/// `BPF_PROG()` hands every program a context, which it may leave alone.
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
    for source in files_of("bpf")? {
        println!("cargo:rerun-if-changed={}", source.display());
        let name = source.to_string_lossy().into_owned();
        if let Some(stem) = name.strip_suffix(".bpf.c").and_then(|s| s.strip_prefix("bpf/")) {
            let object = out.join(format!("{stem}.bpf.o"));
            compile(&clang, &source, &object)?;
            objects.push(format!(
                "({stem:?}, include_bytes!({:?}).as_slice()),\n",
                object.to_string_lossy()
            ));
        }
    }
    let list = format!("&[\n{}]\n", objects.concat());
    fs::write(out.join("objects.rs"), list).context("cannot write the list of objects")
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
