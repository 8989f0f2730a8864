//! Segments that the kernel has dropped in the last minute, by connection, process and reason.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

use super::{Ends, sum};
use crate::drop::{DropSum, SegmentDrop};
use crate::group::Grouping;
use crate::report::Comm;

/// Time that is added up, ns.
const MINUTE: i64 = 60_000_000_000;
/// Lines of each kind that are stored, newest last.
const ROOM: usize = 20_000;

/// What the kernel dropped: buffers, by reason, or by the function where it gives none.
pub type DropReasons = BTreeMap<Arc<str>, u64>;

/// One line of it.
struct One<'a> {
    ts: i64,
    ends: Option<Ends>,
    pid: Option<u32>,
    comm: Option<&'a Comm>,
    reason: Option<&'a Arc<str>>,
    function: Option<&'a Arc<str>>,
    drops: u64,
}

impl<'a> One<'a> {
    fn of_sum(row: &'a DropSum) -> Self {
        let (reason, function) = (row.drop_reason.as_ref(), row.function.as_ref());
        let (ends, comm) = (Ends::of(&row.key()), row.comm.as_ref());
        Self { ts: row.ts.0, ends, pid: row.pid, comm, reason, function, drops: row.drops }
    }

    fn of_event(row: &'a SegmentDrop) -> Self {
        let (reason, function) = (row.drop_reason.as_ref(), row.function.as_ref());
        let (ends, comm) = (Ends::of(&row.key()), row.comm.as_ref());
        Self { ts: row.ts.0, ends, pid: row.pid, comm, reason, function, drops: 1 }
    }
}

/// Lines of the last minute.
#[derive(Clone, Debug, Default)]
pub struct SegmentDrops {
    sums: VecDeque<DropSum>,
    events: VecDeque<SegmentDrop>,
    /// Lines that did not fit.
    pub left_out: u64,
}

impl SegmentDrops {
    /// Takes in a sum of an interval.
    pub fn take_sum(&mut self, row: DropSum) {
        if self.sums.len() == ROOM {
            self.sums.pop_front();
            self.left_out += 1;
        }
        self.sums.push_back(row);
    }

    /// Takes in a drop.
    pub fn take(&mut self, row: SegmentDrop) {
        if self.events.len() == ROOM {
            self.events.pop_front();
            self.left_out += 1;
        }
        self.events.push_back(row);
    }

    /// Forgets what was before the minute that ends `now`.
    pub fn forget(&mut self, now: i64) {
        let oldest = now - MINUTE;
        while self.sums.front().is_some_and(|row| row.ts.0 <= oldest) {
            self.sums.pop_front();
        }
        while self.events.front().is_some_and(|row| row.ts.0 <= oldest) {
            self.events.pop_front();
        }
    }

    /// Whether drops are watched: no line of a socket means that there was none.
    pub fn watched(&self) -> bool {
        !self.sums.is_empty() || !self.events.is_empty()
    }

    /// Sums of a grouping, without those of all or of the rest.
    fn by(&self, by: Grouping) -> impl Iterator<Item = &DropSum> {
        self.sums.iter().filter(move |row| row.by == Some(by) && !row.total && !row.other)
    }

    /// Records of connections: their sums, else single drops.
    fn of_connections(&self) -> Box<dyn Iterator<Item = One<'_>> + '_> {
        if self.by(Grouping::Connection).next().is_some() {
            return Box::new(self.by(Grouping::Connection).map(One::of_sum));
        }
        Box::new(self.events.iter().map(One::of_event))
    }

    /// Records of processes: the same, or their sums.
    fn of_processes(&self) -> Box<dyn Iterator<Item = One<'_>> + '_> {
        let mut connections = self.of_connections().peekable();
        if connections.peek().is_some() {
            return Box::new(connections);
        }
        Box::new(self.by(Grouping::Process).map(One::of_sum))
    }

    /// Buffers dropped, by connection.
    pub fn by_connection(&self) -> HashMap<Ends, u64> {
        let mut sums = HashMap::new();
        for one in self.of_connections() {
            if let Some(ends) = one.ends {
                let sum: &mut u64 = sums.entry(ends).or_default();
                *sum = sum.saturating_add(one.drops);
            }
        }
        sums
    }

    /// Buffers dropped, by process with its name; `None` is what has no known owner.
    pub fn by_process(&self) -> HashMap<Option<u32>, (Option<&Comm>, u64)> {
        let mut sums = HashMap::new();
        for one in self.of_processes() {
            let (comm, sum): &mut (_, u64) = sums.entry(one.pid).or_default();
            *comm = one.comm.or(*comm);
            *sum = sum.saturating_add(one.drops);
        }
        sums
    }

    /// Why segments of a connection were dropped.
    pub fn of_connection(&self, ends: &Ends) -> DropReasons {
        reasons(self.of_connections().filter(|one| one.ends.as_ref() == Some(ends)))
    }

