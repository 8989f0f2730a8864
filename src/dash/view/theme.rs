//! Colours and symbols. Without colour the same is said by weight.

use std::env;

use ratatui::style::{Color, Modifier, Style};

use crate::dash::model::Weight;
use crate::tcp_state::TcpState;

/// The colours of a terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Palette {
    /// None: weight alone.
    None,
    /// The terminal's own sixteen, of them those that are readable on black and on white.
    #[default]
    Sixteen,
    /// 256 colours on a dark background.
    Dark,
    /// 256 colours on a light one.
    Light,
}

/// Colours and symbols.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Theme {
    /// Colours.
    pub palette: Palette,
    /// ASCII only.
    pub ascii: bool,
}

/// One colour for each palette: sixteen, dark, light.
type Colour = (Color, u8, u8);

const GRAPH: Colour = (Color::Cyan, 80, 30);
const BAD: Colour = (Color::Red, 203, 160);
const WARNING: Colour = (Color::Magenta, 215, 130);
const FAINT: (u8, u8) = (245, 243);

impl Theme {
    /// As asked for, else as the environment does: `NO_COLOR`, `TERM`.
    pub fn new(asked: Option<Palette>, ascii: bool) -> Self {
        let plain = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || env::var_os("TERM").is_some_and(|term| term == "dumb");
        let default = if plain { Palette::None } else { Palette::Sixteen };
        Self { palette: asked.unwrap_or(default), ascii }
    }

    fn coloured(self, (sixteen, dark, light): Colour, else_: Modifier) -> Style {
        match self.palette {
            Palette::None => Style::new().add_modifier(else_),
            Palette::Sixteen => Style::new().fg(sixteen),
            Palette::Dark => Style::new().fg(Color::Indexed(dark)),
            Palette::Light => Style::new().fg(Color::Indexed(light)),
        }
    }

    /// Headings and names.
    pub fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// What is less important: zeros, what is well, hints.
    pub fn faint(self) -> Style {
        match self.palette {
            Palette::None | Palette::Sixteen => Style::new().add_modifier(Modifier::DIM),
            Palette::Dark => Style::new().fg(Color::Indexed(FAINT.0)),
            Palette::Light => Style::new().fg(Color::Indexed(FAINT.1)),
        }
    }

    /// The selected row, and the tab that is open.
    pub fn selected(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// Graphs.
    pub fn graph(self) -> Style {
        self.coloured(GRAPH, Modifier::empty())
    }

    /// Something is wrong, or will be.
    pub fn weight(self, weight: Weight) -> Style {
        match weight {
            Weight::Bad => self.coloured(BAD, Modifier::BOLD).add_modifier(Modifier::BOLD),
            Weight::Warning => self.coloured(WARNING, Modifier::BOLD),
            Weight::Remark => Style::new(),
        }
    }

    /// A state, in bars where several lie side by side.
    pub fn state(self, state: TcpState) -> Style {
        let colour = match state {
            TcpState::Established => (Color::Green, 114, 28),
            TcpState::TimeWait => (Color::Cyan, 80, 30),
            TcpState::CloseWait => WARNING,
            TcpState::SynSent | TcpState::SynRecv | TcpState::NewSynRecv => {
                (Color::LightBlue, 111, 26)
            }
            TcpState::Close => BAD,
            TcpState::Listen => (Color::Gray, 250, 240),
            _ => (Color::LightMagenta, 176, 90),
        };
        self.coloured(colour, Modifier::empty())
    }

    /// Symbols of bar parts, distinct without colour too.
    pub fn part_sign(self, index: usize) -> char {
        let signs = ['█', '▓', '▒', '░', '▞', '·'];
        signs[index % signs.len()]
    }

    /// From nothing to all of it.
    pub fn shades(self) -> &'static [char; 5] {
        &[' ', '░', '▒', '▓', '█']
    }
}
