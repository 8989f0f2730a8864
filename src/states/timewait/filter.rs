//! Filters that programs cannot apply yet.

use crate::tcp_state::TcpState::{self, Close, Closing, FinWait2, TimeWait};
use crate::wire::{DURATION_UNKNOWN, StateEvent, StatesOptions};

/// The filters that can be applied only after a poll.
#[derive(Debug, Clone, Copy)]
pub struct TimeWaitFilter {
    /// Bit n: changes from or to state n; 0 = all.
    pub states: u32,
    /// From state n.
    pub from: u32,
    /// To state n.
    pub to: u32,
    /// ns that a socket must have been in the old state.
    pub slower: u64,
}

impl TimeWaitFilter {
    /// The options of the programs.
    pub fn of(options: &StatesOptions) -> Self {
        Self {
            states: options.state_mask,
            from: options.from_mask,
            to: options.to_mask,
            slower: options.slower,
        }
    }

    /// Whether a change passes.
    pub fn passes(self, event: &StateEvent) -> bool {
        let long = event.duration != DURATION_UNKNOWN && event.duration >= self.slower;
        self.includes(event.old_state, event.new_state) && (self.slower == 0 || long)
    }

    /// Whether an end of `TIME_WAIT` may pass.
    pub fn ends(self) -> bool {
        self.includes(TimeWait.number(), Close.number())
    }

    /// Whether a change found by polling can match.
    pub fn needs_polls(self) -> bool {
        let closes = [FinWait2, Closing].map(TcpState::number);
        let leads_to = |new: TcpState| closes.iter().any(|old| self.includes(*old, new.number()));
        self.ends() || leads_to(TimeWait) || leads_to(Close)
    }

    fn includes(self, old: u8, new: u8) -> bool {
        // The programs shift the same way.
        let [old, new] = [old, new].map(|state| 1 << (state & 31));
        let has = |mask: u32, states: u32| mask == 0 || mask & states != 0;
        has(self.states, old | new) && has(self.from, old) && has(self.to, new)
    }
}
