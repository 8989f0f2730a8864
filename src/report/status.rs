//! A tool's status: attach methods and losses.

use std::borrow::Cow;
use std::fmt;

use schemars::JsonSchema;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::{Serialize, Serializer};

use super::{human, record};

record! {
    /// Every tool: how it watches, and whether anything was lost
    "status" Status known(
        tool version kernel attach attempted delivered lost filtered pending
    ) {
        tool,
        version,
        kernel,
        /// each hook with its attach method: `fentry`, `kprobe`, `tracepoint`, `raw-tracepoint`, `iterator`, `lookup`, or `-` if none (optional hook)
        attach: Attached,
        /// inode of the PID namespace of `pid` in all records, the tool's own; null: the initial one
        pid_namespace: Option<u32>,
        /// events seen by a program, and changes found by polling
        attempted: u64,
        /// events that the tool has read; where the programs count, `attempted` - `filtered`
        delivered: u64,
        /// events lost because the ring buffer was full
        lost: u64,
        /// events excluded by a filter
        filtered: u64,
        /// events in the ring buffer, or held for the next `TIME_WAIT` poll; 0 in the last status, and always 0 for counted events
        pending: u64,
        /// events without a map entry, because the map was full. State changes: without owner and duration, or shown as `CLOSE` instead of `TIME_WAIT`. Traffic: counted as `(other)`. Latencies: counted as `(other)` or not measured
        untracked: Option<u64>,
        /// program runs that the kernel skipped: the larger of its own count and the gaps in socket transitions; null: unknown, before 5.12, with kprobes before 6.7, and on some later kernels for an ordinary user with file capabilities (not on 6.18)
        missed: Option<u64>,
        /// calls not counted because their return was not seen: a lower bound; with kprobes part of `missed` if that is known; null where every return is seen
        unreturned: Option<u64>,
        /// since the start: drops of listeners that only the namespaces or only the listeners counted; with `tcpretrans --summary` retransmitted segments that the namespaces counted and no program saw; null if not compared
        unexplained: Option<u64>,
        /// buffers freed in the kernel that are no dropped segments: of other protocols, for another host, copies for packet captures; not part of `attempted`; null for tools that do not watch drops
        hidden,
        /// CPU time of the tool's process, without its programs in the kernel
        cpu_ns: Option<u64>,
        /// whether it is the last line
        #[serde(rename = "final")]
        last: bool,
        /// What it means that an event was untracked, and what to do about it; not in JSON.
        #[serde(skip)]
        untracked_means: &'static str,
        /// What is unexplained, where it is not drops of listeners; not in JSON.
        #[serde(skip)]
        unexplained_means: &'static str,
        /// Events are what the tool is about; otherwise the last line does not count them.
        #[serde(skip)]
        eventful: bool,
    }
}

impl Status {
    /// Whether it looks at all listeners and all sockets at once.
    pub fn watches_all(&self) -> bool {
        self.has_hook("listener-queues") && self.has_hook("sockets")
    }

    /// Whether it wants a hook.
    pub fn has_hook(&self, name: &str) -> bool {
        self.attach.0.iter().any(|(hook, _)| hook == name)
    }
}

/// Hooks in their order, each with what serves it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attached(pub Vec<(Cow<'static, str>, Cow<'static, str>)>);

impl Serialize for Attached {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(hook, method)| (hook, method)))
    }
}

impl<'de> Deserialize<'de> for Attached {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;

        impl<'de> Visitor<'de> for Pairs {
            type Value = Attached;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of strings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Attached, A::Error> {
                let mut pairs = Vec::new();
                while let Some((hook, method)) = map.next_entry::<String, String>()? {
                    pairs.push((hook.into(), method.into()));
                }
                Ok(Attached(pairs))
            }
        }

        deserializer.deserialize_map(Pairs)
    }
}

impl JsonSchema for Attached {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "attached".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "object",
            "additionalProperties": {
                "enum": ["fentry", "kprobe", "tracepoint", "raw-tracepoint", "iterator", "lookup", "-"]
            },
            "minProperties": 1
        })
    }
}

