//! A process that cannot accept, for it has no free file descriptor.

use super::{Finding, Rule, Scope, Severity, several};
use crate::listen::{Files, ListenerRecord};
use crate::model::{Model, listener_name};

/// No server lives with so few.
const FEW_FILES: u64 = 256;
const LIMIT: &str = "raise its limit, which is far below what a server needs: prlimit --nofile=65536 --pid PID at once, and \
                     LimitNOFILE= of its unit, or ulimit -n where it is started";

pub static OUT_OF_FILES: Rule = Rule {
    id: "accept-out-of-files",
    topic: "drops and queues of listeners",
    severity: Severity::Bad,
    scope: Scope::Listener,
    title: "A process cannot accept: it has no free file descriptor (EMFILE)",
    why: "connections wait in its accept queue, and it has as many files open as its limit (RLIMIT_NOFILE) allows: \
          accept() fails with EMFILE (too many open files). Often it does not close connections that are over",
    remedy: "look for a leak first (tcpstates --summary --by process: CLOSE_WAIT; ls -l /proc/PID/fd); if it needs so \
             many, raise the limit: LimitNOFILE= of its unit, or prlimit --nofile=65536 --pid PID at once",
    effect: "accept() succeeds, and the queue empties",
    verify: "ls /proc/PID/fd | wc -l against Max open files of /proc/PID/limits",
    settings: &[],
    needs: "listeners, and file descriptors of their processes",
    look: out_of_files,
};

/// Which of a listener's processes has no free one.
pub fn exhausted<'a>(model: &'a Model, row: &ListenerRecord) -> Option<&'a Files> {
    let holders = row.holders.iter().flatten().filter_map(|one| one.pid);
    let files = row.pid.into_iter().chain(holders).filter_map(|pid| model.files_of(pid));
    let mut full = files.filter(|row| row.files_max.is_some_and(|max| row.files >= max));
    full.next().filter(|_| row.accept_now.unwrap_or(0) > 0)
}

fn out_of_files(rule: &'static Rule, model: &Model) -> Option<Vec<Finding>> {
    let known = model.sees_stalls() || model.listeners.rows().any(|row| row.accept_now.is_some());
    let found = model.listeners.rows().filter_map(|row| {
        let files = exhausted(model, row)?;
        let max = files.files_max.unwrap_or(0);
        let waiting = row.accept_now.unwrap_or(0);
        let text = format!(
            "{}: {} waiting, and the process has {} files open, with a limit of {max}: accept() \
             fails with EMFILE",
            listener_name(row),
            several(waiting, "connection"),
            files.files
        );
        let finding = Finding::new(rule, row.key(), text);
        let remedy = if max < FEW_FILES { LIMIT } else { rule.remedy };
        Some(Finding { remedy: remedy.into(), ..finding }.with([
            ("files", Some(files.files)),
            ("files_max", files.files_max),
            ("accept_now", row.accept_now),
            ("accept_limit", row.accept_limit),
        ]))
    });
    known.then(|| found.collect())
}
