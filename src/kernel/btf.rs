//! The kernel's type information (BTF), read only for the wanted names.
//!
//! A tool asks for some thirty names; libbpf reads everything once more to fit the programs. So
//! both sections stream through a small buffer, each once. The kernel's 5 MB take 2.4 ms that
//! once; keeping them would take more time just for the memory. btf-rs 2.0 needs 84 ms for the same names
//! with the file mapped, and 583 ms and 43 MB with its types kept (ours beside it: 3.1 ms, 2.8 MB;
//! kernel 6.18, best of 41). Layout:
//! Documentation/bpf/btf.rst, "BTF Type and String Encoding".

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};

use anyhow::{Context, Result, bail, ensure};
use memchr::memchr_iter;

use super::section_reader::{Section, Stream};

/// Where the kernel keeps its BTF.
pub const VMLINUX_BTF: &str = "/sys/kernel/btf/vmlinux";

pub(super) const MAGIC: u16 = 0xeb9f;
pub(super) const VERSION: u8 = 1;
/// `struct btf_header` of version 1; later ones may be longer.
pub(super) const HEADER_LEN: usize = 24;
/// `struct btf_type`, which what its kind needs follows.
pub(super) const TYPE_LEN: usize = 12;
/// `struct btf_param`.
const PARAMETER_LEN: usize = 8;
/// `KSYM_NAME_LEN`: no name is longer. C++ and Rust names apart, 60 bytes are many.
const MAX_NAME: u64 = 512;

/// `struct btf_enum`.
const ENUMERATOR_LEN: usize = 8;

/// `BTF_KIND_*`.
pub(super) mod kind {
    pub const INT: u32 = 1;
    pub const PTR: u32 = 2;
    pub const ARRAY: u32 = 3;
    pub const STRUCT: u32 = 4;
    pub const UNION: u32 = 5;
    pub const ENUM: u32 = 6;
    pub const FWD: u32 = 7;
    pub const TYPEDEF: u32 = 8;
    pub const VOLATILE: u32 = 9;
    pub const CONST: u32 = 10;
    pub const RESTRICT: u32 = 11;
    /// It refers to its prototype.
    pub const FUNC: u32 = 12;
    pub const FUNC_PROTO: u32 = 13;
    pub const VAR: u32 = 14;
    pub const DATASEC: u32 = 15;
    pub const FLOAT: u32 = 16;
    pub const DECL_TAG: u32 = 17;
    pub const TYPE_TAG: u32 = 18;
    pub const ENUM64: u32 = 19;

    /// Whether such a type is another one by a further name or with a qualifier.
    pub fn refers(kind: u32) -> bool {
        matches!(kind, TYPEDEF | VOLATILE | CONST | RESTRICT | TYPE_TAG)
    }
}
use kind::{ENUM, FUNC, FUNC_PROTO};

/// A function of the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// Its BTF id, which a program to be attached to it is loaded with.
    pub id: u32,
    /// Names of its parameters in order; `...` for a variable list, empty for a nameless one.
    pub parameters: Vec<String>,
}

/// A BTF file. Its contents are not trusted: whatever they are, reading ends, with an error if
/// they are not BTF.
#[derive(Debug)]
pub struct Btf<R> {
    pub(super) file: R,
    pub(super) types: Section,
    pub(super) strings: Section,
}

impl Btf<File> {
    /// That of the running kernel.
    ///
    /// # Errors
    /// The file cannot be read or is not BTF.
    pub fn of_kernel() -> Result<Self> {
        File::open(VMLINUX_BTF).map_err(Into::into).and_then(Self::new).context(VMLINUX_BTF)
    }
}

