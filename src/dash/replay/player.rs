//! Plays a recording.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::find;
use super::lines::{Lines, Read};
use super::speed::Speed;
use crate::dash::{Control, Event, Progress};
use crate::record::AnyRecord;

const SECOND: i64 = 1_000_000_000;
/// Frame interval of a recording.
const TICK: Duration = Duration::from_millis(50);
/// Records that are handed over at once, unless more have the same time.
const BATCH: usize = 10_000;
/// So many with the same time are handed over apart.
const SAME: usize = 100_000;
/// How much is read before the sought time, to know its history.
const BEFORE: i64 = 120 * SECOND;
/// Maximum number of bytes.
const BEFORE_BYTES: u64 = 32 << 20;
/// Longer gaps are skipped.
const SILENCE: i64 = 10 * SECOND;
/// A time that is so much earlier is another recording, appended.
const BACKWARDS: i64 = 60 * SECOND;
/// After so many bad lines without a good one it is no recording.
const HOPELESS: u64 = 1000;

/// Plays one recording. Its time is that of the lines, not of a clock.
pub struct Player {
    lines: Lines,
    /// Read, but not due yet.
    next: Option<AnyRecord>,
    progress: Progress,
    speed: Speed,
    /// Reads on while the writer is idle: keys would wait too.
    waits: bool,
    /// The first bad line.
    foreign: Option<String>,
}

impl Player {
    /// Stands at the first line.
    ///
    /// # Errors
    /// The recording cannot be read.
    pub fn new(mut lines: Lines) -> io::Result<Self> {
        let last = find::last_time(&mut lines)?;
        let speed = if lines.can_seek() { Speed::REAL } else { Speed::MOST };
        let mut player = Self {
            lines,
            next: None,
            progress: Progress { last, ..Progress::default() },
            speed,
            waits: false,
            foreign: None,
        };
        player.progress.speed = speed.factor();
        if let Some(first) = player.peek()?.map(AnyRecord::ts) {
            player.begin(first);
        }
        player.waits = true;
        Ok(player)
    }

    /// Whether it can go anywhere.
    pub fn can_seek(&self) -> bool {
        self.lines.can_seek()
    }

    fn begin(&mut self, first: i64) {
        (self.progress.first, self.progress.now) = (Some(first), first);
    }

    /// How far it has come.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Makes sure that the next record is known, if there is one.
    fn peek(&mut self) -> io::Result<Option<&AnyRecord>> {
        while self.next.is_none() && !self.progress.ended {
            if !self.waits && self.lines.is_quiet() {
                break;
            }
            match self.lines.read()? {
                Read::Record(record) => self.next = Some(record),
                Read::Damaged(damage, offset) => {
                    self.progress.damaged += 1;
                    let hopeless =
                        self.progress.first.is_none() && self.progress.damaged >= HOPELESS;
                    // Counting lines may mean to read them all: only now and then.
                    if self.progress.damaged.is_power_of_two() {
                        let number = self.lines.number(offset)?;
                        self.progress.damage = Some((number, damage.to_string()));
                        self.foreign.get_or_insert_with(|| match number {
                            Some(number) => format!("line {number}: {damage}"),
                            None => damage.to_string(),
                        });
                    }
                    if hopeless {
                        return Err(self.refusal());
                    }
                }
                Read::Skipping if self.waits => {}
                Read::Skipping => break,
                Read::End => {
                    self.progress.ended = true;
                    if self.progress.first.is_none() && self.progress.damaged > 0 {
                        return Err(self.refusal());
                    }
                }
            }
        }
        Ok(self.next.as_ref())
    }

