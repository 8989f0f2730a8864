//! Errors and drops of network interfaces: what never reached TCP, or never left.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::report::{Device, Ts, record};

record! {
    /// an interface that had errors or drops in the interval, from `/proc/net/dev`
    "interface" Interface known(interface interval_ns rx_errors rx_dropped tx_errors tx_dropped) {
        netns,
        /// its name
        interface: Option<Device>,
        interval_ns,
        /// packets received with an error: of the cable, the device, or its length
        rx_errors: u64,
        /// packets received and dropped: no room in a ring or queue, longer than the MTU, or of a protocol that is not handled
        rx_dropped: u64,
        /// packets that could not be sent
        tx_errors: u64,
        /// packets dropped before they were sent
        tx_dropped: u64,
    }
}

/// Columns of `/proc/net/dev` behind the name: what is read of them.
const COLUMNS: [usize; 4] = [2, 3, 10, 11];

/// Counters of a namespace's interfaces, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InterfaceCounters(BTreeMap<Device, [u64; COLUMNS.len()]>);

impl InterfaceCounters {
    /// Those of the namespace whose folder in /proc this is; none if it cannot be read.
    pub fn read(net: &Path) -> Self {
        Self::parse(&fs::read_to_string(net.join("dev")).unwrap_or_default())
    }

    /// `  eth0: 1500 7 0 0 0 0 0 0 900 6 0 0 0 0 0 0`
    fn parse(text: &str) -> Self {
        let line = |line: &str| {
            let (name, values) = line.split_once(':')?;
            let values: Vec<u64> =
                values.split_whitespace().map(|word| word.parse().unwrap_or(0)).collect();
            let mut counters = [0; COLUMNS.len()];
            for (to, column) in counters.iter_mut().zip(COLUMNS) {
                *to = *values.get(column)?;
            }
            Some((Device::from(name.trim()), counters))
        };
        Self(text.lines().filter_map(line).collect())
    }

    /// Interfaces of which one has grown since `before`, by how much.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let grown = |(name, now): (&Device, &[u64; COLUMNS.len()])| {
            let before = before.0.get(name)?;
            let mut grown = [0; COLUMNS.len()];
            for (to, (now, before)) in grown.iter_mut().zip(now.iter().zip(before)) {
                *to = now.saturating_sub(*before);
            }
            grown.iter().any(|count| *count > 0).then_some((*name, grown))
        };
        Self(self.0.iter().filter_map(grown).collect())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A record of each.
    pub fn records(&self, (ts, interval_ns): (i64, u64), netns: Option<u32>) -> Vec<Interface> {
        let record = |(name, counters): (&Device, &[u64; COLUMNS.len()])| {
            let [rx_errors, rx_dropped, tx_errors, tx_dropped] = *counters;
            Interface {
                ts: Ts(ts),
                netns,
                interface: Some(*name),
                interval_ns: Some(interval_ns),
                rx_errors,
                rx_dropped,
                tx_errors,
                tx_dropped,
            }
        };
        self.0.iter().map(record).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "Inter-|   Receive                                                |  Transmit\n \
        face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n    \
        lo:       0       0    0    0    0     0          0         0        0       0    0    0    0     0       0          0\n  \
        eth0:    1500       7    1    2    0     0          0         0      900       6    3    4    0     0       0          0\n";

    #[test]
    fn what_has_grown_is_read_by_its_column() {
        let now = InterfaceCounters::parse(TEXT);
        assert!(now.since(&now).is_empty(), "nothing came");
        let before = InterfaceCounters::parse(&TEXT.replace("7    1    2", "7    0    0"));
        let rows = now.since(&before).records((5, 1), Some(9));
        assert_eq!(rows.len(), 1);
        let row = &rows[0];
        assert_eq!((row.interface, row.netns), (Some(Device::from("eth0")), Some(9)));
        let counts = (row.rx_errors, row.rx_dropped, row.tx_errors, row.tx_dropped);
        assert_eq!(counts, (1, 2, 0, 0));
        assert!(now.since(&InterfaceCounters::default()).is_empty(), "a new one has no before");
    }
}
