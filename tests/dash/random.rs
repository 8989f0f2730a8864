//! Random keys.

use tcpscope::dash::{Event, KeyPress};
use tcpscope::record::AnyRecord;

use super::{dash, records, text};

/// As many as the issue of a random generator is good for: xorshift64*.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) % sides
    }
}

const KEYS: [KeyPress; 18] = [
    KeyPress::F1,
    KeyPress::Delete,
    KeyPress::Enter,
    KeyPress::Esc,
    KeyPress::Tab,
    KeyPress::BackTab,
    KeyPress::Backspace,
    KeyPress::Up,
    KeyPress::Down,
    KeyPress::Left,
    KeyPress::Right,
    KeyPress::PageUp,
    KeyPress::PageDown,
    KeyPress::Home,
    KeyPress::End,
    KeyPress::Ctrl('u'),
    KeyPress::Ctrl('w'),
    KeyPress::Ctrl('c'),
];

fn event(dice: &mut Dice, records: &[AnyRecord]) -> Event {
    let small = |dice: &mut Dice, most| u16::try_from(dice.roll(most)).unwrap();
    match dice.roll(100) {
        0..=44 => Event::Key(KeyPress::Char(char::from(32 + u8::try_from(dice.roll(95)).unwrap()))),
        45..=74 => Event::Key(KEYS[usize::try_from(dice.roll(18)).unwrap()]),
        75..=79 => Event::Key(KeyPress::Char(
            char::from_u32(u32::try_from(dice.roll(0x3000)).unwrap()).unwrap(),
        )),
        80..=86 => Event::Click(small(dice, 310), small(dice, 110)),
        87..=88 => Event::Wheel(isize::try_from(dice.roll(9)).unwrap() - 4),
        89..=91 => Event::Resize(small(dice, 301), small(dice, 101)),
        92..=95 => Event::Resize(40 + small(dice, 261), 10 + small(dice, 91)),
        96..=98 => {
            let start = usize::try_from(dice.roll(records.len() as u64)).unwrap();
            Event::Records(records[start..].iter().take(20).cloned().collect())
        }
        _ => Event::Rewind,
    }
}

#[test]
fn a_hundred_thousand_keys_and_resizes_without_a_panic() {
    let (mut dice, records) = (Dice(0x5eed), records());
    let mut dash = dash(100, 30);
    dash.progress = None;
    let mut drawn = 0;
    for number in 0..100_000 {
        let event = event(&mut dice, &records);
        let resized = matches!(event, Event::Resize(..));
        dash.handle(event);
        dash.refresh();
        if (resized && dice.roll(8) == 0) || number % 61 == 0 {
            let text = text(&mut dash);
            assert_eq!(
                text.lines().count(),
                usize::from(dash.size.1) * usize::from(dash.size.0 > 0),
                "{:?}",
                dash.size
            );
            drawn += 1;
        }
    }
    assert!(drawn > 1000);
}
