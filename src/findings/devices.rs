//! Drops below TCP: of interfaces, and of the queues of CPUs.

use super::scene::Scene;
use super::{Finding, Rule, Scope, Severity};
use crate::model::{Metric, Model};
use crate::report::{Cell, Key};

/// Drops and errors in the window: a few are usual.
const MANY: u64 = 20;

pub static INTERFACE_DROPS: Rule = Rule {
    id: "interface-drops",
    topic: "drops below TCP",
    severity: Severity::Warning,
    scope: Scope::Netns,
    title: "An interface drops packets, or has errors",
    why: "its counters of /proc/net/dev grow: packets that TCP never sees, and sends again. Received and dropped: a ring \
          that is too short, packets longer than the MTU, or a protocol that nothing handles; errors: the cable, the port, \
          or the driver; sent and dropped: no carrier, or a full queue of the device",
    remedy: "ethtool -S IFACE names the counter. Received: longer rings (ethtool -G IFACE rx MAX), and the same MTU on both \
             ends of the link; errors: cable and port; sent: the queue of the device (tc -s qdisc show dev IFACE), its carrier, \
             and what drops in its driver",
    effect: "fewer segments are sent again",
    verify: "ip -s link: errors and dropped do not grow",
    settings: &[],
    needs: "counters of interfaces",
    look: interfaces,
};

pub static CPU_QUEUE_DROPS: Rule = Rule {
    id: "cpu-queue-drops",
    topic: "drops below TCP",
    severity: Severity::Warning,
    scope: Scope::Machine,
    title: "The queue of a CPU drops packets before TCP sees them",
    why: "the second column of /proc/net/softnet_stat grows: a CPU gets packets faster than it handles them, and its queue \
          has net.core.netdev_max_backlog entries",
    remedy: "spread the work: RSS (ethtool -l, -X), RPS (/sys/class/net/IFACE/queues/rx-*/rps_cpus), IRQs on several CPUs; \
             against short bursts a larger net.core.netdev_max_backlog",
    effect: "fewer segments are sent again",
    verify: "/proc/net/softnet_stat: the second column does not grow",
    settings: &[],
    needs: "/proc/net/softnet_stat",
    look: queues,
};

fn interfaces(rule: &'static Rule, model: &Model) -> Option<Vec<Finding>> {
    // Only those with losses have records; that there were none needs counters of the same session.
    let known = model.sees_stalls() || model.interfaces.sums().next().is_some();
    let found = model.interfaces.sums().filter_map(|((netns, name), sums)| {
        let all = crate::model::sum(sums);
        let [rx_errors, rx_dropped, tx_errors, tx_dropped] = sums;
        let parts = [
            (rx_dropped, "received and dropped"),
            (rx_errors, "received with errors"),
            (tx_dropped, "dropped before they were sent"),
            (tx_errors, "not sent for errors"),
        ];
        let parts = parts.iter().filter(|(count, _)| *count > 0);
        let parts: Vec<_> = parts.map(|(count, what)| format!("{count} {what}")).collect();
        let name = crate::model::text(Cell::Text(name.as_bytes()));
        let text = format!("packets of interface {name} in the last seconds: {}", parts.join(", "));
        let finding = Finding::new(rule, Key { netns, ..Key::default() }, text).with([
            ("rx_dropped", Some(rx_dropped)),
            ("rx_errors", Some(rx_errors)),
            ("tx_dropped", Some(tx_dropped)),
            ("tx_errors", Some(tx_errors)),
        ]);
        (all >= MANY).then_some(finding)
    });
    known.then(|| found.collect())
}

fn queues(rule: &'static Rule, model: &Model) -> Option<Vec<Finding>> {
    let scene = Scene { netns: None, ..Scene::whole(model) };
    let (drops, known) = scene.sum(Metric::CpuQueueDrops)?;
    let text = format!("{drops:.0} packets dropped in {known:.0} s as the queue of a CPU was full");
    Some(scene.one(rule, drops >= 5.0, (text, Key::default()), [("drops", drops)]))
}
