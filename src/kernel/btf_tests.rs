use std::io::Cursor;

use super::*;
use crate::kernel::section_reader::BUFFER_LEN;

/// BTF made by hand.
#[derive(Clone, Default)]
pub struct Made {
    types: Vec<u8>,
    strings: Vec<u8>,
    count: u32,
}

impl Made {
    pub fn new() -> Self {
        Self { strings: vec![0], ..Self::default() }
    }

    /// Offset of a name; the same again where it was used before.
    pub fn name(&mut self, name: &str) -> u32 {
        if name.is_empty() {
            return 0;
        }
        let between = format!("\0{name}\0").into_bytes();
        let known = self.strings.windows(between.len()).position(|found| found == between);
        let at = known.map_or(self.strings.len(), |before| before + 1);
        if known.is_none() {
            self.strings.extend(&between[1..]);
        }
        u32::try_from(at).unwrap()
    }

    fn words(&mut self, words: &[u32]) {
        self.types.extend(words.iter().flat_map(|word| word.to_ne_bytes()));
    }

    /// Appends a type; its id.
    pub fn a_type(
        &mut self,
        name: &str,
        kind: u32,
        count: u32,
        refers: u32,
        follows: &[u32],
    ) -> u32 {
        let name = self.name(name);
        self.words(&[name, kind << 24 | count, refers]);
        self.words(follows);
        self.count += 1;
        self.count
    }

    fn function(&mut self, name: &str, parameters: &[(&str, u32)]) -> u32 {
        let words: Vec<_> =
            parameters.iter().flat_map(|&(name, of)| [self.name(name), of]).collect();
        let count = u32::try_from(parameters.len()).unwrap();
        let prototype = self.a_type("", FUNC_PROTO, count, 1, &words);
        self.a_type(name, FUNC, 0, prototype, &[])
    }

    pub fn bytes(&self) -> Vec<u8> {
        let (types, strings) = (self.types.len(), self.strings.len());
        let [types, strings] = [types, strings].map(|len| u32::try_from(len).unwrap());
        let mut bytes = [&MAGIC.to_ne_bytes()[..], &[VERSION, 0]].concat();
        for word in [24, 0, types, types, strings] {
            bytes.extend(u32::to_ne_bytes(word));
        }
        [bytes, self.types.clone(), self.strings.clone()].concat()
    }
}

/// Every kind once, and three functions among them.
pub fn kernel() -> Made {
    let mut made = Made::new();
    made.a_type("int", 1, 0, 4, &[0]);
    made.a_type("", 2, 0, 1, &[]);
    made.a_type("", 3, 0, 0, &[1, 1, 4]);
    made.a_type("sock", 4, 2, 8, &[1, 1, 0, 2, 1, 32]);
    made.function("tcp_sendmsg", &[("sk", 2), ("msg", 2), ("size", 1)]);
    made.a_type("either", 5, 1, 4, &[1, 1, 0]);
    made.a_type("colour", 6, 2, 4, &[1, 0, 2, 1]);
    made.a_type("far", 7, 0, 0, &[]);
    made.a_type("btf_trace_tcp_probe", 8, 0, 2, &[]);
    for qualifier in [9, 10, 11] {
        made.a_type("", qualifier, 0, 1, &[]);
    }
    made.function("nothing", &[]);
    made.a_type("jiffies", 14, 0, 1, &[1]);
    made.a_type(".data", 15, 1, 8, &[1, 0, 8]);
    made.a_type("double", 16, 0, 8, &[]);
    made.a_type("kfunc", 17, 0, 1, &[u32::MAX]);
    made.a_type("user", 18, 0, 1, &[]);
    made.a_type("wide", 19, 1, 8, &[1, 0, 1]);
    made.function("printk", &[("fmt", 2), ("", 0)]);
    made
}

fn open(bytes: impl Into<Vec<u8>>) -> Btf<Cursor<Vec<u8>>> {
    Btf::new(Cursor::new(bytes.into())).unwrap()
}

fn functions(bytes: &[u8], names: &[&str]) -> Result<BTreeMap<String, Function>> {
    let mut btf = Btf::new(Cursor::new(bytes.to_vec()))?;
    let names = btf.names(names)?;
    btf.functions(&names)
}

#[test]
fn finds_functions_with_their_parameters_among_all_kinds() {
    let wanted = ["tcp_sendmsg", "printk", "nothing", "tcp_sendpage", "jiffies"];
    let found = functions(&kernel().bytes(), &wanted).unwrap();
    let found: Vec<_> =
        found.iter().map(|(name, of)| (name.as_str(), of.id, of.parameters.join(" "))).collect();
    assert_eq!(
        found,
        [
            ("nothing", 15, String::new()),
            ("printk", 23, "fmt ...".to_owned()),
            ("tcp_sendmsg", 6, "sk msg size".to_owned()),
        ]
    );
}

#[test]
fn enumerators_have_names_and_numbers() {
    let mut made = kernel();
    let [socket, mask] = ["NO_SOCKET", "MASK"].map(|name| made.name(name));
    // A mere declaration of the same name comes first in some kernels.
    made.a_type("reason", ENUM, 0, 4, &[]);
    made.a_type("reason", ENUM, 2, 4, &[socket, 3, mask, 0xffff_0000]);
    let found = open(made.bytes()).enumerators(&["nothing", "sock", "reason"]).unwrap();
    let expected = vec![("NO_SOCKET".to_owned(), 3), ("MASK".to_owned(), 0xffff_0000)];
    assert_eq!(found, [vec![], vec![], expected]);
    let cut = &made.bytes()[..made.bytes().len() - 3];
    assert!(open(cut).enumerators(&["reason"]).is_err());
}

