//! Keys, clicks and sizes from the terminal, signals from the system.

use std::io;
use std::sync::mpsc::SyncSender;
use std::thread;
use std::time::Duration;

use crossterm::event::{
    Event as Input, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEventKind,
    read,
};
use signal_hook::consts::{
    SIGABRT, SIGALRM, SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGUSR1, SIGUSR2, SIGXCPU,
};
use signal_hook::iterator::Signals;

use super::keys::KeyPress;
use super::terminal;
use super::{Action, Event, Message};
use crate::report::ignored_signals;

/// A blocked screen must not block shutdown.
const PATIENCE: Duration = Duration::from_secs(1);

/// Signals that end a program by default; the terminal is given back before they do. The others cannot be
/// caught (SIGKILL, SIGSTOP), or come from a fault of the program itself.
const FATAL: [i32; 6] = [SIGQUIT, SIGABRT, SIGUSR1, SIGUSR2, SIGALRM, SIGXCPU];

/// Reads the terminal until it is gone.
pub fn watch_terminal(send: SyncSender<Message>) -> io::Result<()> {
    thread::Builder::new().name("input".into()).spawn(move || {
        let gone = loop {
            match read() {
                Ok(input) => {
                    if let Some(event) = event(&input)
                        && send.send(Message::Event(event)).is_err()
                    {
                        return;
                    }
                }
                Err(error) => break error,
            }
        };
        // Without keys the user could not quit.
        let _ = send.send(Message::Failed(gone.into()));
    })?;
    Ok(())
}

/// Turns signals into orders.
pub fn watch_signals(send: SyncSender<Message>) -> io::Result<()> {
    let ignored = ignored_signals();
    let watched = [SIGINT, SIGTERM, SIGHUP, SIGTSTP, SIGCONT].into_iter().chain(FATAL);
    let mut signals = Signals::new(watched.filter(|signal| !ignored.has(*signal)))?;
    thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in signals.forever() {
            if FATAL.contains(&signal) {
                terminal::restore();
                // Ends with the signal, and with a core where one is due.
                let _ = signal_hook::low_level::emulate_default_handler(signal);
            }
            let order = match signal {
                SIGTSTP => Action::Suspend,
                SIGCONT => Action::Redraw,
                _ => Action::Quit,
            };
            let _ = send.try_send(Message::Action(order));
            if order == Action::Quit {
                thread::sleep(PATIENCE);
                terminal::restore();
                std::process::exit(128 + signal);
            }
        }
    })?;
    Ok(())
}

/// What the state machine takes of it.
fn event(input: &Input) -> Option<Event> {
    match input {
        Input::Key(key) if key.kind != KeyEventKind::Release => self::key(key).map(Event::Key),
        Input::Mouse(mouse) => match mouse.kind {
            MouseEventKind::Down(MouseButton::Left) => Some(Event::Click(mouse.column, mouse.row)),
            MouseEventKind::ScrollDown => Some(Event::Wheel(3)),
            MouseEventKind::ScrollUp => Some(Event::Wheel(-3)),
            _ => None,
        },
        Input::Resize(width, height) => Some(Event::Resize(*width, *height)),
        _ => None,
    }
}

fn key(key: &KeyEvent) -> Option<KeyPress> {
    let with = |modifier| key.modifiers.contains(modifier);
    Some(match key.code {
        KeyCode::Char(c) if with(KeyModifiers::CONTROL) => KeyPress::Ctrl(c.to_ascii_lowercase()),
        KeyCode::Char(c) if !with(KeyModifiers::ALT) => KeyPress::Char(c),
        KeyCode::Enter => KeyPress::Enter,
        KeyCode::Esc => KeyPress::Esc,
        KeyCode::F(1) => KeyPress::F1,
        KeyCode::Tab => KeyPress::Tab,
        KeyCode::BackTab => KeyPress::BackTab,
        KeyCode::Backspace => KeyPress::Backspace,
        KeyCode::Delete => KeyPress::Delete,
        KeyCode::Up => KeyPress::Up,
        KeyCode::Down => KeyPress::Down,
        KeyCode::Left => KeyPress::Left,
        KeyCode::Right => KeyPress::Right,
        KeyCode::PageUp => KeyPress::PageUp,
        KeyCode::PageDown => KeyPress::PageDown,
        KeyCode::Home => KeyPress::Home,
        KeyCode::End => KeyPress::End,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_match_the_documented_ones() {
        let press = |code, modifiers| key(&KeyEvent::new(code, modifiers));
        assert_eq!(press(KeyCode::Char('C'), KeyModifiers::CONTROL), Some(KeyPress::Ctrl('c')));
        assert_eq!(press(KeyCode::Char('G'), KeyModifiers::SHIFT), Some(KeyPress::Char('G')));
        assert_eq!(press(KeyCode::F(1), KeyModifiers::NONE), Some(KeyPress::F1));
        assert_eq!(press(KeyCode::Char('q'), KeyModifiers::ALT), None);
        assert_eq!(press(KeyCode::BackTab, KeyModifiers::SHIFT), Some(KeyPress::BackTab));
    }
}