impl Status {
    /// Everything that makes the output less than the truth: lost, untracked, missed.
    pub fn incomplete(&self) -> u64 {
        let lacking = [self.untracked, self.left_out(), self.unexplained];
        // In a recording it may be any number.
        lacking.into_iter().flatten().fold(self.lost, u64::saturating_add)
    }

    /// Program runs that did not happen: a lower bound, since some may be in both counts; `None`: unknown.
    pub fn left_out(&self) -> Option<u64> {
        self.missed.max(self.unreturned)
    }

    /// What is incomplete and what to do about it, as one line; `None` when nothing is.
    pub fn complaint(&self) -> Option<String> {
        let mut parts = Vec::new();
        if self.lost > 0 {
            parts.push(format!(
                "lost {} of {} events (use a narrower filter or a larger --buffer)",
                self.lost, self.attempted
            ));
        }
        if let Some(n @ 1..) = self.untracked {
            parts.push(format!("{n} {}", self.untracked_means));
        }
        if let Some(n @ 1..) = self.missed {
            parts.push(format!("the kernel skipped {n} program runs"));
        }
        if let Some(n @ 1..) = self.unreturned.filter(|_| self.unreturned > self.missed) {
            parts.push(format!("at least {n} calls not counted: their return was not seen"));
        }
        if let Some(n @ 1..) = self.unexplained {
            let what = match self.unexplained_means {
                "" => "drops (ListenDrops) that match no listener",
                means => means,
            };
            parts.push(format!("the kernel counts {n} {what}"));
        }
        (!parts.is_empty()).then(|| format!("{}: {}", self.tool, parts.join("; ")))
    }

    /// The line that ends a run.
    pub fn summary(&self) -> String {
        let mut parts = Vec::new();
        if self.eventful {
            parts.push(format!(
                "{} event{}: {} delivered, {} lost, {} filtered",
                self.attempted,
                if self.attempted == 1 { "" } else { "s" },
                self.delivered,
                self.lost,
                self.filtered
            ));
        }
        parts.extend(self.untracked.filter(|&n| n > 0).map(|n| format!("{n} untracked")));
        parts.extend(self.missed.filter(|&n| n > 0).map(|n| format!("{n} missed")));
        parts.extend(self.unreturned.filter(|&n| n > 0).map(|n| format!("{n} unreturned")));
        parts.extend(self.unexplained.filter(|&n| n > 0).map(|n| format!("{n} unexplained")));
        parts.extend(self.hidden.filter(|&n| n > 0).map(|n| format!("{n} hidden")));
        if let Some(ns) = self.cpu_ns {
            let mut text = Vec::new();
            human::nanos(ns, &mut text);
            parts.push(format!("{} of CPU", String::from_utf8_lossy(&text)));
        }
        format!("{}: {}", self.tool, parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_is_lost_and_what_to_do() {
        let mut status = Status {
            tool: "tcpstates".into(),
            attempted: 120_000,
            delivered: 120_000,
            untracked_means: "events of sockets that were not remembered",
            eventful: true,
            ..Status::default()
        };
        assert_eq!(status.complaint(), None);
        assert_eq!(
            status.summary(),
            "tcpstates: 120000 events: 120000 delivered, 0 lost, 0 filtered"
        );
        (status.lost, status.untracked, status.missed) = (20_000, Some(3), Some(0));
        status.cpu_ns = Some(120_000_000);
        assert_eq!(
            status.complaint().unwrap(),
            "tcpstates: lost 20000 of 120000 events (use a narrower filter or a larger --buffer); \
             3 events of sockets that were not remembered"
        );
        assert!(status.summary().ends_with("20000 lost, 0 filtered, 3 untracked, 120ms of CPU"));
        assert_eq!(status.incomplete(), 20_003);
        // Another tool came or went while calls were in progress.
        status.unreturned = Some(7);
        assert_eq!(status.incomplete(), 20_010);
        let complaint = status.complaint().unwrap();
        assert!(complaint.ends_with("at least 7 calls not counted: their return was not seen"));
        // Kretprobes that the kernel has counted already.
        status.missed = Some(7);
        assert_eq!(status.incomplete(), 20_010);
        assert!(status.complaint().unwrap().ends_with("the kernel skipped 7 program runs"));
    }
}
