//! Receive windows: peers that do not read, and processes of this side that do not.

use super::counters::FEW;
use super::scene::{Scene, each, whole};
use super::stalls::{self, Group};
use super::{Finding, Rule, Scope, Severity, nanos, several};
use crate::model::{Metric, Model, process};
use crate::report::{Cell, Key};
use crate::stall::{Stall, Why};

/// Bytes that a process has not read for [`LONG`], which make a finding: less may wait for a good reason.
const MUCH: u32 = 65_536;
/// ns.
const LONG: u64 = 2_000_000_000;

pub static PEER_WINDOW_ZERO: Rule = Rule {
    id: "peer-window-zero",
    topic: "zero windows",
    severity: Severity::Warning,
    scope: Scope::Destination,
    title: "A peer does not read: its receive window is zero",
    why: "the peer's receive buffer is full (TCPWinProbe grows, or a connection's window is zero), and the kernel \
          asks again and again whether there is room. Sends wait for it",
    remedy: "find the peer's process and why it does not read (ss -tmi there: Recv-Q); on this side write with a \
             timeout, and do not let one slow peer hold others up",
    effect: "sends go on as soon as the peer reads",
    verify: "tcpstall: no zero_window; nstat TcpExtTCPWinProbe: it does not grow",
    settings: &[],
    needs: "TCPWinProbe",
    look: zero_windows,
};

pub static READER_STUCK: Rule = Rule {
    id: "reader-stuck",
    topic: "zero windows",
    severity: Severity::Warning,
    scope: Scope::Process,
    title: "A process of this side does not read: its receive window is zero",
    why: "receive buffers became full and stay so (TCPToZeroWindowAdv grew more than TCPFromZeroWindowAdv, or 64 KiB \
          and more wait to be read for 2 s). The peer cannot send",
    remedy: "find what the process waits for (tcpstall: WHY reader; then a debugger or /proc/PID/stack)",
    effect: "the peer's sends go on",
    verify: "ss -tn: Recv-Q goes back to 0",
    settings: &[],
    needs: "TCPToZeroWindowAdv and TCPFromZeroWindowAdv",
    look: stuck,
};

pub static SEND_BUFFER_SHORT: Rule = Rule {
    id: "send-buffer-short",
    topic: "zero windows",
    severity: Severity::Remark,
    scope: Scope::Process,
    title: "A send buffer is too small for the path",
    why: "all of a full send buffer is in flight, and the process waits for acknowledgements: a path with a round trip \
          of T takes at most buffer / T",
    remedy: "do not set SO_SNDBUF, which stops the buffer's growth; raise the third number of net.ipv4.tcp_wmem",
    effect: "more is in flight, and throughput grows",
    verify: "tcpstall --all: BY SNDBUF",
    settings: &[],
    needs: "connections as tcpstall sees them",
    look: short_buffers,
};

fn zero_windows(rule: &'static Rule, model: &Model) -> Option<Vec<Finding>> {
    let stalled = stalls::groups(model, |one| one.why == Some(Why::ZeroWindow));
    if !stalled.is_empty() {
        let found = stalled.iter().map(|group| {
            let text = format!(
                "{}{} towards {} for {}: the peer's window is zero, its process does not read",
                group.whose(),
                group.counted("cannot send", "cannot send"),
                group.remote(),
                nanos(group.longest)
            );
            let numbers = [("connections", Some(group.count)), ("longest_ns", Some(group.longest))];
            Finding::new(rule, group.key.clone(), text).with(numbers)
        });
        return Some(found.collect());
    }
    // Where connections are seen, one or two probes are of a peer that reads again.
    let least = if model.sees_stalls() { FEW } else { 1.0 };
    each(model, |scene| {
        let (probes, known) = scene.sum(Metric::WindowProbes)?;
        let text = format!(
            "{} of a zero window in {known:.0} s: a peer's process does not read, and \
             sends wait for it",
            several(whole(probes), "probe")
        );
        Some(scene.one(rule, probes >= least, (text, Key::default()), [("probes", probes)]))
    })
}

fn stuck(rule: &'static Rule, model: &Model) -> Option<Vec<Finding>> {
    let reader = |one: &Stall| {
        one.why == Some(Why::Reader) && one.unread_bytes >= MUCH && one.stalled_at_least_ns >= LONG
    };
    // Of each process the one that waits longest.
    let mut stalled: Vec<&Stall> = model.look.stalls().filter(|one| reader(one)).collect();
    stalled.sort_by_key(|one| (one.pid, std::cmp::Reverse(one.stalled_at_least_ns)));
    stalled.dedup_by_key(|one| one.pid);
    if !stalled.is_empty() {
        return Some(stalled.into_iter().map(|one| unread(rule, one)).collect());
    }
    each(model, |scene| {
        let (closed, known) = scene.sum(Metric::WindowsClosed)?;
        let (opened, _) = scene.sum(Metric::WindowsOpened)?;
        let windows = several(whole(closed), "receive window");
        let text = format!(
            "{windows} became zero in {known:.0} s, and {opened:.0} opened again: a process does not read"
        );
        let numbers = [("closed", closed), ("opened", opened)];
        let (text, about) = whose_window(scene, text);
        // Where connections are seen, one of them must have unread bytes.
        let reason = closed - opened >= 1.0 && (about.pid.is_some() || !model.sees_stalls());
        Some(scene.one(rule, reason, (text, about), numbers))
    })
}

fn unread(rule: &'static Rule, one: &Stall) -> Finding {
    let bytes = crate::model::text(Cell::Bytes(one.unread_bytes.into()));
    let from = crate::model::text(Cell::Endpoint(one.raddr, one.device, one.rport));
    let text = format!(
        "{} has not read {bytes} from {from} for {}",
        process(&one.key()),
        nanos(one.stalled_at_least_ns)
    );
    let Key { pid, comm, raddr, rport, device, netns, .. } = one.key();
    let about = Key { pid, comm, raddr, rport, device, netns, ..Key::default() };
    Finding::new(rule, about, text).with([
        ("unread_bytes", Some(one.unread_bytes.into())),
        ("longest_ns", Some(one.stalled_at_least_ns)),
    ])
}

/// Adds the process with most that it has not read.
fn whose_window(scene: &Scene<'_>, text: String) -> (String, Key) {
    let here = |one: &&Stall| {
        one.why == Some(Why::Reader) && (scene.netns.is_none() || one.netns == scene.netns)
    };
    let most = scene.model.look.stalls().filter(here).max_by_key(|one| one.unread_bytes);
    let Some(most) = most.filter(|one| one.pid.is_some()) else { return (text, Key::default()) };
    let Key { pid, comm, .. } = most.key();
    (format!("{text}; most of {}", process(&most.key())), Key { pid, comm, ..Key::default() })
}

fn short_buffers(rule: &'static Rule, model: &Model) -> Option<Vec<Finding>> {
    if !model.sees_stalls() {
        return None;
    }
    let found = stalls::groups(model, |one| one.why == Some(Why::SendBuffer));
    let row = |group: &Group| {
        let text = format!(
            "{}{} of a full send buffer towards {}: all of it is in flight, for {}",
            group.whose(),
            group.counted("waits", "wait"),
            group.remote(),
            nanos(group.longest)
        );
        let numbers = [("connections", Some(group.count)), ("longest_ns", Some(group.longest))];
        Finding::new(rule, group.key.clone(), text).with(numbers)
    };
    Some(found.iter().map(row).collect())
}
