//! The few of the kernel's types that programs are fitted to, as BTF of its own.
//!
//! For each type that an object relies on, libbpf goes through all types of the kernel (126,000 on 6.18)
//! and compares names: half a millisecond each, 16 ms of the 47 that tcpretrans needs to start. In the
//! subset all others are nameless pointers, and those behind the last one are left out.
//!
//! Types keep their ids, for programs tell them the kernel (`bpf_core_type_id_kernel()`).

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, Write as _};
use std::os::fd::AsRawFd;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use rustix::fs::MemfdFlags;

use super::btf::{Btf, HEADER_LEN, MAGIC, TYPE_LEN, Type, VERSION, kind, word};
use super::section_reader::Section;

/// `struct btf_member` and `struct btf_enum64`, and where a member has its type.
const MEMBER_LEN: usize = 12;
const MEMBER_TYPE: usize = 4;
/// `struct btf_enum`.
const ENUMERATOR_LEN: usize = 8;
/// What a type refers to, in `struct btf_type`.
const REFERS: usize = 8;

/// Names of the types of all objects, from `build.rs`.
const NAMES: &[&str] = include!(concat!(env!("OUT_DIR"), "/type_names.rs"));

/// A subset that libbpf can open, for as long as this lives.
#[derive(Debug)]
pub struct SubsetFile(File);

impl SubsetFile {
    /// What the objects of the tools need of the running kernel's types.
    ///
    /// # Errors
    /// The kernel's BTF is damaged, or there is no memory or no /proc.
    pub fn of_kernel() -> Result<Self> {
        let subset = subset(&mut Btf::of_kernel()?, NAMES)?;
        let mut file = File::from(rustix::fs::memfd_create("btf", MemfdFlags::CLOEXEC)?);
        file.write_all(&subset)?;
        let made = Self(file);
        ensure!(made.path().exists(), "no /proc");
        Ok(made)
    }

    /// Where it can be opened.
    pub fn path(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.0.as_raw_fd()).into()
    }
}

/// The named structs, unions, enums and typedefs with all that is in them, but for what pointers point to.
///
/// # Errors
/// The file cannot be read, is cut short, or has types of an unknown kind.
pub fn subset<R: Read + Seek>(btf: &mut Btf<R>, names: &[&str]) -> Result<Vec<u8>> {
    let mut offsets: Vec<u32> = btf.names(names)?.into_values().collect();
    offsets.sort_unstable();
    let mut roots = Vec::new();
    let positions = btf.each_type(|id, of| {
        let holds = matches!(
            of.kind,
            kind::STRUCT | kind::UNION | kind::ENUM | kind::ENUM64 | kind::TYPEDEF
        );
        if holds && offsets.binary_search(&of.name).is_ok() {
            roots.push(id);
        }
    })?;
    // Types come before those that refer to them, and functions, two thirds of all, last.
    let behind_last = roots.last().and_then(|&id| positions.get(id as usize)).copied();
    let mut types = Types { bytes: Vec::new(), positions };
    types.read(btf, behind_last.map_or(btf.types.len, u64::from))?;
    let mut needed = types.reached_from(btf, roots)?;
    needed.sort_unstable();
    let mut made = Made::default();
    let mut next = 1;
    for id in needed {
        (next..id).for_each(|_| made.add(&[0, kind::PTR << 24, 0]));
        made.copy(types.get(id)?);
        next = id + 1;
    }
    drop(types);
    made.take_names(btf)?;
    made.file()
}

/// The beginning of the types, as far as it was needed.
struct Types {
    bytes: Vec<u8>,
    positions: Vec<u32>,
}

impl Types {
    fn read<R: Read + Seek>(&mut self, btf: &mut Btf<R>, len: u64) -> Result<()> {
        self.bytes = Section { len, ..btf.types }.read(&mut btf.file)?;
        Ok(())
    }

    /// A type, and its bytes with what follows.
    fn get(&self, id: u32) -> Result<(Type, &[u8])> {
        let position = (id as usize).checked_sub(1).and_then(|at| self.positions.get(at));
        let begin = *position.with_context(|| format!("no type {id}"))? as usize;
        let bytes = self.bytes.get(begin..).context("cut short")?;
        let of = Type::read(bytes.first_chunk().context("cut short")?);
        Ok((of, bytes.get(..TYPE_LEN + of.follows()?).context("cut short")?))
    }

