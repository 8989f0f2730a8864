//! Sums of an interval from the kernel's counters.

mod args;
mod interval;
mod record;
mod rows;
mod source;
mod tool;

use crate::wire::{COMM_LEN, CountValue, GroupKey, Record as _};

pub use crate::group::{GroupBy, RowPart};
pub use args::Args;
pub use interval::{CountInterval, Counts};
pub use record::Count;
pub(crate) use record::heading;
pub use rows::CountRowOptions;
pub use source::{CountSource, SocketVisits};
pub use tool::{TCPCOUNT, TCPCOUNT_LIGHT, TOOL, print};

/// Kernel memory that the counters of all keys may take.
const MAP_BYTES: usize = 64 << 20;
/// Keys counted one by one, unless that takes more memory: connections are many and short.
const MAX_CONNECTIONS: u32 = 65_536;
const MAX_OTHERS: u32 = 16_384;

/// Keys that the kernel's map has room for, each with a value for every one of `cpus` CPUs.
pub fn max_keys(by: GroupBy, cpus: usize) -> u32 {
    let wanted = if by == GroupBy::Connection { MAX_CONNECTIONS } else { MAX_OTHERS };
    let fits = MAP_BYTES / (cpus * size_of::<CountValue>() + size_of::<GroupKey>());
    wanted.min(u32::try_from(fits).unwrap_or(wanted))
}

/// The numbers of one row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CountSums {
    /// Sends that succeeded.
    pub tx_calls: u64,
    /// Bytes accepted.
    pub tx_bytes: u64,
    /// Receives that returned data.
    pub rx_calls: u64,
    /// Bytes delivered.
    pub rx_bytes: u64,
    /// Segments in.
    pub segs_in: u64,
    /// Failed calls, EAGAIN left out.
    pub errors: u64,
    /// Calls that had to wait or would have had to: EAGAIN.
    pub eagain: u64,
    /// Segments sent again.
    pub retrans_segs: u64,
    /// Segments sent for the first time; only tcpretrans counts them.
    pub out_segs: u64,
}

impl CountSums {
    /// The counters of one CPU, or of several added up.
    pub fn of(value: &CountValue) -> Self {
        Self {
            tx_calls: value.tx_calls,
            tx_bytes: value.tx_bytes,
            rx_calls: value.rx_calls,
            rx_bytes: value.rx_bytes,
            segs_in: value.segs_in,
            errors: value.errors,
            eagain: value.eagain,
            retrans_segs: value.retrans_segs,
            out_segs: value.out_segs,
        }
    }

    /// Applies `op` field by field.
    fn zip(self, other: Self, op: fn(u64, u64) -> u64) -> Self {
        Self {
            tx_calls: op(self.tx_calls, other.tx_calls),
            tx_bytes: op(self.tx_bytes, other.tx_bytes),
            rx_calls: op(self.rx_calls, other.rx_calls),
            rx_bytes: op(self.rx_bytes, other.rx_bytes),
            segs_in: op(self.segs_in, other.segs_in),
            errors: op(self.errors, other.errors),
            eagain: op(self.eagain, other.eagain),
            retrans_segs: op(self.retrans_segs, other.retrans_segs),
            out_segs: op(self.out_segs, other.out_segs),
        }
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        self.zip(other, u64::saturating_add)
    }

    /// What came since `before`.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        self.zip(before, u64::saturating_sub)
    }

    /// Sent and received.
    pub fn bytes(&self) -> u64 {
        self.tx_bytes.saturating_add(self.rx_bytes)
    }

    /// Whether nothing was counted.
    pub fn is_idle(&self) -> bool {
        *self == Self::default()
    }
}

/// One key of the kernel's map with the counters of all CPUs.
#[derive(Debug, Clone, Copy)]
pub struct Counter {
    /// What it counts.
    pub key: GroupKey,
    /// Sums since the key appeared, or those of an interval.
    pub sums: CountSums,
    /// Process, where the grouping has one.
    pub pid: u32,
    /// Its name.
    pub comm: [u8; COMM_LEN],
    /// What is known of the connection's end: `COUNT_GONE`, `COUNT_ENDED`.
    pub flags: u32,
    /// The key has been taken out of the map with these sums.
    pub gone: bool,
}

impl Counter {
    /// Adds up the CPUs' values of one key.
    pub fn read<'a>(key: &[u8], cpus: impl IntoIterator<Item = &'a [u8]>) -> Option<Self> {
        let mut counter = Self {
            key: GroupKey::read(key)?,
            sums: CountSums::default(),
            pid: 0,
            comm: [0; COMM_LEN],
            flags: 0,
            gone: false,
        };
        let mut since = 0;
        for value in cpus.into_iter().filter_map(CountValue::read) {
            counter.sums = counter.sums.plus(CountSums::of(&value));
            counter.flags |= value.flags;
            // CPUs that have not seen the present owner may know an earlier one.
            if value.owner_since > since {
                since = value.owner_since;
                counter.pid = value.pid;
                counter.comm = value.comm;
            }
        }
        Some(counter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_sum_cpus_and_use_the_present_name() {
        let mut busy = CountValue::default();
        busy.tx_calls = 2;
        busy.owner_since = 8;
        busy.pid = 42;
        busy.comm = *b"nginx\0\0\0\0\0\0\0\0\0\0\0";
        let mut earlier = busy;
        (earlier.tx_calls, earlier.owner_since, earlier.pid) = (0, 7, 41);
        let mut away = CountValue::default();
        away.segs_in = 3;
        let key = GroupKey::default();
        let cpus = [busy.as_bytes(), earlier.as_bytes(), away.as_bytes()];
        let counter = Counter::read(key.as_bytes(), cpus).unwrap();
        assert_eq!((counter.sums.tx_calls, counter.sums.segs_in, counter.pid), (2, 3, 42));
        assert_eq!(&counter.comm[..5], b"nginx");
    }

    #[test]
    fn more_cpus_allow_fewer_keys() {
        assert_eq!(max_keys(GroupBy::Connection, 2), MAX_CONNECTIONS);
        assert_eq!(max_keys(GroupBy::Process, 2), MAX_OTHERS);
        let keys = usize::try_from(max_keys(GroupBy::Connection, 512)).unwrap();
        assert!(keys < 2_000 && keys * 512 * size_of::<CountValue>() <= MAP_BYTES, "{keys}");
    }
}
