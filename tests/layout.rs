//! What the build cannot see of the layout of `bpf/wire.h`: whether the objects that the tools carry
//! were compiled with the one that the Rust types are made from.

use libbpf_rs::ObjectBuilder;
use libbpf_rs::btf::types::{MemberAttr, Struct};
use libbpf_rs::btf::{Btf, BtfType, HasSize};
use tcpscope::registry::TOOLS;
use tcpscope::wire::DURATION_UNKNOWN;

const WIRE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/wire.bpf.o"));

fn btf<'a>(name: &'a str, object: &'a [u8]) -> Btf<'a> {
    Btf::from_raw(name, object).expect("BTF").expect("an object with BTF")
}

fn named<'a>(btf: &'a Btf<'_>, name: &str) -> Option<Struct<'a>> {
    btf.type_by_kind::<Struct<'_>>().find(|one| one.name().is_some_and(|found| found == name))
}

/// Every number of a record: path, byte offset, and what it is.
fn fields(btf: &Btf<'_>, record: &Struct<'_>) -> Vec<String> {
    let mut lines = vec![format!("{} bytes", record.size())];
    for member in record.iter() {
        let MemberAttr::Normal { offset } = member.attr else { panic!("a bit field") };
        let ty = btf.type_by_id::<BtfType<'_>>(member.ty).expect("the member's type");
        lines.push(format!("{:?} at {}: {}", member.name, offset / 8, describe(ty)));
    }
    lines
}

fn describe(ty: BtfType<'_>) -> String {
    use libbpf_rs::btf::types::{Array, Int};
    let ty = ty.skip_mods_and_typedefs();
    if let Ok(int) = Int::try_from(ty) {
        return format!("{} bits, {:?}", int.bits, int.encoding);
    }
    if let Ok(array) = Array::try_from(ty) {
        return format!("{} of {}", array.capacity(), describe(array.contained_type()));
    }
    let record = Struct::try_from(ty).expect("numbers, arrays and records only");
    format!("{:?}", record.name())
}

#[test]
fn every_object_has_the_layout_of_wire_h() {
    let wire = btf("wire", WIRE);
    for record in wire.type_by_kind::<Struct<'_>>() {
        let name = record.name().expect("a record's name").to_str().expect("UTF-8");
        let mut used = false;
        for tool in TOOLS.into_iter().filter(|tool| !tool.object.is_empty()) {
            let object = tool.name;
            let object_btf = btf(object, tool.object);
            let Some(same) = named(&object_btf, name) else { continue };
            assert_eq!(fields(&object_btf, &same), fields(&wire, &record), "{name} in {object}");
            used = true;
        }
        assert!(used, "no program uses {name}");
    }
}

/// The test above must notice a difference.
#[test]
fn records_of_one_size_are_told_apart() {
    let wire = btf("wire", WIRE);
    let [count, latency] =
        ["latency_value", "latency_head"].map(|name| named(&wire, name).expect(name));
    assert_eq!(count.size(), latency.size());
    assert_ne!(fields(&wire, &count)[1..], fields(&wire, &latency)[1..]);
}

/// Compilers before LLVM 15 have no enumerator of 64 bits in BTF, so Rust declares this one itself.
#[test]
fn an_unknown_duration_is_the_same_number_in_c() {
    let mut object = ObjectBuilder::default().open_memory(WIRE).expect("an object");
    let mut maps = object.maps_mut();
    let map =
        maps.find(|map| map.name().to_string_lossy().ends_with(".rodata")).expect("constants");
    assert_eq!(map.initial_value(), Some(&DURATION_UNKNOWN.to_ne_bytes()[..]));
}
