//! Every record that crosses from C to Rust, held against the BTF of the compiled programs:
//! name, size, offset and signedness of each field.

use libbpf_rs::btf::types::{Array, Int, IntEncoding, MemberAttr, Struct};
use libbpf_rs::btf::{Btf, BtfType, HasSize};
use tcpscope::wire::{LAYOUTS, Layout};

const OBJECTS: [(&str, &[u8]); 4] = [
    ("listenoverflow", include_bytes!(concat!(env!("OUT_DIR"), "/listenoverflow.bpf.o"))),
    ("tcpstates", include_bytes!(concat!(env!("OUT_DIR"), "/tcpstates.bpf.o"))),
    ("tcpcount", include_bytes!(concat!(env!("OUT_DIR"), "/tcpcount.bpf.o"))),
    ("tcplatency", include_bytes!(concat!(env!("OUT_DIR"), "/tcplatency.bpf.o"))),
];

/// One number of a record: path, byte offset, bytes, signed.
#[derive(Debug, PartialEq, Eq)]
struct Field {
    name: String,
    offset: usize,
    size: usize,
    signed: bool,
}

/// Bytes of a field, and whether a number in it is signed.
fn measure(ty: BtfType<'_>) -> (usize, bool) {
    let ty = ty.skip_mods_and_typedefs();
    if let Ok(int) = Int::try_from(ty) {
        return (usize::from(int.bits) / 8, matches!(int.encoding, IntEncoding::Signed));
    }
    if let Ok(array) = Array::try_from(ty) {
        let (size, signed) = measure(array.contained_type());
        return (size * array.capacity(), signed);
    }
    let record = Struct::try_from(ty).expect("numbers, arrays and records only");
    (record.size(), false)
}

fn fields_in_c(btf: &Btf<'_>, record: &Struct<'_>) -> Vec<Field> {
    record
        .iter()
        .map(|member| {
            let MemberAttr::Normal { offset } = member.attr else { panic!("a bit field") };
            let ty = btf.type_by_id::<BtfType<'_>>(member.ty).expect("the member's type");
            let (size, signed) = measure(ty);
            let name = member.name.unwrap_or_default().to_string_lossy().into_owned();
            Field { name, offset: offset as usize / 8, size, signed }
        })
        .collect()
}

fn fields_in_rust(layout: &Layout) -> Vec<Field> {
    let field = |&(name, offset, size): &(&str, usize, usize)| {
        // No type that wire.rs admits is signed.
        Field { name: name.to_owned(), offset, size, signed: false }
    };
    layout.fields.iter().map(field).collect()
}

#[test]
fn every_record_lies_in_memory_as_in_c() {
    let mut compared = Vec::new();
    for (object, bytes) in OBJECTS {
        let btf = Btf::from_raw(object, bytes).expect("BTF").expect("an object with BTF");
        for layout in LAYOUTS {
            let Some(record) = btf
                .type_by_kind::<Struct<'_>>()
                .find(|record| record.name().is_some_and(|name| name == layout.name))
            else {
                continue;
            };
            assert_eq!(record.size(), layout.size, "size of {} in {object}", layout.name);
            assert_eq!(
                fields_in_c(&btf, &record),
                fields_in_rust(layout),
                "fields of {} in {object}",
                layout.name
            );
            compared.push(layout.name);
        }
    }
    let missing: Vec<_> =
        LAYOUTS.iter().map(|layout| layout.name).filter(|name| !compared.contains(name)).collect();
    assert_eq!(missing, [""; 0], "records that no program uses");
}

/// The test above must notice a difference: wire.h and wire.rs would drift apart unseen.
#[test]
fn a_field_that_moved_is_noticed() {
    let btf = Btf::from_raw(OBJECTS[0].0, OBJECTS[0].1).expect("BTF").expect("BTF");
    let record = btf
        .type_by_kind::<Struct<'_>>()
        .find(|record| record.name().is_some_and(|name| name == "flow"))
        .expect("struct flow");
    let mut moved = fields_in_c(&btf, &record);
    moved[3].offset += 2;
    let flow = LAYOUTS.iter().find(|layout| layout.name == "flow").expect("flow");
    assert_ne!(moved, fields_in_rust(flow));
}
