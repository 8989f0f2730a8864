use std::io::Cursor;

use libbpf_rs::HasSize as _;
use libbpf_rs::btf::types::{MemberAttr, Struct};
use libbpf_rs::btf::{self, TypeId};

use super::super::btf::VMLINUX_BTF;
use super::super::btf::tests::{Made as Kernel, kernel};
use super::*;

fn open(bytes: Vec<u8>) -> Btf<Cursor<Vec<u8>>> {
    Btf::new(Cursor::new(bytes)).unwrap()
}

/// Kind and name of each type, in the order of ids.
fn listed(bytes: Vec<u8>) -> Vec<(u32, String)> {
    let mut btf = open(bytes);
    let mut found = Vec::new();
    btf.each_type(|_, of| found.push((of.kind, of.name))).unwrap();
    let name = |(kind, at)| (kind, if at == 0 { String::new() } else { btf.string(at).unwrap() });
    found.into_iter().map(name).collect()
}

fn subset_of(kernel: &Kernel, names: &[&str]) -> Vec<(u32, String)> {
    listed(subset(&mut open(kernel.bytes()), names).unwrap())
}

#[test]
fn wanted_types_keep_their_ids_among_nameless_pointers() {
    let found = subset_of(&kernel(), &["either", "reason", "tcp_sendmsg"]);
    let mut expected = vec![(kind::PTR, String::new()); 7];
    (expected[0], expected[6]) =
        ((kind::INT, "int".to_owned()), (kind::UNION, "either".to_owned()));
    assert_eq!(found, expected);
}

#[test]
fn what_a_type_holds_is_there_and_what_it_points_to_is_not() {
    let mut made = Kernel::new();
    let int = made.a_type("int", kind::INT, 0, 4, &[32]);
    let far = made.a_type("far", kind::STRUCT, 1, 4, &[0, int, 0]);
    let pointer = made.a_type("", kind::PTR, 0, far, &[]);
    let near = made.a_type("near", kind::STRUCT, 1, 4, &[0, int, 0]);
    let alias = made.a_type("alias", kind::TYPEDEF, 0, near, &[]);
    let several = made.a_type("", kind::ARRAY, 0, 0, &[alias, int, 2]);
    let [one, two, three] = ["one", "two", "three"].map(|name| made.name(name));
    // The last member is of a type that comes behind.
    let members = [one, pointer, 0, two, several, 64, three, 8, 128];
    made.a_type("sock", kind::STRUCT, 3, 24, &members);
    made.a_type("late", kind::STRUCT, 1, 4, &[one, int, 0]);
    made.a_type("later", kind::STRUCT, 1, 4, &[one, int, 0]);
    let found = subset_of(&made, &["sock"]);
    let kinds = [kind::INT, kind::PTR, kind::PTR, kind::STRUCT, kind::TYPEDEF, kind::ARRAY];
    let names = ["int", "", "", "near", "alias", "", "sock", "late"];
    assert_eq!(found.iter().map(|one| one.1.as_str()).collect::<Vec<_>>(), names);
    assert!(found.iter().map(|one| one.0).take(kinds.len()).eq(kinds));
}

#[test]
fn damaged_types_are_an_error() {
    let bytes = kernel().bytes();
    for len in 0..bytes.len() {
        let cut = Btf::new(Cursor::new(bytes[..len].to_vec()));
        assert!(cut.and_then(|mut btf| subset(&mut btf, &["either"])).is_err(), "{len} bytes");
    }
    let mut made = Kernel::new();
    let name = made.name("member");
    made.a_type("sock", kind::STRUCT, 1, 4, &[name, 77, 0]);
    let error = subset(&mut open(made.bytes()), &["sock"]).unwrap_err();
    assert_eq!(error.to_string(), "no type 77");
    let mut made = Kernel::new();
    made.a_type("sock", kind::STRUCT, 1, 4, &[9999, 1, 0]);
    let error = subset(&mut open(made.bytes()), &["sock"]).unwrap_err();
    assert_eq!(error.to_string(), "a name that is no string");
}

fn members(of: &Struct<'_>) -> Vec<(String, TypeId, String)> {
    let member = |one: btf::types::StructMember<'_>| {
        let name = one.name.unwrap_or_default().to_string_lossy().into_owned();
        let (MemberAttr::Normal { offset } | MemberAttr::BitField { offset, .. }) = one.attr;
        (name, one.ty, format!("{offset} {:?}", one.attr))
    };
    of.iter().map(member).collect()
}

/// By libbpf's own reader. A machine without BTF has nothing to compare.
#[test]
fn the_running_kernels_structs_are_as_libbpf_reads_them() {
    if !std::path::Path::new(VMLINUX_BTF).exists() {
        return;
    }
    let file = SubsetFile::of_kernel().unwrap();
    let (subset, whole) =
        (btf::Btf::from_path(file.path()).unwrap(), btf::Btf::from_vmlinux().unwrap());
    let mut compared = 0;
    for name in NAMES {
        let Some(expected) = whole.type_by_name::<Struct<'_>>(name) else { continue };
        let found = subset.type_by_name::<Struct<'_>>(name).unwrap();
        assert_eq!(found.type_id(), expected.type_id(), "{name}");
        assert_eq!(found.size(), expected.size(), "{name}");
        assert_eq!(members(&found), members(&expected), "{name}");
        compared += 1;
    }
    assert!(compared > 30, "{compared} structs");
    let tcp = whole.type_by_name::<Struct<'_>>("tcp_sock").unwrap();
    assert!(subset.len() > u32::from(tcp.type_id()) as usize && subset.len() < whole.len() / 2);
}
