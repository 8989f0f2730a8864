//! Sums of an interval.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use super::{DropBy, DropSum, SocketOwner};
use crate::group::{GroupBy, Keyed, RowPart};
use crate::report::{Column, Ts, sort};
use crate::wire::{
    COMM_LEN, DROP_FORWARDED, DropDirection, DropEvent, Flow, GroupKey, Record as _,
};

/// Keys counted one by one.
const MAX_KEYS: usize = 65_536;
/// Reasons with their places that are counted of each key.
const MAX_CAUSES: usize = 64;

/// Names of what events have numbers of.
pub trait Names {
    /// A reason of this kernel.
    fn reason(&mut self, number: u32) -> Option<Arc<str>>;
    /// The function at an address.
    fn place(&mut self, address: u64) -> Option<Arc<str>>;
    /// The path of a cgroup.
    fn cgroup(&mut self, id: u64) -> Option<Arc<str>>;
    /// The name of a network namespace.
    fn netns(&mut self, inode: u32) -> Option<Arc<str>>;
}

/// The numbers of one row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DropSums {
    /// Buffers.
    pub drops: u64,
    /// Segments.
    pub segs: u64,
    /// Data.
    pub bytes: u64,
    /// Segments that came.
    pub in_segs: u64,
    /// Segments that went.
    pub out_segs: u64,
}

impl DropSums {
    fn of(event: &DropEvent) -> Self {
        let segs = event.segs.into();
        let out = DropDirection::from_number(event.direction) == Some(DropDirection::Out);
        let (in_segs, out_segs) = if out { (0, segs) } else { (segs, 0) };
        Self { drops: 1, segs, bytes: event.len.into(), in_segs, out_segs }
    }

    fn add(&mut self, other: Self) {
        self.drops += other.drops;
        self.segs += other.segs;
        self.bytes += other.bytes;
        self.in_segs += other.in_segs;
        self.out_segs += other.out_segs;
    }
}

/// What is known of one key.
#[derive(Debug)]
struct Entry {
    key: GroupKey,
    owner: (u32, [u8; COMM_LEN]),
    sums: DropSums,
    /// On its way through this host.
    forwarded: bool,
    /// Reason, place, buffers.
    causes: Vec<(u32, u64, u64)>,
}

impl Entry {
    fn add(&mut self, event: &DropEvent) {
        if event.pid != 0 {
            self.owner = (event.pid, event.comm);
        }
        self.sums.add(DropSums::of(event));
        self.forwarded |= u32::from(event.flags) & DROP_FORWARDED != 0;
        let same = |cause: &&mut (u32, u64, u64)| (cause.0, cause.1) == (event.reason, event.place);
        let full = self.causes.len() >= MAX_CAUSES;
        match self.causes.iter_mut().find(same) {
            Some(cause) => cause.2 += 1,
            None if full => {}
            None => self.causes.push((event.reason, event.place, 1)),
        }
    }

    /// The most frequent reason, and where most of it was dropped.
    fn top(&self) -> (u32, u64) {
        let mut by_reason: HashMap<u32, u64> = HashMap::new();
        for (reason, _, drops) in &self.causes {
            *by_reason.entry(*reason).or_default() += drops;
        }
        let top = by_reason.iter().max_by_key(|&(reason, drops)| (drops, Reverse(reason)));
        let reason = top.map_or(0, |(reason, _)| *reason);
        let causes = self.causes.iter().filter(|cause| cause.0 == reason);
        let place = causes.max_by_key(|(_, place, drops)| (drops, Reverse(place)));
        (reason, place.map_or(0, |cause| cause.1))
    }
}

/// A key with its reason, if rows are of reasons; where the kernel gives none, with its place.
type Id = ([u8; size_of::<GroupKey>()], u32, u64);

/// What was dropped since the last rows were made.
#[derive(Debug)]
pub struct Dropped {
    by: DropBy,
    each_reason: bool,
    keys: HashMap<Id, Entry>,
    other: DropSums,
}

/// Whether drops of a flow and PID (0: unknown) are asked for.
pub type Wanted<'a> = &'a dyn Fn(&Flow, u32) -> bool;

/// Buffers that are left out of the sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Not wanted.
    pub filtered: u64,
    /// Of keys that did not fit, so it is not known whether they are wanted.
    pub unknown: u64,
}

/// How the rows of an interval are made.
#[derive(Clone, Copy)]
pub struct DropRowOptions {
    /// Wall-clock ns at the end of the interval.
    pub ts: i64,
    /// Length of the interval in ns.
    pub interval_ns: u64,
    /// What to sort by; `None` puts the most drops first.
    pub sort: Option<&'static Column<DropSum>>,
    /// Keys that get a row of their own; (other) adds up the rest.
    pub top: usize,
    /// What was hidden in the interval.
    pub hidden: Option<u64>,
}

impl Dropped {
    /// Nothing yet.
    pub fn new(by: DropBy) -> Self {
        let each_reason = by == DropBy::Reason;
        Self { by, each_reason, keys: HashMap::new(), other: DropSums::default() }
    }

