//! A row as a line of text, or as several where it does not fit.

use super::Align;

/// Indent of the second line of a row that does not fit into one.
const INDENT: usize = 2;

/// A line in the making. What a wide value takes too much, the columns after it make up for
/// from their padding. A value that does not fit any more begins another line.
#[derive(Default)]
pub struct Line {
    /// Columns written, without spaces at the end.
    at: usize,
    /// Columns that should be written so far.
    due: usize,
    /// Columns of the terminal.
    limit: Option<usize>,
}

impl Line {
    /// Within so many columns.
    pub fn new(limit: Option<usize>) -> Self {
        Self { limit, ..Self::default() }
    }

    /// The same for a line without end, where the space before the value does not depend on it.
    fn put_left(
        &mut self,
        width: usize,
        out: &mut Vec<u8>,
        write: impl FnOnce(&mut Vec<u8>),
        measure: impl FnOnce(&[u8]) -> usize,
    ) -> usize {
        let mut before = 0;
        if self.due > 0 {
            before = self.due.saturating_sub(self.at) + 1;
            self.due += 1;
        }
        out.resize(out.len() + before, b' ');
        let start = out.len();
        write(out);
        let text = measure(&out[start..]);
        self.due += width;
        self.at += before + text;
        text
    }

    /// Appends a value, and returns its width.
    pub fn put(
        &mut self,
        width: usize,
        align: Align,
        out: &mut Vec<u8>,
        write: impl FnOnce(&mut Vec<u8>),
        measure: impl FnOnce(&[u8]) -> usize,
    ) -> usize {
        if align == Align::Left && self.limit.is_none() {
            return self.put_left(width, out, write, measure);
        }
        let mut start = out.len();
        write(out);
        let text = measure(&out[start..]);
        let mut before = 0;
        if self.due > 0 {
            // One space separates two values of any width.
            let gap = self.due.saturating_sub(self.at) + 1;
            let end = (self.due + 1 + width).max(self.at + gap + text);
            if self.limit.is_some_and(|limit| end > limit) && self.at > INDENT {
                insert(out, start, 1, b'\n');
                start += 1;
                (self.at, self.due) = (0, INDENT);
                before = INDENT;
            } else {
                self.due += 1;
                before = gap;
            }
        }
        self.due += width;
        let shift = self.due.saturating_sub(self.at + before + text);
        if align == Align::Right {
            before += shift;
        }
        insert(out, start, before, b' ');
        self.at += before + text;
        text
    }
}

/// Inserts `n` of a byte at `at`.
fn insert(out: &mut Vec<u8>, at: usize, n: usize, byte: u8) {
    let end = out.len();
    out.resize(end + n, byte);
    out.copy_within(at..end, at + n);
    out[at..at + n].fill(byte);
}
