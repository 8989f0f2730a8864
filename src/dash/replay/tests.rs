use super::*;

const EPOCH: i64 = 1_767_312_000_000_000_000;

fn line(second: i64, text: &str) -> String {
    let (h, m, s) = (second / 3600, second / 60 % 60, second % 60);
    format!(
        "{{\"kind\":\"note\",\"ts\":\"2026-01-02T{h:02}:{m:02}:{s:02}Z\",\"text\":\"{text}\"}}\n"
    )
}

fn player(text: String) -> Player {
    Player::new(Lines::new(Box::new(io::Cursor::new(text.into_bytes())))).unwrap()
}

/// Seconds of the records in some events; -1 is a rewind.
fn seconds(events: Vec<Event>) -> Vec<i64> {
    let of = |event| match event {
        Event::Records(records) => {
            records.iter().map(|record| (record.ts() - EPOCH) / SECOND).collect()
        }
        Event::Rewind => vec![-1],
        _ => Vec::new(),
    };
    events.into_iter().flat_map(of).collect()
}

#[test]
fn playback_follows_the_speed() {
    let mut player = player((0..100).map(|s| line(s, "x")).collect());
    assert_eq!(player.progress().last, Some(EPOCH + 99 * SECOND));
    assert_eq!(seconds(player.advance(Duration::ZERO).unwrap()), [0]);
    assert_eq!(seconds(player.advance(Duration::from_millis(2500)).unwrap()), [1, 2]);
    player.control(Control::Faster).unwrap();
    assert!((player.progress().speed - 2.0).abs() < 1e-9);
    assert_eq!(seconds(player.advance(Duration::from_secs(2)).unwrap()), [3, 4, 5, 6]);
    player.control(Control::Pause(true)).unwrap();
    assert_eq!(seconds(player.advance(Duration::from_secs(9)).unwrap()).len(), 0);
    assert_eq!(seconds(player.control(Control::Step).unwrap()), [7]);
    assert!(player.progress().paused);
}

#[test]
fn seeking_shows_only_earlier_records() {
    let mut player = player((0..3000).map(|s| line(s, &"x".repeat(200))).collect());
    player.advance(Duration::ZERO).unwrap();
    let shown = seconds(player.control(Control::Seek(10 * SECOND)).unwrap());
    assert_eq!(shown, (1..=10).collect::<Vec<_>>(), "a little ahead is read on");
    let shown = seconds(player.control(Control::Seek(2000 * SECOND)).unwrap());
    assert_eq!((shown[0], *shown.last().unwrap()), (-1, 2010));
    assert!(shown[1] <= 2010 - 120 && shown[1] > 1000, "{}", shown[1]);
    let shown = seconds(player.control(Control::Start).unwrap());
    assert_eq!(shown, [-1, 0]);
    let shown = seconds(player.control(Control::End).unwrap());
    assert_eq!(*shown.last().unwrap(), 2999);
    player.advance(Duration::from_secs(1)).unwrap();
    assert!(player.progress().ended);
    assert_eq!(seconds(player.control(Control::Seek(-10 * SECOND)).unwrap()).last(), Some(&2989));
    assert!(!player.progress().ended);
}

#[test]
fn gaps_are_skipped_and_a_new_recording_restarts() {
    let text = [line(100, "a"), line(5000, "b"), line(5001, "c"), line(7, "d"), line(8, "e")];
    let mut player = player(text.concat());
    assert_eq!(seconds(player.advance(Duration::from_millis(1)).unwrap()), [100]);
    assert_eq!(seconds(player.advance(Duration::from_millis(1)).unwrap()), [5000]);
    assert_eq!(seconds(player.advance(Duration::from_secs(1)).unwrap()), [5001, -1]);
    assert_eq!(seconds(player.advance(Duration::from_secs(1)).unwrap()), [7, 8]);
}

#[test]
fn damaged_lines_are_counted_and_the_rest_plays() {
    let mut player = player([line(1, "a"), "garbage\n".to_owned(), line(2, "b")].concat());
    let shown = seconds(player.advance(Duration::from_secs(5)).unwrap());
    assert_eq!(shown, [1, 2]);
    let progress = player.progress();
    assert_eq!((progress.damaged, progress.ended), (1, true));
    assert_eq!(progress.damage.as_ref().unwrap().0, Some(2));
}

#[test]
fn an_empty_recording_is_not_an_error() {
    for text in ["", "\n\n"] {
        let mut player = player(text.to_owned());
        assert_eq!(seconds(player.advance(Duration::from_secs(1)).unwrap()).len(), 0);
        assert!(player.control(Control::End).unwrap().is_empty(), "{text}");
        assert!(player.progress().ended);
        assert_eq!(player.progress().now, 0, "no time is shown where there is none");
    }
}

/// A pipe with one write, and possibly never another.
struct Pipe(Option<Vec<u8>>);

impl io::Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.0.take().expect("a read would block here");
        buffer[..bytes.len()].copy_from_slice(&bytes);
        Ok(bytes.len())
    }
}

impl crate::dash::replay::Input for Pipe {}

#[test]
fn piped_lines_are_shown_immediately() {
    let written = [line(1, "a"), line(2, "b"), line(3, "c")].concat();
    let pipe = Pipe(Some(written.into_bytes()));
    let mut player = Player::new(Lines::new(Box::new(pipe))).unwrap();
    assert_eq!(seconds(player.advance(Duration::from_millis(50)).unwrap()), [1, 2, 3]);
    assert_eq!(player.progress().now, EPOCH + 3 * SECOND);
}

#[test]
fn a_growing_recording_continues_at_its_end() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    io::Write::write_all(&mut file, (line(1, "a") + &line(2, "b")).as_bytes()).unwrap();
    let open = std::fs::File::open(file.path()).unwrap();
    let mut player = Player::new(Lines::new(Box::new(open))).unwrap();
    assert_eq!(seconds(player.advance(Duration::from_secs(5)).unwrap()), [1, 2]);
    assert!(player.progress().ended);
    io::Write::write_all(&mut file, line(3, "c").as_bytes()).unwrap();
    assert_eq!(seconds(player.control(Control::End).unwrap()), [3]);
    assert_eq!(player.progress().last, Some(EPOCH + 3 * SECOND));
    file.as_file().set_len(0).unwrap();
    player.advance(Duration::from_secs(1)).unwrap();
    assert!(player.progress().ended, "cut off is an end like any other");
}
