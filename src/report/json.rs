//! JSON Lines from records: every key is there, and what is unknown is `null`.

use std::fmt::Display;
use std::io::Write;

use itoa::Buffer;
use serde::de::value::Error;
use serde::ser::{self, Impossible, Serialize, SerializeMap, SerializeSeq, SerializeStruct};

use super::{Record, escape};

/// Appends one line `{"kind":…,"ts":…,…}` with every key of the record.
pub fn line<R: Record>(record: &R, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(b"{\"kind\":\"");
    out.extend_from_slice(R::KIND.as_bytes());
    out.push(b'"');
    let object = out.len();
    if record.serialize(Json(out)).is_err() {
        // Only a key that is no string fails, and no record has any.
        return out.truncate(start);
    }
    // The object goes on where the kind ends.
    out[object] = b',';
    out.push(b'\n');
}

/// Writes compact JSON whose strings are safe to print. `serde_json`'s own serializer looks at every
/// key and string twice: it writes less than half as many lines a second.
struct Json<'a>(&'a mut Vec<u8>);

/// An array or object in the making.
struct Parts<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
    end: u8,
}

impl<'a> Json<'a> {
    fn parts(self, [begin, end]: [u8; 2]) -> Parts<'a> {
        self.0.push(begin);
        Parts { out: self.0, first: true, end }
    }

    #[inline]
    fn number(self, number: impl itoa::Integer) {
        self.0.extend_from_slice(Buffer::new().format(number).as_bytes());
    }
}

impl Parts<'_> {
    #[inline]
    fn separate(&mut self) {
        if !std::mem::take(&mut self.first) {
            self.out.push(b',');
        }
    }

    fn close(self) {
        self.out.push(self.end);
    }
}

macro_rules! numbers {
    ($($method:ident: $type:ty,)*) => {$(
        fn $method(self, number: $type) -> Result<(), Error> {
            self.number(number);
            Ok(())
        }
    )*};
}

fn unsupported() -> Error {
    ser::Error::custom("no record has such a value")
}

impl<'a> ser::Serializer for Json<'a> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Parts<'a>;
    type SerializeTuple = Parts<'a>;
    type SerializeTupleStruct = Impossible<(), Error>;
    type SerializeTupleVariant = Impossible<(), Error>;
    type SerializeMap = Parts<'a>;
    type SerializeStruct = Parts<'a>;
    type SerializeStructVariant = Impossible<(), Error>;

    numbers! {
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64,
    }

    fn serialize_bool(self, yes: bool) -> Result<(), Error> {
        self.0.extend_from_slice(if yes { b"true" } else { b"false" });
        Ok(())
    }

    fn serialize_str(self, text: &str) -> Result<(), Error> {
        escape::json(text, self.0);
        Ok(())
    }

    fn serialize_char(self, c: char) -> Result<(), Error> {
        self.serialize_str(c.encode_utf8(&mut [0; 4]))
    }

    fn collect_str<T: ?Sized + Display>(self, value: &T) -> Result<(), Error> {
        self.serialize_str(&value.to_string())
    }

    fn serialize_none(self) -> Result<(), Error> {
        self.serialize_unit()
    }

    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Error> {
        self.0.extend_from_slice(b"null");
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Error> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), Error> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Parts<'a>, Error> {
        Ok(self.parts(*b"[]"))
    }

    fn serialize_tuple(self, _: usize) -> Result<Parts<'a>, Error> {
        Ok(self.parts(*b"[]"))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Parts<'a>, Error> {
        Ok(self.parts(*b"{}"))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Parts<'a>, Error> {
        Ok(self.parts(*b"{}"))
    }

    fn serialize_f32(self, _: f32) -> Result<(), Error> {
        Err(unsupported())
    }

    fn serialize_f64(self, number: f64) -> Result<(), Error> {
        if !number.is_finite() {
            return self.serialize_unit();
        }
        // Never with an exponent; writing to a Vec cannot fail.
        let _ = write!(self.0, "{number}");
        Ok(())
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<(), Error> {
        Err(unsupported())
    }

    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), Error> {
        Err(unsupported())
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Impossible<(), Error>, Error> {
        Err(unsupported())
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Impossible<(), Error>, Error> {
        Err(unsupported())
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Impossible<(), Error>, Error> {
        Err(unsupported())
    }
}

impl SerializeStruct for Parts<'_> {
    type Ok = ();
    type Error = Error;

    #[inline]
    fn serialize_field<T: ?Sized + Serialize>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        // Once for the key and any number.
        self.out.reserve(key.len() + 24);
        self.separate();
        // Names of fields need no escape.
        self.out.push(b'"');
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
        value.serialize(Json(self.out))
    }

    fn end(self) -> Result<(), Error> {
        self.close();
        Ok(())
    }
}