impl<R: Read + Seek> Btf<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// It is none, or of another byte order or version.
    pub fn new(mut file: R) -> Result<Self> {
        let mut header = [0; HEADER_LEN];
        file.read_exact(&mut header).context("no BTF header")?;
        let magic = u16::from_ne_bytes([header[0], header[1]]);
        ensure!(magic == MAGIC, "not BTF of this machine (magic {magic:#x})");
        ensure!(header[2] == VERSION, "BTF version {} is not known", header[2]);
        let header_len = u64::from(word(&header, 4));
        let section = |at| Section {
            start: header_len + u64::from(word(&header, at)),
            len: word(&header, at + 4).into(),
        };
        Ok(Self { types: section(8), strings: section(16), file })
    }

    /// Which of the `wanted` names anything in the kernel has, with their offsets among its
    /// strings. To ask for a name that only one kind of type can have, this is enough.
    ///
    /// # Errors
    /// The file cannot be read or is cut short.
    pub fn names<'a>(&mut self, wanted: &[&'a str]) -> Result<HashMap<&'a str, u32>> {
        // Most of the 100,000 names differ from all wanted ones in length or first byte.
        let mut lengths = [0_u64; 256];
        for name in wanted {
            lengths[first_byte(name.as_bytes())] |= length_bit(name.as_bytes());
        }
        let wanted: HashMap<&[u8], &'a str> =
            wanted.iter().map(|name| (name.as_bytes(), *name)).collect();
        let mut found = HashMap::new();
        self.each_string(|offset, name| {
            if lengths[first_byte(name)] & length_bit(name) != 0
                && let Some(&name) = wanted.get(name)
            {
                found.entry(name).or_insert(offset);
            }
        })?;
        Ok(found)
    }

    /// The functions of these `names`, as [`names`](Self::names) found them.
    ///
    /// # Errors
    /// The file cannot be read, is cut short, or has types of an unknown kind.
    pub fn functions(&mut self, names: &HashMap<&str, u32>) -> Result<BTreeMap<String, Function>> {
        // Searched for each of 50,000 functions: far faster than to hash.
        let mut by_offset: Vec<_> = names.iter().map(|(&name, &offset)| (offset, name)).collect();
        by_offset.sort_unstable();
        let mut found = BTreeMap::new();
        let positions = self.each_type(|id, of| {
            // The kernel, too, takes the first of several that share a name.
            if of.kind == FUNC
                && let Ok(at) = by_offset.binary_search_by_key(&of.name, |&(offset, _)| offset)
            {
                found.entry(by_offset[at].1).or_insert((id, of.refers));
            }
        })?;
        let mut functions = BTreeMap::new();
        for (name, (id, prototype)) in found {
            let at = usize::try_from(prototype).ok().and_then(|id| id.checked_sub(1));
            let position = at.and_then(|at| positions.get(at));
            let position = *position.with_context(|| format!("{name} has no prototype"))?;
            let parameters = self.parameters(position).with_context(|| name.to_owned())?;
            functions.insert(name.to_owned(), Function { id, parameters });
        }
        Ok(functions)
    }

    /// Names and numbers of the enum of each name, in the order of `names`; empty: there is no such enum.
    ///
    /// # Errors
    /// The file cannot be read, is cut short, or has types of an unknown kind.
    pub fn enumerators(&mut self, names: &[&str]) -> Result<Vec<Vec<(String, u32)>>> {
        let offsets = self.names(names)?;
        let mut found = HashMap::new();
        let positions = self.each_type(|id, of| {
            if of.kind == ENUM && of.count > 0 && offsets.values().any(|&name| name == of.name) {
                found.entry(of.name).or_insert((id, of.count));
            }
        })?;
        let mut all = Vec::new();
        for name in names {
            let known = offsets.get(name).and_then(|name| found.get(name));
            let Some(&(id, count)) = known else {
                all.push(Vec::new());
                continue;
            };
            let position = *positions.get(id as usize - 1).context("no such type")?;
            let at = self.types.start + u64::from(position) + TYPE_LEN as u64;
            let mut values = vec![0; count * ENUMERATOR_LEN];
            self.file.seek(SeekFrom::Start(at))?;
            self.file.read_exact(&mut values)?;
            let value = |one: &[u8]| Ok((self.string(word(one, 0))?, word(one, 4)));
            all.push(values.chunks_exact(ENUMERATOR_LEN).map(value).collect::<Result<_>>()?);
        }
        Ok(all)
    }

    /// Calls `visit` with every string and its offset in the section.
    pub(super) fn each_string(&mut self, mut visit: impl FnMut(u32, &[u8])) -> Result<()> {
        let mut stream = Stream::new(&mut self.file, self.strings)?;
        let mut offset = 0;
        while stream.refill().context("strings")? {
            let bytes = stream.unread();
            let mut begin = 0;
            for end in memchr_iter(0, bytes) {
                visit(offset + u32::try_from(begin)?, &bytes[begin..end]);
                begin = end + 1;
            }
            stream.consume(begin)?;
            // Below 4 GiB: the length of the section has 32 bits.
            offset += u32::try_from(begin)?;
        }
        Ok(())
    }

    /// Calls `visit` with every type and its id. Returns the position of each in the section.
    pub(super) fn each_type(&mut self, mut visit: impl FnMut(u32, Type)) -> Result<Vec<u32>> {
        let mut stream = Stream::new(&mut self.file, self.types)?;
        let mut positions = Vec::new();
        let (mut position, mut id) = (0, 0);
        while stream.refill().context("types")? {
            let bytes = stream.unread();
            let mut at = 0;
            while let Some(header) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
                id += 1;
                positions.push(position + u32::try_from(at)?);
                let of = Type::read(header);
                visit(id, of);
                at += TYPE_LEN + of.follows().with_context(|| format!("type {id}"))?;
            }
            stream.consume(at).with_context(|| format!("type {id}"))?;
            position += u32::try_from(at)?;
        }
        Ok(positions)
    }

    /// The names of the parameters of the prototype at a position among the types.
    fn parameters(&mut self, position: u32) -> Result<Vec<String>> {
        self.file.seek(SeekFrom::Start(self.types.start + u64::from(position)))?;
        let mut header = [0; TYPE_LEN];
        self.file.read_exact(&mut header)?;
        let prototype = Type::read(&header);
        ensure!(prototype.kind == FUNC_PROTO, "kind {} is no prototype", prototype.kind);
        let mut parameters = vec![0; prototype.count * PARAMETER_LEN];
        self.file.read_exact(&mut parameters)?;
        let name = |parameter: &[u8]| match (word(parameter, 0), word(parameter, 4)) {
            (0, 0) => Ok("...".to_owned()),
            (name, _) => self.string(name),
        };
        parameters.chunks_exact(PARAMETER_LEN).map(name).collect()
    }

    pub(super) fn string(&mut self, offset: u32) -> Result<String> {
        let Section { start, len } = self.strings;
        let left = len.checked_sub(offset.into()).context("a name beyond the strings")?;
        self.file.seek(SeekFrom::Start(start + u64::from(offset)))?;
        let mut name = Vec::new();
        // Most names are far shorter, and what is read too much costs time.
        BufReader::with_capacity(64, (&mut self.file).take(left.min(MAX_NAME)))
            .read_until(0, &mut name)?;
        ensure!(name.pop() == Some(0), "a name without an end");
        Ok(String::from_utf8_lossy(&name).into_owned())
    }
}

