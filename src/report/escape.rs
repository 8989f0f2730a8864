//! Escapes bytes from the kernel: a process name must not control the terminal.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use unicode_width::UnicodeWidthStr;

/// Appends `bytes` for a terminal. Control characters, bidirectional and invisible marks and
/// invalid UTF-8 become `\x1b`, `\u{202e}`; a backslash is doubled, so the text is unambiguous.
pub fn text(bytes: &[u8], out: &mut Vec<u8>) {
    if bytes.iter().all(|&b| is_plain(b)) {
        out.extend_from_slice(bytes);
        return;
    }
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => out.extend_from_slice(br"\\"),
                c if c.is_ascii_control() => byte(c as u8, out),
                c if is_hostile(c) => put(out, format_args!("\\u{{{:x}}}", u32::from(c))),
                c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        for &invalid in chunk.invalid() {
            byte(invalid, out);
        }
    }
}

/// An argument as messages may repeat it: as it is, backslashes included, unless it could steer a terminal.
pub fn argument(word: &OsStr) -> OsString {
    let bytes = word.as_bytes();
    let hostile = |c: char| c.is_ascii_control() || is_hostile(c);
    if std::str::from_utf8(bytes).is_ok_and(|word| !word.contains(hostile)) {
        return word.to_owned();
    }
    let mut out = Vec::new();
    text(bytes, &mut out);
    OsString::from_vec(out)
}

/// Appends a JSON string with its quotes. What [`text`] would escape, and what stands for invalid
/// UTF-8, is written as `\uXXXX`, so that looking at raw JSON is as safe.
pub fn json(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    #[allow(
        clippy::needless_bitwise_bool,
        reason = "no early end: many bytes are compared at once"
    )]
    let plain = text.bytes().fold(true, |plain, byte| plain & is_plain(byte) & (byte != b'"'));
    if plain {
        out.extend_from_slice(text.as_bytes());
    } else {
        for c in text.chars() {
            match c {
                '"' => out.extend_from_slice(br#"\""#),
                '\\' => out.extend_from_slice(br"\\"),
                c if is_hostile(c) || c == char::REPLACEMENT_CHARACTER => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        put(out, format_args!("\\u{unit:04x}"));
                    }
                }
                c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
    }
    out.push(b'"');
}

/// Columns that `text` takes on a terminal; `text` has been escaped before.
pub fn width(text: &[u8]) -> usize {
    if text.is_ascii() {
        return text.len();
    }
    text.utf8_chunks().map(|chunk| chunk.valid().width()).sum()
}

/// Printable ASCII but the backslash.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'\\'
}

/// Whether a character moves the cursor, turns the direction of text or hides.
pub(super) fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

fn byte(byte: u8, out: &mut Vec<u8>) {
    put(out, format_args!("\\x{byte:02x}"));
}

fn put(out: &mut Vec<u8>, args: std::fmt::Arguments<'_>) {
    // Writing to a Vec cannot fail.
    let _ = out.write_fmt(args);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(bytes: &[u8]) -> String {
        let mut out = Vec::new();
        text(bytes, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn control_characters_are_shown_escaped() {
        assert_eq!(escaped(b"nginx: w"), "nginx: w");
        assert_eq!(escaped(b"\x1b[2J\x1b[31mX"), r"\x1b[2J\x1b[31mX");
        assert_eq!(escaped(b"a\nb\x7f"), r"a\x0ab\x7f");
        assert_eq!(escaped(br"\x1b"), r"\\x1b");
        assert_eq!(escaped("a\u{202e}b\u{9b}".as_bytes()), r"a\u{202e}b\u{9b}");
        assert_eq!(escaped("é\u{feff}漢".as_bytes()), r"é\u{feff}漢");
        assert_eq!(escaped(b"a\xff\xc3"), r"a\xff\xc3");
    }

    #[test]
    fn every_pair_of_bytes_is_safe() {
        for pair in (0..=u16::MAX).map(u16::to_be_bytes) {
            assert!(!escaped(&pair).chars().any(is_hostile));
        }
        let all: String = (0..0x3000).filter_map(char::from_u32).collect();
        assert!(!escaped(all.as_bytes()).chars().any(is_hostile));
    }
}
