//! Saves the view as JSON lines for replay.

use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};

use anyhow::{Context, Result};

use super::Dash;
use crate::record::AnyRecord;
use crate::report::Ts;

/// Writes a new file into the current folder, and says how it is called: all that is kept of a live session, or
/// what a recording shows.
///
/// # Errors
/// It cannot be written, or there is one.
pub fn save(dash: &Dash) -> Result<String> {
    let model = dash.model();
    let stamp = serde_json::to_value(Ts(model.now)).ok();
    let stamp = stamp.as_ref().and_then(|stamp| stamp.as_str()).unwrap_or_default();
    let digits: String = stamp.chars().take(19).filter(char::is_ascii_alphanumeric).collect();
    let name = format!("tcpdash-{digits}Z.jsonl");
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&name)
        .with_context(|| format!("cannot write {name}"))?;
    match write(dash, BufWriter::new(file)) {
        Ok(first) => {
            // A replay would begin with the oldest.
            let at = (model.now - first).max(0).div_euclid(1_000_000_000) + 1;
            Ok(format!("saved {name}: tcpdash --replay {name} --at {at}"))
        }
        Err(error) => {
            // Half of it would be shown as if it were all.
            let _ = std::fs::remove_file(&name);
            Err(error).with_context(|| format!("cannot write {name}"))
        }
    }
}

/// Writes the lines, and returns the time of the first.
fn write(dash: &Dash, mut to: impl Write) -> io::Result<i64> {
    if dash.progress.is_none()
        && let Some(oldest) = dash.past().oldest()
    {
        return dash.past().write(to).map(|()| oldest);
    }
    let records = dash.model().records();
    let mut line = Vec::new();
    for record in &records {
        line.clear();
        record.line(&mut line);
        to.write_all(&line)?;
    }
    to.flush()?;
    Ok(records.first().map_or(0, AnyRecord::ts))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::count::Count;
    use crate::dash::model::Metric;
    use crate::dash::model::Model;
    use crate::nstat::Mib;

    /// Graphs over time are saved, not their newest value alone.
    #[test]
    fn the_history_of_graphs_is_saved() {
        let mut model = Model::default();
        for second in 1..=9_i64 {
            let ts = Ts(second * 1_000_000_000);
            let interval_ns = Some(1_000_000_000);
            let row = Count { ts, interval_ns, total: true, tx_calls: Some(7), ..Count::default() };
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
        assert_eq!(again.look.states(), model.look.states());
    }
}