    /// The same; a connection has a row for each reason.
    pub fn by_connection_and_reason() -> Self {
        Self { each_reason: true, ..Self::new(DropBy::Group(GroupBy::Connection)) }
    }

    /// Adds one event.
    pub fn add(&mut self, event: &DropEvent) {
        let key = self.by.group().key_of(&event.flow, event.pid, event.cgroup);
        let mut id = [0; size_of::<GroupKey>()];
        id.copy_from_slice(key.as_bytes());
        let id = match event.reason {
            _ if !self.each_reason => (id, 0, 0),
            0 if self.by != DropBy::Reason => (id, 0, event.place),
            reason => (id, reason, 0),
        };
        if let Some(entry) = self.keys.get_mut(&id) {
            entry.add(event);
        } else if self.keys.len() >= MAX_KEYS {
            self.other.add(DropSums::of(event));
        } else {
            let (owner, sums) = ((0, [0; COMM_LEN]), DropSums::default());
            let mut entry = Entry { key, owner, sums, forwarded: false, causes: Vec::new() };
            entry.add(event);
            self.keys.insert(id, entry);
        }
    }

    /// The flows of the keys.
    pub fn flows(&self) -> impl Iterator<Item = &Flow> {
        self.keys.values().map(|entry| &entry.key.flow)
    }

    /// Gives flows the socket that `find` knows: it takes the flow, and whether it is only forwarded.
    /// Leaves out what is not `wanted` by flow and PID, if anything is.
    pub fn settle(
        &mut self,
        find: impl Fn(&Flow, bool) -> Option<SocketOwner>,
        wanted: Option<Wanted<'_>>,
    ) -> Left {
        let mut left = Left::default();
        self.keys.retain(|_, entry| {
            if let Some(found) = find(&entry.key.flow, entry.forwarded) {
                (entry.key.flow, entry.owner) = (found.flow, found.owner);
            }
            let keeps = wanted.is_none_or(|wanted| wanted(&entry.key.flow, entry.owner.0));
            left.filtered += if keeps { 0 } else { entry.sums.drops };
            keeps
        });
        if wanted.is_some() {
            left.unknown = std::mem::take(&mut self.other).drops;
        }
        left
    }

    /// The rows since the last ones: keys, then (other) if there is anything in it, then the total.
    pub fn rows(&mut self, shape: &DropRowOptions, names: &mut impl Names) -> Vec<DropSum> {
        let mut other = std::mem::take(&mut self.other);
        let mut keys: Vec<_> = self.keys.drain().collect();
        // The key settles ties, or rows would swap places between intervals.
        keys.sort_by_key(|(id, entry)| (Reverse(entry.sums.drops), *id));
        let mut total = other;
        let mut rows = Vec::new();
        for (_, entry) in keys {
            total.add(entry.sums);
            if self.by != DropBy::Group(GroupBy::Total) {
                rows.push(self.key(shape, &entry, names));
            }
        }
        if let Some(column) = shape.sort {
            sort(&mut rows, column);
        }
        for hidden in rows.split_off(shape.top.min(rows.len())) {
            other.add(hidden.sums());
        }
        if other.drops > 0 && self.by != DropBy::Group(GroupBy::Total) {
            rows.push(self.part(shape, RowPart::Other).with(other));
        }
        let hidden = shape.hidden;
        rows.push(DropSum { hidden, ..self.part(shape, RowPart::Total) }.with(total));
        rows
    }

    fn key(&self, shape: &DropRowOptions, entry: &Entry, names: &mut impl Names) -> DropSum {
        let by = self.by.group();
        let process = matches!(by, GroupBy::Process | GroupBy::Connection);
        let owner = if process { entry.owner } else { (0, [0; COMM_LEN]) };
        let cgroup = names.cgroup(entry.key.cgroup);
        let Keyed { mut key, family, remote_net } = Keyed::new(by, &entry.key, owner, cgroup);
        key.netns = key.netns.filter(|netns| *netns != 0);
        let (reason, place) = entry.top();
        let shown = key.netns.filter(|_| by == GroupBy::Netns);
        let netns_name = shown.and_then(|inode| names.netns(inode));
        let row = DropSum { family, remote_net, ..DropSum::about(key) };
        DropSum {
            ts: Ts(shape.ts),
            by: Some(self.by.grouping()),
            interval_ns: Some(shape.interval_ns),
            netns_name,
            drop_reason: names.reason(reason),
            function: names.place(place),
            ..row
        }
        .with(entry.sums)
    }

    fn part(&self, shape: &DropRowOptions, part: RowPart) -> DropSum {
        DropSum {
            ts: Ts(shape.ts),
            by: Some(self.by.grouping()),
            interval_ns: Some(shape.interval_ns),
            other: part == RowPart::Other,
            total: part == RowPart::Total,
            ..DropSum::default()
        }
    }
}

#[cfg(test)]
#[path = "sums_tests.rs"]
mod tests;
