//! Joins a connection's end with the reset that its socket sends next.

use std::collections::VecDeque;

use crate::wire::{LIFE_ACTIVE, LIFE_TIME_WAIT, LIFE_TW_FULL, LifeEnd, LifeEvent, LifeKind};

/// A reset that explains an end is sent in the same moment, at most this much later, in ns.
const FOLLOWS: u64 = 5_000_000;
/// Ends that wait; when there are more, the oldest is no longer waited for.
const WAITING: usize = 65_536;

/// Flags of an end that a timewait socket follows, or may follow.
const TIME_WAIT: u8 = (LIFE_TIME_WAIT | LIFE_TW_FULL).to_le_bytes()[0];

/// Events on their way from the ring buffer to their reader, in order.
#[derive(Debug, Default)]
pub struct Lives {
    waiting: VecDeque<LifeEvent>,
    ends: u32,
    left_out: u64,
}

impl Lives {
    /// `ends` has a bit for each [`LifeEnd`] that is wanted.
    pub fn new(ends: u32) -> Self {
        Self { ends, ..Self::default() }
    }

    /// Takes an event; true if it is one that was counted as attempted.
    pub fn take(&mut self, event: &LifeEvent) -> bool {
        if LifeKind::from_number(event.kind) != Some(LifeKind::Rst) {
            self.waiting.push_back(*event);
            return true;
        }
        let ended = self.waiting.iter_mut().rev();
        let ended = ended.take_while(|ended| ended.ts + FOLLOWS >= event.life);
        let mut ended = ended.filter(|ended| (ended.sk, ended.ts) == (event.sk, event.life));
        let ended = ended.next();
        if let Some(ended) = ended {
            let active = u32::from(event.flags) & LIFE_ACTIVE != 0;
            let end = if active { ended.if_abort } else { ended.if_reply };
            if end != LifeEnd::Unknown as u8 {
                ended.end = end;
                ended.flags &= !TIME_WAIT;
            }
        }
        false
    }

    /// Hands over the events that nothing can follow any more at `now`, `CLOCK_MONOTONIC` ns; all of
    /// them where it is `None`.
    pub fn ready(&mut self, now: Option<u64>) -> impl Iterator<Item = LifeEvent> {
        let due = now.map_or(self.waiting.len(), |now| {
            let full = self.waiting.len().saturating_sub(WAITING);
            self.waiting.iter().take_while(|event| event.ts + FOLLOWS < now).count().max(full)
        });
        let (ends, left_out) = (self.ends, &mut self.left_out);
        self.waiting.drain(..due).filter(move |event| {
            let opened = LifeKind::from_number(event.kind) == Some(LifeKind::Opened);
            let wanted = opened || ends & 1 << event.end != 0;
            *left_out += u64::from(!wanted);
            wanted
        })
    }

    /// Ends that the programs let through, and that turned out to be others than were asked for.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(ts: u64, sk: u64, end: LifeEnd) -> LifeEvent {
        LifeEvent { ts, sk, end: end as u8, ..LifeEvent::default() }
    }

    /// A reset at `ts`, in the tick after the end that it follows.
    fn reset(ts: u64, sk: u64, flags: u32) -> LifeEvent {
        let flags = u8::try_from(flags).unwrap();
        LifeEvent { ts, life: ts - 1, sk, flags, kind: LifeKind::Rst as u8, ..LifeEvent::default() }
    }

    #[test]
    fn a_reset_tells_how_the_connection_before_it_ended() {
        let mut lives = Lives::new(u32::MAX);
        let mut first = ended(1, 7, LifeEnd::ClosedUs);
        first.if_reply = LifeEnd::AfterClose as u8;
        first.if_abort = LifeEnd::OrphanLimit as u8;
        for (event, counts) in [
            (first, true),
            (reset(2, 7, 0), false),
            // Another socket at the same address.
            (LifeEvent { ts: 3, ..first }, true),
            (reset(4, 7, LIFE_ACTIVE), false),
            (reset(5, 9, 0), false),
            (ended(6, 8, LifeEnd::Reset), true),
            // It had nothing to tell.
            (reset(7, 8, 0), false),
        ] {
            assert_eq!(lives.take(&event), counts);
        }
        assert_eq!(lives.ready(Some(FOLLOWS)).count(), 0);
        let ends: Vec<_> = lives.ready(None).map(|event| u32::from(event.end)).collect();
        let expected = [LifeEnd::AfterClose, LifeEnd::OrphanLimit, LifeEnd::Reset];
        assert_eq!(ends, expected.map(|end| end as u32));
    }

    #[test]
    fn an_end_that_turns_out_to_be_another_is_left_out() {
        let mut lives = Lives::new(1 << LifeEnd::AfterClose as u32);
        lives.take(&ended(1, 7, LifeEnd::ClosedUs));
        lives.take(&ended(2, 8, LifeEnd::AfterClose));
        assert_eq!(lives.ready(Some(10 * FOLLOWS)).count(), 1);
        assert_eq!(lives.left_out(), 1);
    }
}
