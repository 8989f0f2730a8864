//! Colours and symbols. Sixteen colours, readable on light and dark; without
//! colour the same is said by weight.

use std::env;

use ratatui::style::{Color, Modifier, Style};

use crate::dash::model::Weight;

/// Colours and symbols.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Theme {
    /// Colours are wanted.
    pub colour: bool,
    /// ASCII only.
    pub ascii: bool,
}

impl Theme {
    /// As the environment asks for: `NO_COLOR`, `TERM`.
    pub fn of_environment(ascii: bool) -> Self {
        let plain = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self { colour: !plain, ascii }
    }

    fn coloured(self, colour: Color, else_: Modifier) -> Style {
        if self.colour { Style::new().fg(colour) } else { Style::new().add_modifier(else_) }
    }

    /// Headings and names.
    pub fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// What is less important.
    pub fn faint(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    /// The selected row, and the tab that is open.
    pub fn selected(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// Graphs.
    pub fn graph(self) -> Style {
        self.coloured(Color::Cyan, Modifier::empty())
    }

    /// Something is wrong, or will be.
    pub fn weight(self, weight: Weight) -> Style {
        match weight {
            Weight::Bad => self.coloured(Color::Red, Modifier::BOLD).add_modifier(Modifier::BOLD),
            Weight::Warning => self.coloured(Color::Magenta, Modifier::BOLD),
            Weight::Remark => Style::new(),
        }
    }

    /// Parts of a bar, which lie side by side.
    pub fn part(self, index: usize) -> Style {
        const PARTS: [Color; 6] =
            [Color::Green, Color::Blue, Color::Magenta, Color::Cyan, Color::Red, Color::Gray];
        if self.colour { Style::new().fg(PARTS[index % PARTS.len()]) } else { Style::new() }
    }

    /// Symbols of bar parts, distinct without colour too.
    pub fn part_sign(self, index: usize) -> char {
        let signs = if self.ascii {
            ['#', '=', '+', '-', ':', '.']
        } else {
            ['█', '▓', '▒', '░', '▞', '·']
        };
        signs[index % signs.len()]
    }

    /// Heights of a graph: nothing known, zero, then from little to all.
    pub fn levels(self) -> &'static [char; 9] {
        if self.ascii {
            &[' ', '_', '.', ':', '-', '=', '+', '*', '#']
        } else {
            &[' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█']
        }
    }

    /// From nothing to all of it.
    pub fn shades(self) -> &'static [char; 5] {
        if self.ascii { &[' ', '.', ':', '+', '#'] } else { &[' ', '░', '▒', '▓', '█'] }
    }
}
