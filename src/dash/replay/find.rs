//! Finds times in a recording without reading all of it: lines are in the order of their times, or
//! nearly so.

use std::io;

use super::lines::{CHUNK, Lines, Read};

/// Bytes searched to find a time at some place in the file.
const LOOK: u64 = 1 << 20;

impl Lines {
    /// The time of the first record that begins behind an offset, and where that one begins.
    fn time_behind(&mut self, offset: u64) -> io::Result<Option<(i64, u64)>> {
        self.seek(offset.saturating_sub(1))?;
        // The line at the offset is skipped unless it begins there.
        if offset > 0 {
            self.skip_line()?;
        }
        while self.offset() < offset + LOOK {
            if self.place().1 {
                self.skip_line()?;
                continue;
            }
            let begin = self.offset();
            match self.read()? {
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
    pub fn find(&mut self, ts: i64) -> io::Result<u64> {
        let (mut low, mut high) = (0, self.size()?);
        let mut found = 0;
        while high - low > CHUNK as u64 {
            let middle = low + (high - low) / 2;
            match self.time_behind(middle)? {
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
    pub fn find_line(&mut self, offset: u64) -> io::Result<u64> {
        self.seek(offset)?;
        self.skip_line()?;
        Ok(self.offset())
    }

    /// The time of the last record; `None` if the input cannot seek.
    ///
    /// # Errors
    /// The input cannot be read.
    pub fn last_time(&mut self) -> io::Result<Option<i64>> {
        if !self.can_seek() {
            return Ok(None);
        }
        let (back, size) = (self.place(), self.size()?);
        let mut last = None;
        if self.time_behind(size.saturating_sub(CHUNK as u64))?.is_some() {
            self.seek(size.saturating_sub(CHUNK as u64))?;
            // The first may be the end of a longer one.
            self.skip_line()?;
        } else {
            self.seek(0)?;
        }
        if size.saturating_sub(self.offset()) <= LOOK {
            loop {
                match self.read()? {
                    Read::Record(record) => last = last.max(Some(record.ts())),
                    Read::Damaged(..) | Read::Skipping => {}
                    Read::End => break,
                }
            }
        }
        self.go_back(back)?;
        Ok(last)
    }
}
