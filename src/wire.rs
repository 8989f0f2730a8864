//! What crosses between C and Rust: the records, choices, flags and limits of `bpf/wire.h`, which
//! says what each is and each field of it. The build makes the types from the BTF of
//! `bpf/wire.bpf.c`, so that there is one declaration; here is what Rust adds to them.
//!
//! Beside `kernel::probe` the only hand-written unsafe code of the kit is here: the promise to
//! `plain` that records may be made of any bytes, and that all of their bytes are initialised.
#![allow(unsafe_code)]

use std::mem::size_of;

use plain::Plain;

/// libbpf-cargo's skeleton of `bpf/wire.bpf.c`, of which the types alone are used.
#[allow(clippy::all, clippy::pedantic, clippy::undocumented_unsafe_blocks)]
#[allow(clippy::unwrap_used, missing_debug_implementations, unused)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/wire_types.rs"));
}

use generated::types;

mod sealed {
    /// Valid for any bytes, and without padding.
    pub trait Field: Copy {}

    impl Field for u8 {}
    impl Field for u16 {}
    impl Field for u32 {}
    impl Field for u64 {}
    impl<T: Field, const N: usize> Field for [T; N] {}
}

/// A struct of wire.h: any bytes are a value, and no byte of it is padding. Its
/// [`Default`] is all zeros.
pub trait Record: sealed::Field + Plain + Default {
    /// A copy of the record at the start of `bytes`, however aligned; `None` if they are too few.
    fn read(bytes: &[u8]) -> Option<Self> {
        let mut record = Self::default();
        plain::copy_from_bytes(&mut record, bytes).ok()?;
        Some(record)
    }

    /// The record as bytes.
    fn as_bytes(&self) -> &[u8] {
        // SAFETY: a record has no padding, so every byte is initialised.
        unsafe { plain::as_bytes(self) }
    }
}

macro_rules! records {
    ($($name:ident = $c_name:ident: $size:literal { $($field:ident),* })*) => {$(
        pub use types::$c_name as $name;

        const _: () = {
            const fn size_of_field<R, F: sealed::Field>(_: fn(&R) -> &F) -> usize {
                size_of::<F>()
            }
            let fields = 0 $(+ size_of_field(|record: &$name| &record.$field))*;
            assert!(size_of::<$name>() == $size, "Rust and C differ");
            assert!(fields == $size, "padding");
        };

        impl sealed::Field for $name {}

        // SAFETY: repr(C), Copy, without padding (the sizes of the fields add up, see above), and
        // every field is itself a `Field`, valid for any bytes.
        unsafe impl Plain for $name {}

        impl Record for $name {}
    )*};
}

/// Limits and flags become constants.
macro_rules! numbers {
    ($($c_name:ident: $ty:ident { $($number:ident),* })*) => {$($(
        #[allow(missing_docs)]
        pub const $number: $ty = types::$c_name::$number.0 as $ty;
    )*)*};
}

/// The other enums of wire.h become enums, so that a `match` names all there are.
macro_rules! choices {
    ($($name:ident = $c_name:ident { $($variant:ident = $number:ident),* })*) => {$(
        #[doc = concat!("`enum ", stringify!($c_name), "` of wire.h.")]
        #[allow(missing_docs)]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u32)]
        pub enum $name { $($variant = types::$c_name::$number.0),* }

        impl $name {
            /// How many there are.
            pub const COUNT: usize = [$(Self::$variant),*].len();
            /// All, in the order of their numbers.
            pub const ALL: [Self; Self::COUNT] = [$(Self::$variant),*];

            /// The one that a record has as `number`.
            pub fn from_number(number: impl Into<u32>) -> Option<Self> {
                match number.into() {
                    $(number if number == Self::$variant as u32 => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    )*};
}

include!(concat!(env!("OUT_DIR"), "/wire_names.rs"));

/// The ns value of an unknown duration.
pub const DURATION_UNKNOWN: u64 = u64::MAX;
/// A record that is a section of the programs, written before they are loaded.
pub trait Section: Record {
    /// The section's name, which is also that of libbpf's map.
    const NAME: &'static str;
}

macro_rules! sections {
    ($($name:ident = $section:literal),* $(,)?) => {$(
        impl Section for $name {
            const NAME: &'static str = $section;
        }
    )*};
}

sections! {
    Filter = ".rodata.filter",
    Wanted = ".data.wanted",
    Options = ".rodata.options",
    StatesOptions = ".rodata.states",
    CountOptions = ".rodata.count",
    LatencyOptions = ".rodata.latency",
    ListenOptions = ".rodata.listen",
    RetransOptions = ".rodata.retrans",
    LifeOptions = ".rodata.life",
    PortsOptions = ".rodata.ports",
    StallOptions = ".rodata.stall",
    DropOptions = ".rodata.drop",
}

impl Stats {
    /// Adds up the values of all CPUs.
    pub fn sum<'a>(cpus: impl IntoIterator<Item = &'a [u8]>) -> Self {
        cpus.into_iter().filter_map(Self::read).fold(Self::default(), |a, b| Self {
            attempted: a.attempted + b.attempted,
            lost: a.lost + b.lost,
            filtered: a.filtered + b.filtered,
            untracked: a.untracked + b.untracked,
            unreturned: a.unreturned + b.unreturned,
            unseen: a.unseen + b.unseen,
            hidden: a.hidden + b.hidden,
        })
    }
}
