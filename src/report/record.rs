//! Records: what a line of JSON carries, declared once for whoever writes and reads it.

use serde::de::{Deserialize, DeserializeOwned, Deserializer, Visitor};

use super::Ts;

/// One kind of JSON line. Its fields are its keys, in the order of the line.
pub trait Record: serde::Serialize + schemars::JsonSchema + Sized + 'static {
    /// The `kind` of its lines.
    const KIND: &'static str;
    /// Keys that a tool always knows, though a recording may lack them: never `null`.
    const KNOWN: &'static [&'static str];
    /// When it was.
    fn ts(&self) -> Ts;
}

/// Declares the record of a kind: its title, `kind`, type and fields, and which of them a tool
/// always knows. Every key may be missing from a line that is read, and is unknown then.
///
/// A field without a type is one that means the same in every kind; a comment on it adds what is
/// special about it in this one.
macro_rules! record {
    (
        $(#[$head:meta])*
        $kind:literal $name:ident known($($known:ident)*) { $($fields:tt)* }
    ) => {
        $crate::report::record!(@ [$(#[$head])*] $kind $name [$($known)*] {} {} $($fields)*);
    };
    (@ [$($head:tt)*] $kind:literal $name:ident [$($known:ident)*] {$($done:tt)*} {$($key:ident)*}) => {
        $($head)*
        #[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(default)]
        pub struct $name {
            /// Wall-clock time.
            pub ts: $crate::report::Ts,
            $($done)*
        }

        impl $crate::report::Record for $name {
            const KIND: &'static str = $kind;
            const KNOWN: &'static [&'static str] = &[$($crate::report::key!($name::$known)),*];

            fn ts(&self) -> $crate::report::Ts {
                self.ts
            }
        }

        impl $name {
            /// One about this; the rest of it is unknown.
            #[allow(unused, clippy::needless_update, reason = "not every kind needs it")]
            pub(crate) fn about(about: $crate::report::Key) -> Self {
                Self { $($key: about.$key,)* ..Default::default() }
            }

            /// Whom it is about.
            #[allow(unused, clippy::needless_update, reason = "not every kind needs it")]
            pub fn key(&self) -> $crate::report::Key {
                $crate::report::Key { $($key: self.$key.clone(),)* ..Default::default() }
            }
        }
    };
    (@ $h:tt $k:literal $n:ident $w:tt $d:tt $y:tt $(#[$m:meta])* pid, $($rest:tt)*) => {
        $crate::report::record!(@shared $h $k $n $w $d $y {
            /// process that owns the socket, PID in the initial pid namespace
            #[schemars(range(min = 1, max = 2_147_483_647))]
            $(#[$m])* pub pid: Option<u32>,
        } {pid} $($rest)*);
    };
    (@ $h:tt $k:literal $n:ident $w:tt $d:tt $y:tt $(#[$m:meta])* comm, $($rest:tt)*) => {
        $crate::report::record!(@shared $h $k $n $w $d $y {
            /// name of its main thread, at most 15 bytes, `""` if empty; null with `pid`
            $(#[$m])* pub comm: Option<$crate::report::Comm>,
        } {comm} $($rest)*);
    };
    (@ $h:tt $k:literal $n:ident $w:tt $d:tt $y:tt $(#[$m:meta])* laddr, $($rest:tt)*) => {
        $crate::report::record!(@shared $h $k $n $w $d $y {
            /// local address; IPv4 on an IPv6 socket is shown as IPv4
            $(#[$m])* pub laddr: Option<std::net::IpAddr>,
        } {laddr} $($rest)*);
    };
    (@ $h:tt $k:literal $n:ident $w:tt $d:tt $y:tt $(#[$m:meta])* lport, $($rest:tt)*) => {
        $crate::report::record!(@shared $h $k $n $w $d $y {
            /// local port, 1 to 65535
            #[schemars(range(min = 1, max = 65_535))]
            $(#[$m])* pub lport: Option<u16>,
        } {lport} $($rest)*);
    };
    (@ $h:tt $k:literal $n:ident $w:tt $d:tt $y:tt $(#[$m:meta])* raddr, $($rest:tt)*) => {
        $crate::report::record!(@shared $h $k $n $w $d $y {
            /// remote address; IPv4 on an IPv6 socket is shown as IPv4
            $(#[$m])* pub raddr: Option<std::net::IpAddr>,
        } {raddr} $($rest)*);
    };
    (@ $h:tt $k:literal $n:ident $w:tt $d:tt $y:tt $(#[$m:meta])* rport, $($rest:tt)*) => {
        $crate::report::record!(@shared $h $k $n $w $d $y {
            /// remote port, 1 to 65535
            #[schemars(range(min = 1, max = 65_535))]
            $(#[$m])* pub rport: Option<u16>,
        } {rport} $($rest)*);
    };
    (@ $h:tt $k:literal $n:ident $w:tt $d:tt {$($y:tt)*} $(#[$m:meta])* family, $($rest:tt)*) => {
        $crate::report::record!(@shared $h $k $n $w $d {$($y)*} {
            /// of the addresses as shown
            #[schemars(extend("enum" = [4, 6, null]))]
            $(#[$m])* pub family: Option<u8>,
        } {} $($rest)*);
    };
    (@ $h:tt $k:literal $n:ident $w:tt $d:tt $y:tt $(#[$m:meta])* netns, $($rest:tt)*) => {
        $crate::report::record!(@shared $h $k $n $w $d $y {
            /// inode of the network namespace, as in `lsns -t net`
            #[schemars(range(min = 1, max = 4_294_967_295_u32))]
            $(#[$m])* pub netns: Option<u32>,
        } {netns} $($rest)*);
    };
    (@ $h:tt $k:literal $n:ident $w:tt $d:tt $y:tt $(#[$m:meta])* cgroup, $($rest:tt)*) => {
        $crate::report::record!(@shared $h $k $n $w $d $y {
            /// path below the cgroup2 mount, `/` for the root; null if it does not exist (any more)
            #[schemars(regex(pattern = "^/"))]
            $(#[$m])* pub cgroup: Option<std::sync::Arc<str>>,
        } {cgroup} $($rest)*);
    };
    (@ $h:tt $k:literal $n:ident $w:tt $d:tt $y:tt $(#[$m:meta])* interval_ns, $($rest:tt)*) => {
        $crate::report::record!(@shared $h $k $n $w $d $y {
            /// length of the interval as measured
            $(#[$m])* pub interval_ns: Option<u64>,
        } {} $($rest)*);
    };
    (@ $h:tt $k:literal $n:ident $w:tt {$($d:tt)*} $y:tt $(#[$m:meta])* $field:ident: $type:ty, $($rest:tt)*) => {
        $crate::report::record!(@ $h $k $n $w {$($d)* $(#[$m])* pub $field: $type,} $y $($rest)*);
    };
    (@shared $h:tt $k:literal $n:ident $w:tt {$($d:tt)*} {$($y:tt)*} {$($field:tt)*} {$($key:tt)*} $($rest:tt)*) => {
        $crate::report::record!(@ $h $k $n $w {$($d)* $($field)*} {$($y)* $($key)*} $($rest)*);
    };
}
pub(crate) use record;

/// The JSON key that is this field of a record.
macro_rules! key {
    ($record:ident::$field:ident) => {{
        let _ = |record: &$record| {
            let _ = &record.$field;
        };
        stringify!($field)
    }};
}
pub(crate) use key;

/// A value that is one of a few words.
pub trait Word: Copy + 'static {
    /// All values, each with its word.
    const WORDS: &'static [(Self, &'static str)];
}

/// Declares an enum whose values JSON writes as words.
macro_rules! words {
    ($(#[$head:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$head])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$doc])* $variant,)* }

        $crate::report::spell! { "" $name { $($variant = $word,)* } }

        impl $name {
            /// The word.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }
    };
}
pub(crate) use words;

/// Makes JSON write the values of an enum as words; a value without a word is `null`. In a schema
/// it stands in place, or is called by its name.
macro_rules! spell {
    ($schema:literal $name:ty { $($variant:ident = $word:literal,)* }) => {
        impl $crate::report::Word for $name {
            const WORDS: &'static [(Self, &'static str)] = &[$((Self::$variant, $word),)*];
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                use $crate::report::Word;
                let spelled = Self::WORDS.iter().find(|(value, _)| value == self);
                spelled.map(|(_, word)| word).serialize(to)
            }
        }

        impl schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                $schema.is_empty()
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                $schema.into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "enum": [$($word),*] })
            }
        }
    };
}
pub(crate) use spell;

/// Reads a word; one that this version does not know is unknown.
pub fn word<'de, T: Word, D: Deserializer<'de>>(from: D) -> Result<Option<T>, D::Error> {
    struct Words<T>(std::marker::PhantomData<T>);

    impl<'de, T: Word> Visitor<'de> for Words<T> {
        type Value = Option<T>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a word or null")
        }

        fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
            Ok(T::WORDS.iter().find(|(_, word)| *word == text).map(|(value, _)| *value))
        }

        fn visit_none<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
            from.deserialize_str(self)
        }
    }

    from.deserialize_option(Words(std::marker::PhantomData))
}

/// Reads a value; one of a shape that this version does not know is unknown.
pub fn lenient<'de, T: DeserializeOwned, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<T>, D::Error> {
    let value = serde_json::Value::deserialize(from)?;
    Ok(T::deserialize(value).ok())
}