    /// Says why this is no recording.
    fn refusal(&self) -> io::Error {
        let reason = self.foreign.as_deref().unwrap_or("no line of this kit");
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!(
                "not a recording: {reason}; a recording is what --record or --json of a tool of \
                 this kit has written, plain, .gz or .zst"
            ),
        )
    }

    /// Lets `elapsed` pass for the reader; returns what happened meanwhile.
    ///
    /// # Errors
    /// The recording cannot be read.
    pub fn advance(&mut self, elapsed: Duration) -> io::Result<Vec<Event>> {
        if self.progress.paused || self.progress.ended {
            return Ok(Vec::new());
        }
        match self.peek()?.map(AnyRecord::ts) {
            Some(ts) if self.progress.first.is_none() => self.begin(ts),
            Some(_) => {}
            // Time stops while the writer is idle.
            None => return Ok(Vec::new()),
        }
        let ns = elapsed.as_secs_f64() * 1e9 * self.speed.factor();
        #[allow(clippy::cast_possible_truncation, reason = "saturates")]
        let mut until = self.progress.now.saturating_add(ns as i64);
        if let Some(next) = self.peek()?.map(AnyRecord::ts)
            && next > until.saturating_add(SILENCE)
        {
            until = next;
        }
        self.read_until(until)
    }

    /// Everything up to a time, or as much of it as may be handed over at once.
    fn read_until(&mut self, until: i64) -> io::Result<Vec<Event>> {
        let mut events = Vec::new();
        let mut records: Vec<AnyRecord> = Vec::new();
        let quiet = self.peek()?.is_none() && !self.progress.ended;
        let mut now = if quiet { self.progress.now } else { until };
        while let Some(ts) = self.peek()?.map(AnyRecord::ts).filter(|ts| *ts <= until) {
            let last = records.last().map(AnyRecord::ts);
            if records.len() >= BATCH && (last != Some(ts) || records.len() >= SAME) {
                now = last.unwrap_or(until);
                break;
            }
            if ts < self.progress.now - BACKWARDS && last.is_none_or(|last| ts < last - BACKWARDS) {
                events.push(Event::Records(std::mem::take(&mut records)));
                events.push(Event::Rewind);
                (self.progress.now, now) = (ts, ts);
                break;
            }
            records.extend(self.next.take());
            // What a live tool has written is shown before the next of it is waited for.
            if !self.lines.is_ready() {
                now = ts;
                break;
            }
        }
        if self.progress.ended || until == i64::MAX {
            now = records.last().map_or(self.progress.now, AnyRecord::ts);
        }
        self.progress.now = now;
        self.progress.last = self.progress.last.map(|last| last.max(now));
        events.push(Event::Records(records));
        Ok(events)
    }

    /// Does what the reader wants.
    ///
    /// # Errors
    /// The recording cannot be read.
    pub fn control(&mut self, control: Control) -> io::Result<Vec<Event>> {
        match control {
            Control::Pause(paused) => self.progress.paused = paused,
            Control::Slower => self.speed = self.speed.slower(),
            Control::Faster => self.speed = self.speed.faster(),
            Control::Step => {
                self.progress.paused = true;
                let next = self.peek()?.map(AnyRecord::ts);
                return next.map_or(Ok(Vec::new()), |next| self.read_until(next));
            }
            Control::Back => {
                self.progress.paused = true;
                return self.seek(self.progress.now.saturating_sub(1_000_000_000));
            }
            Control::Seek(by) => return self.seek(self.progress.now.saturating_add(by)),
            Control::Start => return self.seek(self.progress.first.unwrap_or(0)),
            Control::End => {
                // It may still be written.
                self.progress.last = find::last_time(&mut self.lines)?.max(self.progress.last);
                return self.seek(self.progress.last.unwrap_or(i64::MAX));
            }
        }
        self.progress.speed = self.speed.factor();
        Ok(Vec::new())
    }

    /// Goes to a time, with what was before it.
    fn seek(&mut self, ts: i64) -> io::Result<Vec<Event>> {
        // Without a line there is no time to go to.
        let Some(first) = self.progress.first else { return Ok(Vec::new()) };
        let ts = ts.max(first);
        let ts = self.progress.last.map_or(ts, |last| ts.min(last));
        let ahead = ts.saturating_sub(self.progress.now);
        if !(0..=BEFORE).contains(&ahead) {
            if !self.lines.can_seek() {
                return Ok(vec![Event::Say("a pipe cannot seek backwards".to_owned())]);
            }
            let here = find::find(&mut self.lines, ts)?;
            let before = find::find(&mut self.lines, ts - BEFORE)?;
            let from = if here - before > BEFORE_BYTES {
                // One byte less may be within a line, which then counts as damaged: find another.
                find::find_line(&mut self.lines, here - BEFORE_BYTES)?
            } else {
                before
            };
            self.lines.seek(from)?;
            self.next = None;
            self.progress.ended = false;
            self.progress.now = ts - BEFORE;
            let mut events = vec![Event::Rewind];
            events.extend(self.read_all(ts)?);
            return Ok(events);
        }
        // What had ended may have grown.
        self.progress.ended &= !self.lines.can_seek();
        self.read_all(ts)
    }

    /// Everything up to a time, however much it is.
    fn read_all(&mut self, ts: i64) -> io::Result<Vec<Event>> {
        let mut events = Vec::new();
        loop {
            events.extend(self.read_until(ts)?);
            let more = self.peek()?.is_some_and(|next| next.ts() <= ts);
            if !more {
                return Ok(events);
            }
        }
    }
}

/// Plays until the receiver is gone. `send` returns whether it is there.
///
/// # Errors
/// The recording cannot be read.
pub fn play(
    mut player: Player,
    actions: &Receiver<Control>,
    mut send: impl FnMut(Event) -> bool,
) -> io::Result<()> {
    player.waits = false;
    let start = player.progress.now;
    let mut events = player.read_until(start)?;
    let mut before = Instant::now();
    loop {
        events.push(Event::Progress(player.progress.clone()));
        for event in events {
            if !send(event) {
                return Ok(());
            }
        }
        let still = player.progress.paused || player.progress.ended;
        let order = if still {
            actions.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            actions.recv_timeout(TICK)
        };
        let now = Instant::now();
        events = match order {
            Ok(control) => player.control(control)?,
            Err(RecvTimeoutError::Timeout) => player.advance(now - before)?,
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        };
        before = now;
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
