use super::super::find;
use super::*;

fn note(second: u64) -> String {
    format!(
        "{{\"kind\":\"note\",\"ts\":\"2026-01-02T{:02}:{:02}:{:02}Z\",\"text\":\"{}\"}}\n",
        second / 3600,
        second / 60 % 60,
        second % 60,
        "x".repeat(100)
    )
}

fn lines(text: impl Into<Vec<u8>>) -> Lines {
    Lines::new(Box::new(io::Cursor::new(text.into())))
}

fn second(record: &AnyRecord) -> i64 {
    record.ts() / 1_000_000_000 % 86_400
}

#[test]
fn damaged_lines_are_numbered_and_skipped() {
    let long = "y".repeat(LINE_MAX + 5);
    let text = format!("{}\nhello\n{long}\n{}{{\"kind\":\"n", note(1), note(2));
    let mut lines = lines(text);
    let (mut seconds, mut damage) = (Vec::new(), Vec::new());
    loop {
        match lines.read().unwrap() {
            Read::Record(record) => seconds.push(second(&record)),
            Read::Damaged(reason, offset) => {
                damage.push((lines.number(offset).unwrap().unwrap(), reason.to_string()));
            }
            Read::Skipping => panic!("no line is that long"),
            Read::End => break,
        }
    }
    assert_eq!(seconds, [1, 2]);
    let numbers: Vec<_> = damage.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, [3, 4, 6]);
    assert_eq!(damage[1].1, "longer than 256 KiB");
    assert!(lines.line.capacity() <= 2 * LINE_MAX);
}

#[test]
fn times_are_found_without_reading_everything() {
    let text: String = (0..20_000).map(note).collect();
    let mut lines = lines(text);
    assert_eq!(find::last_time(&mut lines).unwrap().unwrap() / 1_000_000_000 % 86_400, 19_999);
    assert!(matches!(lines.read().unwrap(), Read::Record(record) if second(&record) == 0));
    for wanted in [0, 1, 777, 10_000, 19_999] {
        let ts = 1_767_312_000_000_000_000 + wanted * 1_000_000_000;
        let offset = find::find(&mut lines, ts).unwrap();
        lines.seek(offset).unwrap();
        let Read::Record(first) = lines.read().unwrap() else { panic!("{wanted}") };
        assert!(second(&first) <= wanted, "nothing is missed");
        assert!(second(&first) + 1_000 > wanted, "{} is near {wanted}", second(&first));
    }
    let offset = find::find(&mut lines, i64::MAX).unwrap();
    assert_eq!(lines.number(offset).unwrap().unwrap(), offset / note(0).len() as u64 + 1);
}

/// Never ends, and never ends a line.
struct Endless;

impl io::Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        buffer.fill(b'z');
        Ok(buffer.len())
    }
}

impl Input for io::Take<Endless> {}

#[test]
fn an_endless_line_is_skipped_with_bounded_memory() {
    let mut lines = Lines::new(Box::new(io::Read::take(Endless, 1 << 30)));
    assert!(matches!(lines.read().unwrap(), Read::Damaged(..)), "reported before its end has come");
    let mut offset = lines.offset();
    while matches!(lines.read().unwrap(), Read::Skipping) {
        assert!(lines.offset() - offset <= SKIP + CHUNK as u64, "others want to do something, too");
        offset = lines.offset();
    }
    assert!(lines.line.capacity() <= 2 * LINE_MAX);
    assert_eq!(offset.max(lines.offset()), 1 << 30);
}

#[test]
fn times_are_found_around_a_line_without_end() {
    let mut text: String = (0..1000).map(note).collect();
    let begins = text.len() as u64;
    text.push_str(&"y".repeat(40 << 20));
    let mut lines = lines(text);
    let ts = 1_767_312_000_000_000_000 + 500 * 1_000_000_000;
    let found = find::find(&mut lines, ts).unwrap();
    assert!(found < begins, "{found}");
    lines.seek(found).unwrap();
    assert!(matches!(lines.read().unwrap(), Read::Record(record) if second(&record) <= 500));
}
