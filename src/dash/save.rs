//! Saves the view as JSON lines for replay.

use std::fs::OpenOptions;
use std::io::Write;

use anyhow::{Context, Result};

use super::model::Model;
use crate::record::AnyRecord;
use crate::report::Ts;

/// Writes a new file into the current folder, and says how it is called.
///
/// # Errors
/// It cannot be written, or there is one.
pub fn save(model: &Model) -> Result<String> {
    let stamp = serde_json::to_value(Ts(model.now)).ok();
    let stamp = stamp.as_ref().and_then(|stamp| stamp.as_str()).unwrap_or_default();
    let digits: String = stamp.chars().take(19).filter(char::is_ascii_alphanumeric).collect();
    let name = format!("tcpdash-{digits}Z.jsonl");
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&name)
        .with_context(|| format!("cannot write {name}"))?;
    let mut out = Vec::new();
    let records = model.records();
    for record in &records {
        record.line(&mut out);
    }
    if let Err(error) = file.write_all(&out) {
        // Half of it would be shown as if it were all.
        let _ = std::fs::remove_file(&name);
        return Err(error).with_context(|| format!("cannot write {name}"));
    }
    // A replay would begin with the oldest part of the graphs.
    let length = records.last().map_or(0, AnyRecord::ts) - records.first().map_or(0, AnyRecord::ts);
    let at = length.div_euclid(1_000_000_000) + 1;
    Ok(format!("saved {name}: tcpdash --replay {name} --at {at}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::count::Count;
    use crate::dash::model::Metric;
    use crate::nstat::Mib;

    /// Graphs over time are saved, not their newest value alone.
    #[test]
    fn the_history_of_graphs_is_saved() {
        let mut model = Model::default();
        for second in 1..=9_i64 {
            let ts = Ts(second * 1_000_000_000);
            let interval_ns = Some(1_000_000_000);
            let row = Count { ts, interval_ns, total: true, tx_calls: 7, ..Count::default() };
            model.take(AnyRecord::from(row));
            let mib = Mib { ts, interval_ns, retrans_segs: Some(3), ..Mib::default() };
            model.take(AnyRecord::from(mib));
        }
        let mut again = Model::default();
        model.records().into_iter().for_each(|record| again.take(record));
        for (metric, rate) in [(Metric::Sends, 7.0), (Metric::Retransmits, 3.0)] {
            assert_eq!(again.history.values(metric, again.now, 9), [Some(rate); 9]);
        }
        assert_eq!(again.records(), model.records());
    }

    #[test]
    fn a_saved_view_replays_identically() {
        let mut model = Model::default();
        let recorded = [
            include_str!("../../tests/golden/count.jsonl.snap"),
            include_str!("../../tests/golden/summary.jsonl.snap"),
        ];
        let lines = recorded.iter().flat_map(|text| text.lines());
        for line in lines.filter(|line| line.starts_with('{')) {
            model.take(AnyRecord::parse(line.as_bytes()).unwrap());
        }
        let mut again = Model::default();
        let mut lines = Vec::new();
        model.records().iter().for_each(|record| record.line(&mut lines));
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            again.take(AnyRecord::parse(line).unwrap());
        }
        assert!(again.records().len() > 20);
        assert_eq!(again.records(), model.records());
        assert_eq!(again.states(), model.states());
    }
}
