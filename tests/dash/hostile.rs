//! Recordings that no tool of this kit has written: numbers and times at their limits, files of other
//! formats.

use std::io::{Cursor, Write};

use serde_json::Value;
use tcpscope::dash::replay::{Lines, Player, open};
use tcpscope::dash::{Control, Dash, Event, View};
use tcpscope::record::AnyRecord;

use super::{RECORDING, text};

const VIEWS: [View; 9] = [
    View::Overview,
    View::Processes,
    View::Connections,
    View::Latency,
    View::States,
    View::Listeners,
    View::Tool,
    View::Remotes,
    View::Ports,
];

/// The line with every number as large as its key takes, at another time.
fn extreme(line: &str, ts: &str) -> String {
    let mut value: Value = serde_json::from_str(line).unwrap();
    value["ts"] = ts.into();
    let numbers = value.as_object().unwrap().iter().filter(|(_, value)| value.is_number());
    let keys: Vec<String> = numbers.map(|(key, _)| key.clone()).collect();
    for key in &keys {
        for largest in [u64::MAX, u64::from(u32::MAX), u64::from(u16::MAX), 6] {
            value[key] = largest.into();
            if AnyRecord::parse(value.to_string().as_bytes()).is_ok() {
                break;
            }
        }
    }
    value.to_string()
}

fn draw_everything(dash: &mut Dash) {
    for (width, height) in [(200, 60), (120, 35), (60, 15), (40, 10)] {
        dash.handle(Event::Resize(width, height));
        for view in VIEWS {
            dash.show(view);
            assert!(!text(dash).is_empty());
        }
    }
}

#[test]
fn the_largest_numbers_are_drawn_without_overflow() {
    let mut dash = Dash::new("hostile".to_owned(), false);
    for ts in ["1970-01-01T00:00:00.000000001Z", "2199-12-31T23:59:59Z", "2026-01-02T03:04:05Z"] {
        let records: Vec<_> = RECORDING
            .lines()
            .map(|line| AnyRecord::parse(extreme(line, ts).as_bytes()).unwrap())
            .collect();
        for _ in 0..2 {
            dash.handle(Event::Records(records.clone()));
            dash.refresh();
            draw_everything(&mut dash);
        }
    }
}

fn note(ts: &str) -> String {
    format!("{{\"kind\":\"note\",\"ts\":\"{ts}\",\"text\":\"x\"}}\n")
}

/// Plays a recording to its end, in a bounded number of steps.
fn play(bytes: Vec<u8>) -> (Player, usize) {
    let mut player = Player::new(Lines::new(Box::new(Cursor::new(bytes)))).unwrap();
    let mut records = 0;
    for _ in 0..100 {
        for event in player.advance(std::time::Duration::from_secs(1 << 20)).unwrap() {
            if let Event::Records(some) = event {
                records += some.len();
            }
        }
        if player.progress().ended {
            return (player, records);
        }
    }
    panic!("not at the end after 100 steps: {:?}", player.progress());
}

#[test]
fn a_time_outside_of_1970_to_2200_is_a_bad_line() {
    for bad in ["1677-09-21T00:12:44Z", "1969-12-31T23:59:59Z", "2200-01-01T00:00:00Z"] {
        let (player, records) = play((note(bad) + &note("2026-01-02T03:04:05Z")).into_bytes());
        assert_eq!((records, player.progress().damaged), (1, 1), "{bad}");
        let (line, reason) = player.progress().damage.clone().unwrap();
        assert_eq!(line, Some(1));
        assert!(reason.contains("1970 and 2200"), "{reason}");
    }
}

#[test]
fn a_gap_of_two_hundred_years_is_skipped() {
    let text = note("1970-01-01T00:00:01Z") + &note("2199-12-31T23:59:59Z");
    let (mut player, records) = play(text.into_bytes());
    assert_eq!(records, 2);
    for control in [Control::Start, Control::Seek(i64::MAX), Control::Seek(i64::MIN), Control::End]
    {
        player.control(control).unwrap();
    }
}

#[test]
fn a_file_of_another_format_is_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let written = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::File::create(&path).unwrap().write_all(bytes).unwrap();
        path
    };
    for (bytes, part) in [
        (b"root:x:0:0:root:/root:/bin/bash\nbin:x:1:1::/:\n".as_slice(), "line 1"),
        (b"{\"a\":1}\n", "no \"kind\""),
        (b"\x7fELF\x02\x01\x01\x00\x00\x00", "line 1"),
        (b"BZh91AY&SY", "line 1"),
    ] {
        let path = written("foreign", bytes);
        let error = format!("{:#}", open(Some(&path)).err().expect("refused"));
        assert!(error.contains("not a recording") && error.contains(part), "{error}");
    }
    let error = format!("{:#}", open(Some(&folder.path().join("absent"))).err().unwrap());
    assert!(error.contains("absent") && error.contains("No such file"), "{error}");
}

/// How many records `path` has.
fn records_of(path: &std::path::Path) -> usize {
    let (mut player, _) = open(Some(path)).unwrap();
    let mut records = 0;
    while !player.progress().ended {
        for event in player.advance(std::time::Duration::from_secs(1 << 20)).unwrap() {
            if let Event::Records(some) = event {
                records += some.len();
            }
        }
    }
    assert_eq!(player.progress().damaged, 0);
    records
}

#[test]
fn compressed_recordings_and_a_byte_order_mark_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let count = RECORDING.lines().count();
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(RECORDING.as_bytes()).unwrap();
    let gz = gz.finish().unwrap();
    let zst = ruzstd::encoding::compress_to_vec(
        RECORDING.as_bytes(),
        ruzstd::encoding::CompressionLevel::Fastest,
    );
    let bom = [b"\xef\xbb\xbf".as_slice(), RECORDING.as_bytes()].concat();
    for (name, bytes) in [("r.gz", gz), ("r.zst", zst), ("r.bom", bom)] {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(records_of(&path), count, "{name}");
    }
}
