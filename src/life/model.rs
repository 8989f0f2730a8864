//! Joins a connection's end with the reset that its socket sends next.

use std::collections::VecDeque;

use crate::wire::{
    ENDING_ACTIVE, ENDING_TIME_WAIT, ENDING_TW_FULL, Ending, LifeEnd, LifeEvent, LifeKind,
    STATE_RESET, StateEvent,
};

/// A reset that explains an end is sent in the same moment, at most this much later, in ns.
const FOLLOWS: u64 = 5_000_000;
/// Ends that wait; when there are more, the oldest is no longer waited for.
const WAITING: usize = 65_536;

/// Flags of an end that a timewait socket follows, or may follow.
const TIME_WAIT: u8 = (ENDING_TIME_WAIT | ENDING_TW_FULL).to_le_bytes()[0];

/// An event that may be the end of a connection.
pub trait Ended: Copy {
    /// When it happened, `CLOCK_MONOTONIC` ns.
    fn ts(&self) -> u64;
    /// How the connection ended.
    fn ending(&self) -> &Ending;
    /// To be replaced if a reset explains it.
    fn ending_mut(&mut self) -> &mut Ending;
    /// Of a reset: when the end happened that it explains. `None`: no reset.
    fn explains(&self) -> Option<u64>;
    /// Whether it is wanted where only ends with these bits are.
    fn wanted(&self, ends: u32) -> bool;
}

impl Ended for LifeEvent {
    fn ts(&self) -> u64 {
        self.ts
    }

    fn ending(&self) -> &Ending {
        &self.ending
    }

    fn ending_mut(&mut self) -> &mut Ending {
        &mut self.ending
    }

    fn explains(&self) -> Option<u64> {
        (LifeKind::from_number(self.kind) == Some(LifeKind::Rst)).then_some(self.life)
    }

    fn wanted(&self, ends: u32) -> bool {
        let opened = LifeKind::from_number(self.kind) == Some(LifeKind::Opened);
        opened || ends & 1 << self.ending.end != 0
    }
}

impl Ended for StateEvent {
    fn ts(&self) -> u64 {
        self.ts
    }

    fn ending(&self) -> &Ending {
        &self.ending
    }

    fn ending_mut(&mut self) -> &mut Ending {
        &mut self.ending
    }

    fn explains(&self) -> Option<u64> {
        (u32::from(self.flags) & STATE_RESET != 0).then_some(self.duration)
    }

    fn wanted(&self, _: u32) -> bool {
        true
    }
}

/// Events on their way from the ring buffer to their reader, in order.
#[derive(Debug)]
pub struct Endings<E> {
    waiting: VecDeque<E>,
    ends: u32,
    left_out: u64,
}

impl<E: Ended> Endings<E> {
    /// `ends` has a bit for each [`LifeEnd`] that is wanted.
    pub fn new(ends: u32) -> Self {
        Self { waiting: VecDeque::new(), ends, left_out: 0 }
    }

    /// Takes an event; true if it is one that was counted as attempted.
    pub fn take(&mut self, event: &E) -> bool {
        let Some(moment) = event.explains() else {
            self.waiting.push_back(*event);
            return true;
        };
        let ended = self.waiting.iter_mut().rev();
        let ended = ended.take_while(|ended| ended.ts() + FOLLOWS >= moment);
        let sk = event.ending().sk;
        let mut ended = ended.filter(|ended| (ended.ending().sk, ended.ts()) == (sk, moment));
        if let Some(ended) = ended.next() {
            let active = u32::from(event.ending().flags) & ENDING_ACTIVE != 0;
            let ending = ended.ending_mut();
            let end = if active { ending.if_abort } else { ending.if_reply };
            if end != LifeEnd::Unknown as u8 {
                ending.end = end;
                ending.flags &= !TIME_WAIT;
            }
        }
        false
    }

    /// Hands over the events that nothing can follow any more at `now`, `CLOCK_MONOTONIC` ns, and
    /// stand before one that something can; all of them where it is `None`.
    pub fn ready(&mut self, now: Option<u64>) -> impl Iterator<Item = E> {
        let due = now.map_or(self.waiting.len(), |now| {
            let full = self.waiting.len().saturating_sub(WAITING);
            let waits = |event: &E| {
                let Ending { if_reply, if_abort, .. } = event.ending();
                (if_reply | if_abort) != 0 && event.ts() + FOLLOWS >= now
            };
            self.waiting.iter().take_while(|event| !waits(event)).count().max(full)
        });
        let (ends, left_out) = (self.ends, &mut self.left_out);
        self.waiting.drain(..due).filter(move |event| {
            let wanted = event.wanted(ends);
            *left_out += u64::from(!wanted);
            wanted
        })
    }

