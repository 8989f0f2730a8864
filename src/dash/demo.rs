//! The built-in recording: a busy minute, made by scripts/demo-recording.sh.

use std::io::{self, Read};

use flate2::read::GzDecoder;

const RECORDING: &[u8] = include_bytes!("../../assets/demo.jsonl.gz");

/// The lines.
///
/// # Errors
/// It is damaged, which a test would have found.
pub fn recording() -> io::Result<Vec<u8>> {
    let mut lines = Vec::new();
    GzDecoder::new(RECORDING).read_to_end(&mut lines)?;
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::AnyRecord;

    #[test]
    fn every_demo_line_parses() {
        let lines = recording().unwrap();
        let mut count = 0;
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            AnyRecord::parse(line)
                .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(line)));
            count += 1;
        }
        assert!(count > 1000, "{count}");
    }
}
