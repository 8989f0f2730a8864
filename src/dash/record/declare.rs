//! How a kind of line is declared.

/// Declares a kind: every key may be missing, and is unknown then.
macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident { $($(#[$attr:meta])* $field:ident: $type:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        #[serde(default)]
        pub struct $name { pub ts: Ts, $($(#[$attr])* pub $field: $type,)* }
    )*};
}

/// Takes a key out of the fields that many kinds share.
macro_rules! keyed {
    ($($name:ident: $($field:ident)*;)*) => {$(
        #[allow(clippy::needless_update, reason = "some kinds have all fields")]
        impl $name {
            /// Whom it is about.
            pub fn key(&self) -> Key {
                Key { $($field: self.$field.clone(),)* ..Key::default() }
            }
        }
    )*};
}