    /// Whether any wait for what can follow them.
    pub fn any_wait(&self) -> bool {
        !self.waiting.is_empty()
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
        let ending = Ending { sk, end: end as u8, ..Ending::default() };
        LifeEvent { ts, ending, ..LifeEvent::default() }
    }

    /// A reset at `ts`, in the tick after the end that it follows.
    fn reset(ts: u64, sk: u64, flags: u32) -> LifeEvent {
        let ending = Ending { sk, flags: u8::try_from(flags).unwrap(), ..Ending::default() };
        let kind = LifeKind::Rst as u8;
        LifeEvent { ts, life: ts - 1, ending, kind, ..LifeEvent::default() }
    }

    fn ends(ready: impl Iterator<Item = LifeEvent>) -> Vec<u32> {
        ready.map(|event| u32::from(event.ending.end)).collect()
    }

    #[test]
    fn a_reset_tells_how_the_connection_before_it_ended() {
        let mut endings = Endings::new(u32::MAX);
        let mut first = ended(1, 7, LifeEnd::ClosedUs);
        first.ending.if_reply = LifeEnd::AfterClose as u8;
        first.ending.if_abort = LifeEnd::OrphanLimit as u8;
        for (event, counts) in [
            (first, true),
            (reset(2, 7, 0), false),
            // Another socket at the same address.
            (LifeEvent { ts: 3, ..first }, true),
            (reset(4, 7, ENDING_ACTIVE), false),
            (reset(5, 9, 0), false),
            (ended(6, 8, LifeEnd::Reset), true),
            // It had nothing to tell.
            (reset(7, 8, 0), false),
        ] {
            assert_eq!(endings.take(&event), counts);
        }
        assert_eq!(endings.ready(Some(FOLLOWS)).count(), 0);
        let expected = [LifeEnd::AfterClose, LifeEnd::OrphanLimit, LifeEnd::Reset];
        assert_eq!(ends(endings.ready(None)), expected.map(|end| end as u32));
    }

    #[test]
    fn only_what_stands_behind_an_open_end_waits() {
        let mut endings = Endings::new(u32::MAX);
        let mut open = ended(2, 7, LifeEnd::ClosedUs);
        open.ending.if_reply = LifeEnd::AfterClose as u8;
        for event in [ended(1, 6, LifeEnd::Refused), open, ended(3, 8, LifeEnd::Reset)] {
            endings.take(&event);
        }
        assert_eq!(ends(endings.ready(Some(4))), [LifeEnd::Refused as u32]);
        let rest = [LifeEnd::ClosedUs, LifeEnd::Reset].map(|end| end as u32);
        assert_eq!(ends(endings.ready(Some(open.ts + FOLLOWS + 1))), rest);
    }

    #[test]
    fn transitions_are_joined_with_their_resets() {
        let mut endings = Endings::new(u32::MAX);
        let mut closed = StateEvent { ts: 1, ..StateEvent::default() };
        closed.ending = ended(1, 7, LifeEnd::ClosedUs).ending;
        closed.ending.if_reply = LifeEnd::AfterClose as u8;
        let flags = u8::try_from(STATE_RESET).unwrap();
        let reset = StateEvent { ts: 2, duration: 1, flags, ..StateEvent::default() };
        let reset = StateEvent { ending: Ending { sk: 7, ..Ending::default() }, ..reset };
        assert_eq!([closed, reset].map(|event| endings.take(&event)), [true, false]);
        let shown: Vec<_> = endings.ready(None).map(|event| event.ending.end).collect();
        assert_eq!(shown, [LifeEnd::AfterClose as u8]);
    }

    #[test]
    fn an_end_that_turns_out_to_be_another_is_left_out() {
        let mut endings = Endings::new(1 << LifeEnd::AfterClose as u32);
        endings.take(&ended(1, 7, LifeEnd::ClosedUs));
        endings.take(&ended(2, 8, LifeEnd::AfterClose));
        assert_eq!(endings.ready(Some(10 * FOLLOWS)).count(), 1);
        assert_eq!(endings.left_out(), 1);
    }
}
