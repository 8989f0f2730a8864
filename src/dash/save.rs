//! Saves what is shown as lines of the kit's JSON, which can be shown again.

use std::fs::OpenOptions;
use std::io::Write;

use anyhow::{Context, Result};

use super::model::Board;
use super::record::{Record, Ts};

/// Writes a new file into the current folder, and says how it is called.
///
/// # Errors
/// It cannot be written, or there is one.
pub fn save(board: &Board) -> Result<String> {
    let stamp = serde_json::to_value(Ts(board.now)).ok();
    let stamp = stamp.as_ref().and_then(|stamp| stamp.as_str()).unwrap_or_default();
    let digits: String = stamp.chars().take(19).filter(char::is_ascii_alphanumeric).collect();
    let name = format!("tcpdash-{digits}Z.jsonl");
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&name)
        .with_context(|| format!("cannot write {name}"))?;
    let mut out = Vec::new();
    for record in board.records() {
        record.line(&mut out);
    }
    if let Err(error) = file.write_all(&out) {
        // Half of it would be shown as if it were all.
        let _ = std::fs::remove_file(&name);
        return Err(error).with_context(|| format!("cannot write {name}"));
    }
    Ok(format!("saved {name}: tcpdash --replay {name}"))
}

impl Board {
    /// The last interval of everything, in the order of time.
    pub fn records(&self) -> Vec<Record> {
        let mut records: Vec<Record> = Vec::new();
        records
            .extend(self.tools.values().map(|tool| Record::Status(Box::new(tool.status.clone()))));
        records.extend(self.counts.rows().map(|row| Record::Count(Box::new(row.clone()))));
        records.extend(self.sockets.rows().map(|row| Record::Sockets(row.clone())));
        records.extend(self.list.rows().map(|row| Record::Socket(Box::new(row.clone()))));
        records.extend(self.close_wait.rows().map(|row| Record::CloseWait(row.clone())));
        records.extend(self.latency.rows().map(|row| Record::Latency(Box::new(row.clone()))));
        records.extend(self.listeners.rows().map(|row| Record::Listener(Box::new(row.clone()))));
        let losses = self.losing.events().cloned();
        records.extend(losses.map(|loss| Record::ListenEvent(Box::new(loss))));
        records.extend(self.clients.rows().map(|row| Record::ListenClient(row.clone())));
        records.extend(self.mibs.rows().map(|row| Record::Mib(row.clone())));
        records.extend(self.exchanges.iter().map(|row| Record::Exchange(Box::new(row.clone()))));
        records.extend(self.notes.iter().map(|note| Record::Note(note.clone())));
        records.sort_by_key(Record::ts);
        records
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_shows_the_same_again() {
        let mut board = Board::default();
        let recorded = [
            include_str!("../../tests/golden/count.jsonl"),
            include_str!("../../tests/golden/summary.jsonl"),
        ];
        for line in recorded.iter().flat_map(|text| text.lines()) {
            board.take(Record::parse(line.as_bytes()).unwrap());
        }
        let mut again = Board::default();
        let mut lines = Vec::new();
        board.records().iter().for_each(|record| record.line(&mut lines));
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            again.take(Record::parse(line).unwrap());
        }
        assert!(again.records().len() > 20);
        assert_eq!(again.records(), board.records());
        assert_eq!(again.states(), board.states());
    }
}
