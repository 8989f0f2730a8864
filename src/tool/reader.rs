//! How a tool waits for the records in its ring buffer, and how its programs know.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::hooks::maps;
use crate::kernel::map::Map;
use crate::kernel::session::Session;
use crate::wait::{Waiter, Wake};
use crate::wire::Reader as Does;

/// Records are read this long after they were made, at the latest twice that; the first one after a while at once.
pub const BATCH: Duration = Duration::from_millis(40);

/// The reader of a ring buffer.
pub struct Reader {
    /// Where the programs see what it does; not every tool has a ring buffer.
    word: Option<Map>,
    /// The last wait ended before its time.
    woken: bool,
    /// The programs know that it sleeps.
    sleeps: bool,
    /// And have known it for longer than a program runs.
    deeply: bool,
    /// Records that had been read when it last waited.
    read: u64,
}

impl Reader {
    /// The reader of a session.
    pub fn of(session: &Session) -> Self {
        let word = session.map(maps::READER).ok();
        Self { word, woken: false, sleeps: false, deeply: false, read: 0 }
    }

    fn say(&self, does: Does) -> Result<()> {
        let Some(word) = &self.word else { return Ok(()) };
        word.update(&0_u32.to_ne_bytes(), &(does as u32).to_ne_bytes())
    }

    /// How long to wait now that so many records have been read in all; `None`: none came since the
    /// last time, so it may [`sleep`](Self::sleep).
    pub fn pause(&mut self, read: u64) -> Option<Duration> {
        let came = std::mem::replace(&mut self.read, read) != read;
        came.then_some(BATCH)
    }

    /// Waits until `moment`; the programs wake it if it would be late then.
    ///
    /// # Errors
    /// The programs cannot be informed, or waiting fails.
    pub fn poll(&mut self, waiter: &Waiter, moment: Instant) -> Result<Wake> {
        self.sleeps = false;
        self.say(Does::Polls)?;
        // Records that came after the last one was read and before this line caused no wake-up: the buffer is
        // read once more.
        if std::mem::take(&mut self.woken) {
            return Ok(Wake::Work);
        }
        let wake = waiter.wait(moment)?;
        self.woken = wake == Wake::Work && Instant::now() < moment;
        Ok(wake)
    }

    /// Waits until the next record, or `moment`.
    ///
    /// # Errors
    /// Those of [`Reader::poll`].
    pub fn sleep(&mut self, waiter: &Waiter, moment: Instant) -> Result<Wake> {
        self.woken = false;
        if !self.sleeps {
            self.say(Does::Sleeps)?;
            (self.sleeps, self.deeply) = (true, false);
            // What came before this line woke no one: the buffer is read once more.
            return Ok(Wake::Work);
        }
        // A program that was running at that line may have read the word before, and sent its record after
        // the buffer was read.
        let deeply = std::mem::replace(&mut self.deeply, true);
        let moment = if deeply { moment } else { moment.min(Instant::now() + BATCH) };
        let wake = waiter.wait(moment)?;
        self.sleeps = Instant::now() >= moment;
        Ok(wake)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Stop;

    fn reader() -> Reader {
        Reader { word: None, woken: false, sleeps: false, deeply: false, read: 0 }
    }

    #[test]
    fn it_polls_while_records_come() {
        let mut reader = reader();
        let pauses = [0, 3, 5, 5, 6].map(|read| reader.pause(read));
        assert_eq!(pauses, [None, Some(BATCH), Some(BATCH), None, Some(BATCH)]);
    }

    #[test]
    fn it_looks_once_more_before_it_sleeps() {
        let (stop, _wake) = Stop::pair().unwrap();
        let waiter = Waiter::new(&stop).unwrap();
        let mut reader = reader();
        let far = Instant::now() + Duration::from_hours(1);
        // Else this would wait for an hour.
        assert_eq!(reader.sleep(&waiter, far).unwrap(), Wake::Work);
        assert!(reader.sleeps);
        // Time over: the programs still know.
        assert_eq!(reader.sleep(&waiter, Instant::now()).unwrap(), Wake::Work);
        assert!(reader.sleeps);
        reader.poll(&waiter, Instant::now()).unwrap();
        assert!(!reader.sleeps);
    }

    #[test]
    fn a_stop_ends_its_sleep() {
        let (stop, wake) = Stop::pair().unwrap();
        let waiter = Waiter::new(&stop).unwrap();
        let mut reader = reader();
        let far = Instant::now() + Duration::from_hours(1);
        reader.sleep(&waiter, far).unwrap();
        rustix::io::write(&wake, b"x").unwrap();
        assert_eq!(reader.sleep(&waiter, far).unwrap(), Wake::Stop);
    }
}
