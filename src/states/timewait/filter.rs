//! Filters that programs cannot apply yet.

use crate::tcp_state::TcpState::{Close, Closing, FinWait2, TimeWait};
use crate::wire::{DURATION_UNKNOWN, StateEvent, StatesOptions};

/// The filters that can be applied only after a poll.
#[derive(Debug, Clone, Copy)]
pub struct TimeWaitFilter {
    /// Bit n: changes from or to state n; 0 = all.
    pub states: u32,
    /// ns that a socket must have been in the old state.
    pub slower: u64,
}

impl TimeWaitFilter {
    /// The options of the programs.
    pub fn of(options: &StatesOptions) -> Self {
        Self { states: options.state_mask, slower: options.slower }
    }

    /// Whether a change passes.
    pub fn passes(self, event: &StateEvent) -> bool {
        // The programs shift the same way.
        let [old, new] = [event.old_state, event.new_state].map(|state| 1 << (state & 31));
        let long = event.duration != DURATION_UNKNOWN && event.duration >= self.slower;
        self.includes(old | new) && (self.slower == 0 || long)
    }

    /// Whether an end of `TIME_WAIT` may pass.
    pub fn ends(self) -> bool {
        self.includes(1 << TimeWait.number() | 1 << Close.number())
    }

    /// Whether a change found by polling can match.
    pub fn needs_polls(self) -> bool {
        self.ends() || self.includes(1 << FinWait2.number() | 1 << Closing.number())
    }

    fn includes(self, states: u32) -> bool {
        self.states == 0 || self.states & states != 0
    }
}
