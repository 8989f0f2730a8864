//! What the tools themselves could not see.

use super::{Finding, Rule, Scope, Severity};
use crate::kernel::netns_list::Extent;
use crate::model::Model;
use crate::report::Key;

const TOPIC: &str = "lost events";

pub static EVENTS_LOST: Rule = Rule {
    id: "events-lost",
    topic: TOPIC,
    severity: Severity::Warning,
    scope: Scope::Tool,
    title: "A tool of this kit lost events",
    why: "the status of the tool counts events that no row has: the ring buffer or a table was full, or the \
          kernel skipped a program",
    remedy: "give the tool a larger ring buffer (--buffer) or table (--max-keys, --track-max), or filter: fewer \
             sockets make fewer events",
    effect: "the counts of all rows are complete again",
    verify: "the last status line counts none: lost 0",
    settings: &[],
    needs: "the status of a tool",
    look: losses,
};

pub static NAMESPACES_CLOSED: Rule = Rule {
    id: "namespaces-closed",
    topic: TOPIC,
    severity: Severity::Remark,
    scope: Scope::Machine,
    title: "Some network namespaces cannot be entered",
    why: "no process in them can be read, so their sockets and counters are missing",
    remedy: "run as root, or with CAP_SYS_ADMIN and CAP_SYS_PTRACE",
    effect: "their sockets are shown",
    verify: "tcpstates --summary --by netns",
    settings: &[],
    needs: "a summary of sockets",
    look: closed,
};

pub static ROWS_LEFT_OUT: Rule = Rule {
    id: "rows-left-out",
    topic: TOPIC,
    severity: Severity::Remark,
    scope: Scope::Tool,
    title: "More rows came than are kept",
    why: "what is kept of an interval is bounded",
    remedy: "filter: --comm, --port, --raddr or --netns",
    effect: "all rows that pass are kept",
    verify: "this finding is gone",
    settings: &[],
    needs: "rows that did not fit",
    look: left_out,
};

fn losses(rule: &'static Rule, model: &Model) -> Option<Vec<Finding>> {
    let mut found = Vec::new();
    for tool in model.tools.values().filter(|tool| tool.status.incomplete() > 0) {
        let status = &tool.status;
        let counts = [
            ("lost", Some(status.lost)),
            ("untracked", status.untracked),
            ("missed", status.left_out()),
        ];
        let parts = counts.iter().filter_map(|(word, count)| {
            count.filter(|count| *count > 0).map(|count| format!("{count} {word}"))
        });
        let text = format!(
            "{}: {} of {} events: its numbers are too low",
            status.tool,
            parts.collect::<Vec<_>>().join(", "),
            status.attempted
        );
        // One in a thousand is no reason to distrust what is shown.
        let few = status.incomplete().saturating_mul(1000) <= status.attempted;
        let severity = if few { Severity::Remark } else { Severity::Warning };
        let finding = Finding::new(rule, Key::default(), text).with(counts);
        found.push(finding.with([("attempted", Some(status.attempted))]).weighing(severity));
    }
    (!model.tools.is_empty() || !found.is_empty()).then_some(found)
}

fn closed(rule: &'static Rule, model: &Model) -> Option<Vec<Finding>> {
    let Extent { closed, .. } = model.look.extent()?;
    let text = || {
        let text =
            format!("{closed} network namespaces cannot be entered: their sockets are not shown");
        Finding::new(rule, Key::default(), text).with([("not_entered", Some(closed))])
    };
    Some((closed > 0).then(text).into_iter().collect())
}

fn left_out(rule: &'static Rule, model: &Model) -> Option<Vec<Finding>> {
    let rows = model.left_out();
    let text = || {
        let text = format!("{rows} rows did not fit and are not shown");
        Finding::new(rule, Key::default(), text).with([("rows", Some(rows))])
    };
    (rows > 0).then(|| vec![text()])
}