/// `struct btf_type`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Type {
    /// Offset of its name.
    pub name: u32,
    /// See [`kind`].
    pub kind: u32,
    /// Members, parameters, values.
    pub count: usize,
    /// Its size, or the id of the type it refers to.
    pub refers: u32,
}

impl Type {
    pub fn read(bytes: &[u8; TYPE_LEN]) -> Self {
        let info = word(bytes, 4);
        Self {
            name: word(bytes, 0),
            kind: info >> 24 & 0x1f,
            count: (info & 0xffff) as usize,
            refers: word(bytes, 8),
        }
    }

    /// Bytes that follow it, by its kind.
    pub fn follows(self) -> Result<usize> {
        Ok(match self.kind {
            kind::PTR | kind::FWD | FUNC | kind::FLOAT => 0,
            kind if kind::refers(kind) => 0,
            kind::INT | kind::VAR | kind::DECL_TAG => 4,
            kind::ARRAY => 12,
            kind::STRUCT | kind::UNION | kind::DATASEC | kind::ENUM64 => 12 * self.count,
            ENUM | FUNC_PROTO => 8 * self.count,
            kind => bail!("BTF kind {kind} is not known"),
        })
    }
}

/// The 32-bit number at an offset of a record that is long enough.
pub(super) fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn first_byte(name: &[u8]) -> usize {
    name.first().copied().unwrap_or_default().into()
}

fn length_bit(name: &[u8]) -> u64 {
    1 << (name.len() % 64)
}

#[cfg(test)]
#[path = "btf_tests.rs"]
pub(super) mod tests;
