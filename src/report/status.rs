//! What the tool says about itself: how it watches and whether anything was lost.

use super::{Cell, Column, Row, human};

/// The state of a tool. `attempted` = `delivered` + `lost` + `filtered` + `pending`, always.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Wall-clock time in ns since the epoch.
    pub ts: i64,
    /// Name of the tool.
    pub tool: &'static str,
    /// Release of the running kernel.
    pub kernel: String,
    /// Each hook with the rung that serves it.
    pub probes: Vec<(&'static str, &'static str)>,
    /// Events that a program saw.
    pub attempted: u64,
    /// Events that reached the output.
    pub delivered: u64,
    /// Events for which there was no room.
    pub lost: u64,
    /// Events that a filter kept out.
    pub filtered: u64,
    /// Events on their way; 0 in the final status.
    pub pending: u64,
    /// Sockets or keys that a full map kept no state of; `None` where there is no such map.
    pub untracked: Option<u64>,
    /// Program runs that the kernel skipped; `None` where it does not say.
    pub missed: Option<u64>,
    /// Calls whose return a kretprobe did not see, as far as we noticed; `None` without
    /// kretprobes. Part of `missed` where the kernel counts that.
    pub unreturned: Option<u64>,
    /// What the kernel's own counters and the tool's disagree about; `None`: nothing is compared.
    pub unexplained: Option<u64>,
    /// CPU time of this process, in ns.
    pub cpu_ns: Option<u64>,
    /// Whether it is the last one.
    pub last: bool,
    /// What it means that an event was untracked, and what to do about it.
    pub untracked_means: &'static str,
    /// Events are what the tool is about; otherwise the last line does not count them.
    pub eventful: bool,
}

static COLUMNS: [Column<Status>; 15] = [
    Column::json("tool", |s| Cell::Word(s.tool), "Name of the tool."),
    Column::json("version", |_| Cell::Word(env!("CARGO_PKG_VERSION")), "Its version."),
    Column::json("kernel", |s| Cell::Text(s.kernel.as_bytes()), "Release of the kernel."),
    Column::json("probes", |s| Cell::Pairs(&s.probes), "Each hook with the rung that serves it."),
    Column::json("attempted", |s| Cell::Count(s.attempted), "Events that a program saw."),
    Column::json("delivered", |s| Cell::Count(s.delivered), "Events that reached the output."),
    Column::json("lost", |s| Cell::Count(s.lost), "Events for which there was no room."),
    Column::json("filtered", |s| Cell::Count(s.filtered), "Events that a filter kept out."),
    Column::json("pending", |s| Cell::Count(s.pending), "Events on their way."),
    Column::json("untracked", |s| count(s.untracked), "Sockets or keys that a full map left out."),
    Column::json("missed", |s| count(s.missed), "Program runs that the kernel skipped."),
    Column::json("unreturned", |s| count(s.unreturned), "Calls whose return was not seen."),
    Column::json("unexplained", |s| count(s.unexplained), "What the kernel counted otherwise."),
    Column::json("cpu_ns", |s| s.cpu_ns.map_or(Cell::Missing, Cell::Nanos), "Own CPU time."),
    Column::json("final", |s| Cell::Flag(s.last), "Whether it is the last status."),
];

fn count(value: Option<u64>) -> Cell<'static> {
    value.map_or(Cell::Missing, Cell::Count)
}

impl Row for Status {
    const KIND: &'static str = "status";

    fn columns() -> &'static [Column<Self>] {
        &COLUMNS
    }

    fn ts(&self) -> i64 {
        self.ts
    }
}

impl Status {
    /// Everything that makes the output less than the truth: lost, untracked, missed.
    pub fn incomplete(&self) -> u64 {
        let left_out = self.missed.or(self.unreturned);
        let lacking = [self.untracked, left_out, self.unexplained];
        self.lost + lacking.into_iter().flatten().sum::<u64>()
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
        if let (None, Some(n @ 1..)) = (self.missed, self.unreturned) {
            parts.push(format!("at least {n} calls not counted: kretprobe instance limit reached"));
        }
        if let Some(n @ 1..) = self.unexplained {
            parts.push(format!("the kernel counts {n} drops (ListenDrops) that match no listener"));
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
            tool: "tcpstates",
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
    }
}