    /// The ids of these types and of what they hold, each once.
    fn reached_from<R: Read + Seek>(
        &mut self,
        btf: &mut Btf<R>,
        mut open: Vec<u32>,
    ) -> Result<Vec<u32>> {
        let mut seen = vec![false; self.positions.len() + 1];
        let mut reached = Vec::new();
        while let Some(id) = open.pop() {
            let known = seen.get_mut(id as usize).with_context(|| format!("no type {id}"))?;
            if id == 0 || std::mem::replace(known, true) {
                continue;
            }
            reached.push(id);
            if self.get(id).is_err() && (self.bytes.len() as u64) < btf.types.len {
                self.read(btf, btf.types.len)?;
            }
            let (of, bytes) = self.get(id)?;
            match of.kind {
                kind::STRUCT | kind::UNION => {
                    let members = bytes[TYPE_LEN..].chunks_exact(MEMBER_LEN);
                    open.extend(members.map(|member| word(member, MEMBER_TYPE)));
                }
                // Of what, and the type of the index.
                kind::ARRAY => open.extend([word(bytes, TYPE_LEN), word(bytes, TYPE_LEN + 4)]),
                kind if kind::refers(kind) => open.push(of.refers),
                _ => {}
            }
        }
        Ok(reached)
    }
}

/// BTF that is being made of another.
#[derive(Default)]
struct Made {
    types: Vec<u8>,
    /// Where a name is asked for, as an offset among the strings.
    names_at: Vec<usize>,
    strings: Vec<u8>,
}

impl Made {
    fn add(&mut self, words: &[u32]) {
        self.types.extend(words.iter().flat_map(|word| word.to_ne_bytes()));
    }

    /// Appends a type; what a pointer points to is void. It keeps the names of the other BTF for now.
    fn copy(&mut self, (of, bytes): (Type, &[u8])) {
        let begin = self.types.len();
        self.types.extend(bytes);
        self.names_at.push(begin);
        // Members and values begin with a name, as types do.
        let parts = match of.kind {
            kind::STRUCT | kind::UNION | kind::ENUM64 => MEMBER_LEN,
            kind::ENUM => ENUMERATOR_LEN,
            kind::PTR => return self.types[begin + REFERS..begin + TYPE_LEN].fill(0),
            _ => return,
        };
        self.names_at.extend((begin + TYPE_LEN..begin + bytes.len()).step_by(parts));
    }

    /// Brings the names here.
    fn take_names<R: Read + Seek>(&mut self, btf: &mut Btf<R>) -> Result<()> {
        let mut wanted: Vec<u32> = self.names_at.iter().map(|&at| word(&self.types, at)).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let mut here = HashMap::with_capacity(wanted.len());
        let mut wanted = wanted.into_iter().peekable();
        let strings = &mut self.strings;
        // The empty one is the first in any BTF.
        strings.push(0);
        here.insert(0, 0);
        wanted.next_if_eq(&0);
        btf.each_string(|offset, name| {
            if wanted.next_if_eq(&offset).is_some() {
                here.insert(offset, strings.len());
                strings.extend(name);
                strings.push(0);
            }
        })?;
        for &at in &self.names_at {
            let place = here.get(&word(&self.types, at)).context("a name that is no string")?;
            self.types[at..at + 4].copy_from_slice(&u32::try_from(*place)?.to_ne_bytes());
        }
        Ok(())
    }

    fn file(self) -> Result<Vec<u8>> {
        let [types, strings] = [&self.types, &self.strings].map(|part| u32::try_from(part.len()));
        let (types, strings) = (types?, strings?);
        let mut file = Vec::with_capacity(HEADER_LEN + self.types.len() + self.strings.len());
        file.extend(MAGIC.to_ne_bytes());
        file.extend([VERSION, 0]);
        let sections = [u32::try_from(HEADER_LEN)?, 0, types, types, strings];
        file.extend(sections.iter().flat_map(|number| number.to_ne_bytes()));
        file.extend(self.types);
        file.extend(self.strings);
        Ok(file)
    }
}

#[cfg(test)]
#[path = "btf_subset_tests.rs"]
mod tests;
