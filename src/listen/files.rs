//! File descriptors of processes that leave connections in their accept queue: without a free one
//! `accept()` fails with EMFILE, and takes no connection.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::ListenerRecord;
use crate::report::{Comm, Ts, record};

/// Processes that are looked at, those of the fullest queues first.
const MOST: usize = 32;

record! {
    /// file descriptors of a process with connections in an accept queue
    "files" Files known(files) {
        pid,
        comm,
        /// file descriptors that it has open
        files: u64,
        /// how many it may have: its soft `RLIMIT_NOFILE`; null: no limit
        files_max: Option<u64>,
    }
}

/// Those of the processes that hold listeners with something in the accept queue, at wall-clock `ts`.
pub fn files(ts: i64, listeners: &[ListenerRecord]) -> Vec<Files> {
    let mut waiting: Vec<_> =
        listeners.iter().filter(|row| row.accept_now.unwrap_or(0) > 0).collect();
    waiting.sort_by_key(|row| std::cmp::Reverse(row.accept_now));
    let mut processes: BTreeMap<u32, Option<Comm>> = BTreeMap::new();
    for row in waiting {
        let holders = row.holders.iter().flatten().map(|one| (one.pid, one.comm.clone()));
        for (pid, comm) in holders.chain([(row.pid, row.comm.clone())]) {
            let Some(pid) = pid else { continue };
            if processes.len() < MOST || processes.contains_key(&pid) {
                processes.entry(pid).or_insert(comm);
            }
        }
    }
    let read = |(pid, comm)| {
        let folder = Path::new("/proc").join(format!("{pid}"));
        let files_max = limit(&fs::read_to_string(folder.join("limits")).ok()?);
        let files = open(&folder.join("fd"))?;
        Some(Files { ts: Ts(ts), pid: Some(pid), comm, files, files_max })
    };
    processes.into_iter().filter_map(read).collect()
}

/// Since Linux 6.2 the size of the folder is their number (`proc_readfd_count`).
fn open(folder: &Path) -> Option<u64> {
    let size = fs::metadata(folder).ok()?.len();
    if size > 0 {
        return Some(size);
    }
    u64::try_from(fs::read_dir(folder).ok()?.count()).ok()
}

/// `Max open files            1024                 524288               files`
fn limit(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_counts() {
        let text = "Limit                     Soft Limit           Hard Limit           Units\n\
                    Max open files            1024                 524288               files\n";
        assert_eq!(limit(text), Some(1024));
        assert_eq!(limit(&text.replace("1024", "unlimited")), None);
    }

    #[test]
    fn only_processes_with_a_queue_are_looked_at() {
        let own = std::process::id();
        let row = |accept_now| ListenerRecord {
            pid: Some(own),
            accept_now: Some(accept_now),
            ..ListenerRecord::default()
        };
        assert!(files(7, &[row(0)]).is_empty());
        let found = files(7, &[row(1), row(2)]);
        assert_eq!((found.len(), found[0].pid), (1, Some(own)));
        assert!(found[0].files >= 3, "{found:?}");
    }
}
