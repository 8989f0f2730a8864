//! JSON Lines from the columns of a row.

use std::io::Write;

use serde_json::Value;

use super::{Ctx, Row, Show, escape};

/// Appends one line `{"kind":…,"ts":…,…}` with every column that shows in JSON.
pub fn line<R: Row>(row: &R, ctx: &mut Ctx, out: &mut Vec<u8>) {
    start(R::KIND, row.ts(), ctx, out);
    for column in R::columns() {
        if column.show != Show::Table {
            out.extend_from_slice(b",\"");
            out.extend_from_slice(column.key.as_bytes());
            out.extend_from_slice(b"\":");
            (column.cell)(row).json(ctx, out);
        }
    }
    out.extend_from_slice(b"}\n");
}

/// Appends a line that says something to the person who reads the JSON.
pub fn note(ts: i64, text: &str, ctx: &mut Ctx, out: &mut Vec<u8>) {
    start("note", ts, ctx, out);
    out.extend_from_slice(b",\"text\":");
    escape::json(text.as_bytes(), out);
    out.extend_from_slice(b"}\n");
}

/// Appends a value with its strings as safe as those of a row.
pub fn value(value: &Value, out: &mut Vec<u8>) {
    let mut separator = b"".as_slice();
    match value {
        Value::String(text) => escape::json(text.as_bytes(), out),
        Value::Array(values) => {
            out.push(b'[');
            for one in values {
                out.extend_from_slice(separator);
                separator = b",";
                self::value(one, out);
            }
            out.push(b']');
        }
        Value::Object(entries) => {
            out.push(b'{');
            for (key, one) in entries {
                out.extend_from_slice(separator);
                separator = b",";
                escape::json(key.as_bytes(), out);
                out.push(b':');
                self::value(one, out);
            }
            out.push(b'}');
        }
        // Writing to a Vec cannot fail.
        Value::Null | Value::Bool(_) | Value::Number(_) => _ = write!(out, "{value}"),
    }
}

fn start(kind: &str, ts: i64, ctx: &mut Ctx, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"kind\":\"");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\",\"ts\":\"");
    ctx.rfc3339(ts, out);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::super::column::tests::sample;
    use super::*;

    #[test]
    fn values_keep_their_shape_and_lose_their_teeth() {
        let given = serde_json::json!({"a": [1, null, "\u{202e}\n"], "b\u{1b}": {}, "c": [true]});
        let mut out = Vec::new();
        value(&given, &mut out);
        assert_eq!(serde_json::from_slice::<Value>(&out).unwrap(), given);
        assert!(out.is_ascii() && !out.iter().any(u8::is_ascii_control));
    }

    #[test]
    fn one_line_a_row() {
        let (mut ctx, mut out) = (Ctx::new(0, true), Vec::new());
        line(&sample(None, b"a\xff\n", 3), &mut ctx, &mut out);
        note(5, "a \"b\"", &mut ctx, &mut out);
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
