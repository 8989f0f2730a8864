//! The line in which a filter is typed.

use tui_input::{Input, InputRequest};

use super::filter::FilterError;
use super::keys::KeyPress;

/// Characters of a filter.
const MOST: usize = 200;

/// The text, its cursor, and what is wrong with it.
#[derive(Clone, Debug, Default)]
pub struct FilterLine {
    input: Input,
    /// Why it is not in force.
    pub error: Option<FilterError>,
}

impl PartialEq for FilterLine {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text() && self.cursor() == other.cursor() && self.error == other.error
    }
}

impl Eq for FilterLine {}

impl From<String> for FilterLine {
    fn from(text: String) -> Self {
        Self { input: Input::new(text), error: None }
    }
}

impl FilterLine {
    /// What is typed.
    pub fn text(&self) -> &str {
        self.input.value()
    }

    /// Characters in front of the cursor.
    pub fn cursor(&self) -> usize {
        self.input.cursor()
    }

    /// Takes a key.
    pub fn press(&mut self, key: KeyPress) {
        let request = match key {
            KeyPress::Backspace | KeyPress::Ctrl('h') => InputRequest::DeletePrevChar,
            KeyPress::Delete | KeyPress::Ctrl('d') => InputRequest::DeleteNextChar,
            KeyPress::Ctrl('w') => InputRequest::DeletePrevWord,
            KeyPress::Ctrl('u') => InputRequest::DeleteLine,
            KeyPress::Ctrl('k') => InputRequest::DeleteTillEnd,
            KeyPress::Ctrl('y') => InputRequest::Yank,
            KeyPress::Left | KeyPress::Ctrl('b') => InputRequest::GoToPrevChar,
            KeyPress::Right | KeyPress::Ctrl('f') => InputRequest::GoToNextChar,
            KeyPress::Home | KeyPress::Ctrl('a') => InputRequest::GoToStart,
            KeyPress::End | KeyPress::Ctrl('e') => InputRequest::GoToEnd,
            KeyPress::Char(c) if !c.is_control() && self.text().chars().count() < MOST => {
                InputRequest::InsertChar(c)
            }
            _ => return,
        };
        self.input.handle(request);
    }
}
