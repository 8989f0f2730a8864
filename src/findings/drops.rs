//! Segments and connections that counters say were given up or dropped.

use super::counters::FEW;
use super::scene::{each, whole, window_begin};
use super::{Finding, Rule, Scope, Severity, several};
use crate::model::{Metric, Model, text as words};
use crate::report::{Cell, Key};

pub static PEERS_GONE: Rule = Rule {
    id: "peers-gone",
    topic: "given up and dropped",
    severity: Severity::Warning,
    scope: Scope::Netns,
    title: "Connections are given up because no answer comes",
    why: "TCPAbortOnTimeout grew: data or probes were sent again until the kernel gave up. The peer is gone, or a \
          firewall or NAT on the way has forgotten the connection (many at the same age: its idle timeout)",
    remedy: "tcplife shows each connection that ended with timeout_data or timeout_keepalive, its age and how long it was idle; keep \
             connections alive below the timeout on the way (SO_KEEPALIVE and net.ipv4.tcp_keepalive_time)",
    effect: "connections stay usable, or their end is seen sooner",
    verify: "nstat TcpExtTCPAbortOnTimeout: it does not grow",
    settings: &[],
    needs: "TCPAbortOnTimeout",
    look: |rule, model| {
        counted(
            rule,
            model,
            (Metric::TimeoutAborts, FEW),
            ("connection", "given up without an answer"),
        )
    },
};

pub static BUFFER_DROPS: Rule = Rule {
    id: "receive-buffer-drops",
    topic: "given up and dropped",
    severity: Severity::Warning,
    scope: Scope::Netns,
    title: "Segments are dropped because a receive buffer is full",
    why: "RcvPruned grew: out-of-order data and many small segments took more memory than the buffer allows",
    remedy: "raise the third number of net.ipv4.tcp_rmem, or do not set SO_RCVBUF, which stops its growth; read \
             faster",
    effect: "nothing that has arrived has to be sent again",
    verify: "nstat TcpExtRcvPruned: it does not grow",
    settings: &[],
    needs: "RcvPruned",
    look: |rule, model| {
        counted(
            rule,
            model,
            (Metric::BufferDrops, 1.0),
            ("segment", "dropped as a receive buffer was full"),
        )
    },
};

pub static REVERSE_PATH: Rule = Rule {
    id: "reverse-path-drops",
    topic: "given up and dropped",
    severity: Severity::Warning,
    scope: Scope::Netns,
    title: "Packets are dropped because the way back leads elsewhere",
    why: "IPReversePathFilter grew: the route to the source of these packets leads over another interface, and \
          rp_filter is strict",
    remedy: "correct the routes, or set net.ipv4.conf.IFACE.rp_filter = 2 where ways differ on purpose; tcpdrop shows \
             the packets (IP_RPFILTER)",
    effect: "the packets arrive",
    verify: "nstat TcpExtIPReversePathFilter: it does not grow",
    settings: &[],
    needs: "IPReversePathFilter",
    look: |rule, model| {
        let what = ("packet", "dropped by rp_filter");
        sent(rule, model, Metric::ReversePathDrops, what, "IP_RPFILTER")
    },
};

pub static CHECKSUM_ERRORS: Rule = Rule {
    id: "checksum-errors",
    topic: "given up and dropped",
    severity: Severity::Warning,
    scope: Scope::Netns,
    title: "Segments arrive with a wrong checksum",
    why: "TcpInCsumErrors grew: a cable, a device or its offload spoils segments, or a program writes raw ones",
    remedy: "look at the interface (ethtool -S), replace the cable, try ethtool -K IFACE rx off tx off; tcpdrop shows \
             the senders (TCP_CSUM)",
    effect: "nothing has to be sent again for it",
    verify: "nstat TcpInCsumErrors: it does not grow",
    settings: &[],
    needs: "TcpInCsumErrors",
    look: |rule, model| {
        sent(rule, model, Metric::ChecksumErrors, ("segment", "with a wrong checksum"), "TCP_CSUM")
    },
};

/// More than a few in the window, with who has sent most of them, where drops of this reason are seen one by one.
fn sent(
    rule: &'static Rule,
    model: &Model,
    metric: Metric,
    what: (&str, &str),
    reason: &str,
) -> Option<Vec<Finding>> {
    let found = counted(rule, model, (metric, FEW), what)?;
    let named = |one: Finding| match model.segments.sender(reason, one.netns, window_begin(model)) {
        Some(from) => {
            let text = format!("{}; most from {}", one.text, words(Cell::addr(Some(from), None)));
            Finding { text: text.into(), raddr: Some(from), ..one }
        }
        None => one,
    };
    Some(found.into_iter().map(named).collect())
}

/// So many in the window are a finding.
fn counted(
    rule: &'static Rule,
    model: &Model,
    (metric, least): (Metric, f64),
    (one, what): (&str, &str),
) -> Option<Vec<Finding>> {
    each(model, |scene| {
        let (count, known) = scene.sum(metric)?;
        let text = format!("{} {what} in {known:.0} s", several(whole(count), one));
        Some(scene.one(rule, count >= least, (text, Key::default()), [("count", count)]))
    })
}
