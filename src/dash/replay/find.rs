//! Finds times in a recording without reading all of it: lines are in the order of their times, or
//! nearly so.

use std::io;

use super::lines::{CHUNK, Lines, Read};

/// Bytes searched to find a time at some place in the file.
const WINDOW: u64 = 1 << 20;

/// The time of the first record that begins behind an offset, and where that one begins.
fn time_behind(lines: &mut Lines, offset: u64) -> io::Result<Option<(i64, u64)>> {
    lines.seek(offset.saturating_sub(1))?;
    // The line at the offset is skipped unless it begins there.
    if offset > 0 {
        lines.skip_line()?;
    }
    while lines.offset() < offset + WINDOW {
        if lines.place().1 {
            lines.skip_line()?;
            continue;
        }
        let begin = lines.offset();
        match lines.read()? {
            Read::Record(record) => return Ok(Some((record.ts(), begin))),
            Read::Damaged(..) | Read::Skipping => {}
            Read::End => break,
        }
    }
    Ok(None)
}

/// The offset of a line before which everything was earlier than `ts`, by halving: lines are
/// in the order of their times, or nearly so.
///
/// # Errors
/// The input cannot be read.
pub fn find(lines: &mut Lines, ts: i64) -> io::Result<u64> {
    let (mut low, mut high) = (0, lines.size()?);
    let mut found = 0;
    while high - low > CHUNK as u64 {
        let middle = low + (high - low) / 2;
        match time_behind(lines, middle)? {
            Some((time, begin)) if time < ts => (low, found) = (begin.max(middle), begin),
            _ => high = middle,
        }
    }
    Ok(found)
}

/// Where the first line begins that does so behind an offset.
///
/// # Errors
/// The input cannot be read.
pub fn find_line(lines: &mut Lines, offset: u64) -> io::Result<u64> {
    lines.seek(offset)?;
    lines.skip_line()?;
    Ok(lines.offset())
}

/// The time of the last record; `None` if the input cannot seek.
///
/// # Errors
/// The input cannot be read.
pub fn last_time(lines: &mut Lines) -> io::Result<Option<i64>> {
    if !lines.can_seek() {
        return Ok(None);
    }
    let (back, size) = (lines.place(), lines.size()?);
    let mut last = None;
    if time_behind(lines, size.saturating_sub(CHUNK as u64))?.is_some() {
        lines.seek(size.saturating_sub(CHUNK as u64))?;
        // The first may be the end of a longer one.
        lines.skip_line()?;
    } else {
        lines.seek(0)?;
    }
    if size.saturating_sub(lines.offset()) <= WINDOW {
        loop {
            match lines.read()? {
                Read::Record(record) => last = last.max(Some(record.ts())),
                Read::Damaged(..) | Read::Skipping => {}
                Read::End => break,
            }
        }
    }
    lines.go_back(back)?;
    Ok(last)
}
