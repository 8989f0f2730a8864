//! JSON Lines from records.

use std::io::{self, Write};

use serde_json::ser::{CharEscape, Formatter, Serializer};

use super::{Record, escape};

/// Appends one line `{"kind":…,"ts":…,…}` with every key of the record.
pub fn line<R: Record>(record: &R, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(b"{\"kind\":\"");
    out.extend_from_slice(R::KIND.as_bytes());
    out.push(b'"');
    let object = out.len();
    match record.serialize(&mut Serializer::with_formatter(&mut *out, Safe)) {
        // The object goes on where the kind ends.
        Ok(()) => out[object] = b',',
        // Writing to a Vec cannot fail, and no record has keys that are not strings.
        Err(_) => return out.truncate(start),
    }
    out.push(b'\n');
}

/// Compact, with strings that are safe to print.
struct Safe;

impl Formatter for Safe {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        to: &mut W,
        text: &str,
    ) -> io::Result<()> {
        escape::json_fragment(text, to)
    }

    fn write_char_escape<W: ?Sized + Write>(
        &mut self,
        to: &mut W,
        c: CharEscape,
    ) -> io::Result<()> {
        let byte = match c {
            CharEscape::Quote => return to.write_all(br#"\""#),
            CharEscape::ReverseSolidus => return to.write_all(br"\\"),
            CharEscape::Solidus => b'/',
            CharEscape::Backspace => 8,
            CharEscape::FormFeed => 12,
            CharEscape::LineFeed => b'\n',
            CharEscape::CarriageReturn => b'\r',
            CharEscape::Tab => b'\t',
            CharEscape::AsciiControl(byte) => byte,
        };
        write!(to, "\\u{byte:04x}")
    }
}

#[cfg(test)]
mod tests {
    use serde::Serialize;
    use serde_json::Value;

    use super::super::column::tests::sample;
    use super::super::{Comm, Note, Ts};
    use super::*;

    fn written(value: &impl Serialize) -> String {
        let mut out = Vec::new();
        value.serialize(&mut Serializer::with_formatter(&mut out, Safe)).unwrap();
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