#[test]
fn a_name_must_match_completely() {
    let mut btf = open(kernel().bytes());
    let names =
        btf.names(&["btf_trace_tcp_probe", "trace_tcp_probe", "btf_trace_tcp", "sock"]).unwrap();
    let mut names: Vec<_> = names.into_keys().collect();
    names.sort_unstable();
    assert_eq!(names, ["btf_trace_tcp_probe", "sock"]);
}

#[test]
fn names_across_a_refill_are_complete() {
    let mut made = Made::new();
    let mut names = Vec::new();
    while made.strings.len() < 3 * BUFFER_LEN {
        let name = format!("name_{}", "x".repeat(7 + names.len() % 50));
        let name = format!("{name}{}", names.len());
        made.strings.extend(format!("{name}\0").bytes());
        names.push(name);
    }
    let wanted: Vec<_> = names.iter().map(String::as_str).collect();
    let found = open(made.bytes()).names(&wanted).unwrap();
    assert_eq!(found.len(), names.len());
    for (name, offset) in found {
        let here = &made.strings[offset as usize..][..name.len()];
        assert_eq!(here, name.as_bytes());
    }
}

#[test]
fn the_first_of_two_functions_counts() {
    let mut made = kernel();
    made.function("tcp_sendmsg", &[("other", 1)]);
    let found = functions(&made.bytes(), &["tcp_sendmsg"]).unwrap();
    assert_eq!(found["tcp_sendmsg"].parameters, ["sk", "msg", "size"]);
}

#[test]
fn truncated_btf_is_an_error() {
    let bytes = kernel().bytes();
    for len in 0..bytes.len() {
        assert!(functions(&bytes[..len], &["tcp_sendmsg", "printk"]).is_err(), "{len} bytes");
    }
}

/// Any outcome but a panic or a hang is right.
#[test]
fn no_byte_is_trusted() {
    let good = kernel().bytes();
    for at in 0..good.len() {
        for value in [0, 1, 13, 0x7f, 0xff] {
            let mut bad = good.clone();
            bad[at] = value;
            let _ = functions(&bad, &["tcp_sendmsg", "nothing", "printk"]);
        }
    }
}

#[test]
fn damaged_lines_are_reported() {
    let error = |bytes: &[u8], name| format!("{:#}", functions(bytes, &[name]).unwrap_err());
    assert_eq!(error(b"", "f"), "no BTF header: failed to fill whole buffer");
    assert!(error(&[b'x'; 30], "f").contains("not BTF of this machine (magic 0x7878)"));
    let mut other = kernel().bytes();
    other[2] = 9;
    assert_eq!(error(&other, "f"), "BTF version 9 is not known");
    let mut made = Made::new();
    made.a_type("new", 31, 0, 0, &[]);
    assert_eq!(error(&made.bytes(), "new"), "type 1: BTF kind 31 is not known");
    let mut made = Made::new();
    made.a_type("f", FUNC, 0, 7, &[]);
    assert_eq!(error(&made.bytes(), "f"), "f has no prototype");
    let mut made = Made::new();
    made.a_type("f", FUNC, 0, 1, &[]);
    assert_eq!(error(&made.bytes(), "f"), "f: kind 12 is no prototype");
    let mut made = Made::new();
    made.a_type("", FUNC_PROTO, 1, 0, &[1_000_000, 1]);
    made.a_type("f", FUNC, 0, 1, &[]);
    assert_eq!(error(&made.bytes(), "f"), "f: a name beyond the strings");
    let mut made = Made::new();
    made.a_type("", FUNC_PROTO, 1, 0, &[3, 1]);
    made.a_type("f", FUNC, 0, 1, &[]);
    made.strings.extend([b'x'; 600]);
    assert!(error(&made.bytes(), "f").starts_with("strings: cut short"));
    made.strings.push(0);
    assert_eq!(error(&made.bytes(), "f"), "f: a name without an end");
    let mut made = Made::new();
    made.a_type("large", 4, 0xffff, 0, &[]);
    assert_eq!(error(&made.bytes(), "large"), "type 1: it reaches beyond its section");
    let mut made = Made::new();
    made.strings.extend(vec![b'x'; 2 * BUFFER_LEN]);
    assert_eq!(error(&made.bytes(), "f"), "strings: cut short, or longer than 65536 bytes");
    let mut made = Made::new();
    made.words(&[0; 2]);
    assert!(error(&made.bytes(), "f").starts_with("types: cut short"));
}

/// Types longer than the buffer lie between two that are wanted.
#[test]
fn a_type_may_be_longer_than_the_buffer() {
    let mut made = Made::new();
    made.function("before", &[("a", 1)]);
    let huge = vec![0; 3 * 0xffff];
    made.a_type("huge", 4, 0xffff, 0, &huge);
    made.a_type("huge", 15, 0xffff, 0, &huge);
    made.function("after", &[("b", 1)]);
    let found = functions(&made.bytes(), &["before", "after"]).unwrap();
    assert_eq!((found["before"].id, found["after"].id), (2, 6));
    assert_eq!(found["after"].parameters, ["b"]);
}

/// A longer header of a later version of the format, and a gap between the sections.
#[test]
fn sections_may_lie_elsewhere() {
    let made = kernel();
    let bytes = made.bytes();
    let types = made.types.len();
    let mut moved = bytes[..HEADER_LEN].to_vec();
    moved[4..8].copy_from_slice(&32_u32.to_ne_bytes());
    moved[16..20].copy_from_slice(&u32::try_from(types + 4).unwrap().to_ne_bytes());
    moved.extend([0xaa; 8]);
    moved.extend(&made.types);
    moved.extend([0xaa; 4]);
    moved.extend(&made.strings);
    let found = functions(&moved, &["printk"]).unwrap();
    assert_eq!(found["printk"].parameters, ["fmt", "..."]);
}
