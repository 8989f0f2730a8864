//! Makes bytes from the kernel harmless: whoever names a process must not steer a terminal.

use std::io::Write;

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

/// Appends `bytes` as a JSON string with its quotes. What [`text`] would escape is written as
/// `\uXXXX`, so that looking at raw JSON is as safe; a run of invalid UTF-8 is one `\ufffd`.
pub fn json(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    if bytes.iter().all(|&b| is_plain(b) && b != b'"') {
        out.extend_from_slice(bytes);
    } else {
        for chunk in bytes.utf8_chunks() {
            for c in chunk.valid().chars() {
                match c {
                    '"' => out.extend_from_slice(br#"\""#),
                    '\\' => out.extend_from_slice(br"\\"),
                    c if is_hostile(c) => {
                        for unit in c.encode_utf16(&mut [0; 2]) {
                            put(out, format_args!("\\u{unit:04x}"));
                        }
                    }
                    c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
                }
            }
            if !chunk.invalid().is_empty() {
                out.extend_from_slice(br"\ufffd");
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
fn is_hostile(c: char) -> bool {
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

    fn quoted(bytes: &[u8]) -> String {
        let mut out = Vec::new();
        json(bytes, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn hostile_names_become_visible() {
        assert_eq!(escaped(b"nginx: w"), "nginx: w");
        assert_eq!(escaped(b"\x1b[2J\x1b[31mX"), r"\x1b[2J\x1b[31mX");
        assert_eq!(escaped(b"a\nb\x7f"), r"a\x0ab\x7f");
        assert_eq!(escaped(br"\x1b"), r"\\x1b");
        assert_eq!(escaped("a\u{202e}b\u{9b}".as_bytes()), r"a\u{202e}b\u{9b}");
        assert_eq!(escaped("é\u{feff}漢".as_bytes()), r"é\u{feff}漢");
        assert_eq!(escaped(b"a\xff\xc3"), r"a\xff\xc3");
    }

    #[test]
    fn json_is_valid_and_reads_back() {
        assert_eq!(quoted(b"sshd"), "\"sshd\"");
        assert_eq!(quoted(b"\x1b\"\\\n"), r#""\u001b\"\\\u000a""#);
        assert_eq!(quoted(b"a\xffb"), r#""a\ufffdb""#);
        assert_eq!(quoted("\u{e0041}".as_bytes()), r#""\udb40\udc41""#);
        let all: String = (0..0x3000).filter_map(char::from_u32).collect();
        let raw = quoted(all.as_bytes());
        assert_eq!(serde_json::from_str::<String>(&raw).unwrap(), all);
        assert!(!raw.chars().any(is_hostile));
        assert!(!escaped(all.as_bytes()).chars().any(is_hostile));
    }

    #[test]
    fn every_pair_of_bytes_is_safe() {
        for pair in (0..=u16::MAX).map(u16::to_be_bytes) {
            assert!(!escaped(&pair).chars().any(is_hostile));
            let back: String = serde_json::from_str(&quoted(&pair)).unwrap();
            assert_eq!(back, String::from_utf8_lossy(&pair));
        }
    }
}