    /// Who has sent more than half of what was dropped for this reason after `begin` (wall-clock ns), in a namespace or in all.
    pub fn sender(&self, reason: &str, netns: Option<u32>, begin: i64) -> Option<IpAddr> {
        let mut sums: HashMap<IpAddr, u64> = HashMap::new();
        let why = |one: &One<'_>| one.reason.is_some_and(|is| **is == *reason);
        for one in self.of_connections().filter(|one| one.ts > begin && why(one)) {
            let Some(ends) = one.ends.filter(|ends| netns.is_none() || ends.netns == netns) else {
                continue;
            };
            let from = sums.entry(ends.remote.0).or_default();
            *from = sum([*from, one.drops]);
        }
        let all = sum(sums.values().copied());
        let most = sums.into_iter().max_by_key(|(from, count)| (*count, *from));
        most.filter(|(_, count)| count.saturating_mul(2) > all).map(|(from, _)| from)
    }

    /// Why segments of a process were dropped.
    pub fn of_process(&self, pid: Option<u32>) -> DropReasons {
        reasons(self.of_processes().filter(|one| one.pid == pid))
    }

    /// Everything that is stored.
    pub fn sums(&self) -> impl Iterator<Item = &DropSum> {
        self.sums.iter()
    }

    /// The same of single drops.
    pub fn events(&self) -> impl Iterator<Item = &SegmentDrop> {
        self.events.iter()
    }
}

fn reasons<'a>(drops: impl Iterator<Item = One<'a>>) -> DropReasons {
    let mut reasons = DropReasons::new();
    for one in drops {
        let name = one.reason.or(one.function).map_or_else(|| Arc::from("-"), Arc::clone);
        let entry = reasons.entry(name).or_default();
        *entry = sum([*entry, one.drops]);
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Ts;

    const SECOND: i64 = 1_000_000_000;

    fn row(by: Grouping, second: i64, pid: Option<u32>, reason: Option<&str>) -> DropSum {
        DropSum {
            ts: Ts(second * SECOND),
            by: Some(by),
            pid,
            laddr: Some([10, 0, 0, 1].into()),
            lport: Some(80),
            raddr: Some([10, 0, 0, 2].into()),
            rport: Some(5000),
            netns: Some(1),
            drop_reason: reason.map(Arc::from),
            function: Some("tcp_v4_rcv".into()),
            drops: 2,
            ..DropSum::default()
        }
    }

    fn seen(reasons: &DropReasons) -> Vec<(&str, u64)> {
        reasons.iter().map(|(reason, drops)| (&**reason, *drops)).collect()
    }

    #[test]
    fn a_minute_of_drops_is_summed_by_reason_connection_and_process() {
        let mut drops = SegmentDrops::default();
        assert!(!drops.watched());
        let by = Grouping::Connection;
        drops.take_sum(row(by, 1, Some(7), Some("TCP_CSUM")));
        drops.take_sum(row(by, 2, Some(7), Some("TCP_CSUM")));
        drops.take_sum(row(by, 2, Some(7), None));
        drops.take_sum(row(by, 2, None, Some("NO_SOCKET")));
        drops.take_sum(DropSum { total: true, drops: 99, ..row(by, 2, None, None) });
        drops.take_sum(DropSum { other: true, drops: 99, ..row(by, 2, None, None) });
        drops.take_sum(DropSum { drops: 99, ..row(Grouping::Process, 2, Some(7), None) });
        let ends = Ends::of(&row(by, 1, None, None).key()).unwrap();
        let all = [("NO_SOCKET", 2), ("TCP_CSUM", 4), ("tcp_v4_rcv", 2)];
        assert_eq!(seen(&drops.of_connection(&ends)), all);
        assert_eq!(seen(&drops.of_process(Some(7))), all[1..]);
        assert_eq!(drops.by_connection()[&ends], 8);
        assert_eq!(drops.by_process(), HashMap::from([(Some(7), (None, 6)), (None, (None, 2))]));
        drops.forget(61 * SECOND);
        assert_eq!(drops.by_connection()[&ends], 6);
        drops.forget(62 * SECOND);
        assert!(drops.by_connection().is_empty() && !drops.watched());
    }

    #[test]
    fn sums_by_process_and_single_drops_tell_of_processes_too() {
        let mut drops = SegmentDrops::default();
        drops.take_sum(row(Grouping::Process, 1, Some(7), None));
        assert_eq!((drops.by_process()[&Some(7)].1, drops.by_connection().len()), (2, 0));
        let sum = row(Grouping::Connection, 1, Some(8), Some("TCP_CSUM"));
        let event = SegmentDrop {
            ts: sum.ts,
            drop_reason: sum.drop_reason.clone(),
            ..SegmentDrop::about(sum.key())
        };
        drops.take(event.clone());
        drops.take(SegmentDrop { comm: Some("nginx".into()), ..event });
        let nginx = Comm::from("nginx");
        assert_eq!(drops.by_process(), HashMap::from([(Some(8), (Some(&nginx), 2))]));
        assert_eq!(seen(&drops.of_process(Some(8))), [("TCP_CSUM", 2)]);
    }

    #[test]
    fn the_oldest_lines_make_room_and_are_counted() {
        let mut drops = SegmentDrops::default();
        for _ in 0..ROOM + 3 {
            drops.take_sum(row(Grouping::Connection, 1, Some(7), None));
        }
        assert_eq!((drops.sums().count(), drops.left_out), (ROOM, 3));
    }
}