impl SerializeMap for Parts<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: ?Sized + Serialize>(&mut self, key: &T) -> Result<(), Error> {
        self.separate();
        key.serialize(Json(self.out))
    }

    fn serialize_value<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), Error> {
        self.out.push(b':');
        value.serialize(Json(self.out))
    }

    fn end(self) -> Result<(), Error> {
        self.close();
        Ok(())
    }
}

impl SerializeSeq for Parts<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_element<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), Error> {
        self.separate();
        value.serialize(Json(self.out))
    }

    fn end(self) -> Result<(), Error> {
        self.close();
        Ok(())
    }
}

impl ser::SerializeTuple for Parts<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_element<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), Error> {
        SerializeSeq::serialize_element(self, value)
    }

    fn end(self) -> Result<(), Error> {
        self.close();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::column::tests::sample;
    use super::super::{Comm, Note, Ts};
    use super::*;

    fn written(value: &impl Serialize) -> String {
        let mut out = Vec::new();
        value.serialize(Json(&mut out)).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn strings_and_keys_are_safe_to_print_and_read_back() {
        assert_eq!(written(&"sshd"), "\"sshd\"");
        assert_eq!(
            written(&"\u{1b}\"\\\n\t\r\u{8}\u{c}/"),
            r#""\u001b\"\\\u000a\u0009\u000d\u0008\u000c/""#
        );
        assert_eq!(written(&"é\u{202e}漢\u{e0041}"), r#""é\u202e漢\udb40\udc41""#);
        let given = serde_json::json!({"a": [1, null, "\u{202e}\n"], "b\u{1b}": {}, "c": [true]});
        assert!(written(&given).is_ascii() && !written(&given).contains(char::is_control));
        assert_eq!(serde_json::from_str::<Value>(&written(&given)).unwrap(), given);
        let all: String = (0..0x3000).filter_map(char::from_u32).collect();
        assert_eq!(serde_json::from_str::<String>(&written(&all)).unwrap(), all);
        assert!(!written(&all).chars().any(escape::is_hostile));
    }

    #[test]
    fn numbers_that_are_none_are_null() {
        let all = [0.0, 1.0, 1.0 / 3.0, 1e-9, f64::NAN, f64::INFINITY].map(|one| written(&one));
        assert_eq!(all, ["0", "1", "0.3333333333333333", "0.000000001", "null", "null"]);
    }

    #[test]
    fn every_pair_of_bytes_in_a_name_is_safe() {
        for pair in (1..=u16::MAX).map(u16::to_be_bytes).filter(|pair| pair[0] != 0) {
            let mut bytes = [0; crate::wire::COMM_LEN];
            bytes[..2].copy_from_slice(&pair);
            let text = written(&Comm::Kernel(bytes));
            assert!(!text.chars().any(escape::is_hostile) && !text.contains('\u{fffd}'), "{text}");
            let expected = String::from_utf8_lossy(if pair[1] == 0 { &pair[..1] } else { &pair });
            assert_eq!(serde_json::from_str::<String>(&text).unwrap(), expected);
        }
    }

    #[test]
    fn one_line_a_record() {
        let mut out = Vec::new();
        line(&sample(None, b"a\xff\n", 3), &mut out);
        line(&Note { ts: Ts(5), text: "a \"b\"".into() }, &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            concat!(
                r#"{"kind":"sample","ts":"1970-01-01T00:00:00.001000000Z","#,
                r#""pid":null,"comm":"a\ufffd\u000a","tx_calls":3,"family":4}"#,
                "\n",
                r#"{"kind":"note","ts":"1970-01-01T00:00:00.000000005Z","text":"a \"b\""}"#,
                "\n"
            )
        );
    }
}
