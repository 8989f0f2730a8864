//! Records from rows as the models make them, by the columns that the rows declare: nothing is
//! written down twice, and no JSON is made to be read again.

use serde::de::value::{Error, StrDeserializer};
use serde::de::{DeserializeOwned, Deserializer, IntoDeserializer, MapAccess, Visitor};
use serde::forward_to_deserialize_any;

use crate::report::{Cell, Column, Row, Show};

/// Reads a row as the line that it would print in JSON.
///
/// # Errors
/// A column does not hold what the kind says, which a test would have found.
pub fn record<R: Row, T: DeserializeOwned>(row: &R) -> Result<T, Error> {
    T::deserialize(RowReader { row, columns: R::columns().iter(), ts: true, cell: Cell::Missing })
}

struct RowReader<'a, R: Row> {
    row: &'a R,
    columns: std::slice::Iter<'static, Column<R>>,
    /// `ts` comes first without being declared.
    ts: bool,
    cell: Cell<'a>,
}

impl<'de, R: Row> Deserializer<'de> for RowReader<'_, R> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_map(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier
        ignored_any
    }
}

impl<'de, R: Row> MapAccess<'de> for RowReader<'_, R> {
    type Error = Error;

    fn next_key_seed<K: serde::de::DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        let key = if std::mem::take(&mut self.ts) {
            self.cell = Cell::Time(self.row.ts());
            "ts"
        } else {
            let Some(column) = self.columns.find(|column| column.show != Show::Table) else {
                return Ok(None);
            };
            self.cell = (column.cell)(self.row);
            column.key
        };
        let key: StrDeserializer<'_, Error> = key.into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<V: serde::de::DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, Error> {
        seed.deserialize(CellReader(self.cell))
    }
}

struct CellReader<'a>(Cell<'a>);

impl<'de> Deserializer<'de> for CellReader<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Cell::Missing | Cell::Endpoint(..) => visitor.visit_unit(),
            Cell::Count(n)
            | Cell::PerSec(n)
            | Cell::Bytes(n)
            | Cell::BytesPerSec(n)
            | Cell::Nanos(n)
            | Cell::AtLeast(n)
            | Cell::CountAtLeast(n)
            | Cell::Id(n) => visitor.visit_u64(n),
            Cell::Port(port) => visitor.visit_u16(port),
            Cell::Text(bytes) => visitor.visit_str(&String::from_utf8_lossy(bytes)),
            Cell::Word(word) => visitor.visit_str(word),
            Cell::Addr(ip) => visitor.visit_string(ip.to_canonical().to_string()),
            Cell::Time(ns) => visitor.visit_i64(ns),
            Cell::Flag(yes) => visitor.visit_bool(yes),
            Cell::Pairs(pairs) => visitor.visit_map(serde::de::value::MapDeserializer::new(
                pairs.iter().map(|&(name, value)| (name, value)),
            )),
            Cell::Json(value) => {
                value.clone().deserialize_any(visitor).map_err(serde::de::Error::custom)
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Cell::Missing => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.0 {
            Cell::Word(word) => {
                visitor.visit_enum(IntoDeserializer::<Error>::into_deserializer(word))
            }
            _ => visitor.visit_unit(),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}
