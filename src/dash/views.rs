//! The views, and where their tabs are.

use serde::{Deserialize, Serialize};

/// What can be shown.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "named as on the screen")]
pub enum View {
    #[default]
    Overview,
    Processes,
    Connections,
    Latency,
    States,
    Listeners,
    Tool,
    Remotes,
    Ports,
}

impl View {
    /// All, in the order of their keys.
    pub const ALL: [Self; 9] = [
        Self::Overview,
        Self::Processes,
        Self::Connections,
        Self::Latency,
        Self::States,
        Self::Listeners,
        Self::Tool,
        Self::Remotes,
        Self::Ports,
    ];

    /// What its tab says.
    pub fn name(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Processes => "Procs",
            Self::Connections => "Conns",
            Self::Latency => "Latency",
            Self::States => "States",
            Self::Listeners => "Listen",
            Self::Tool => "Tool",
            Self::Remotes => "Remotes",
            Self::Ports => "Ports",
        }
    }

    /// The next (`1`), or the one before (`-1`).
    #[must_use]
    pub fn beside(self, step: isize) -> Self {
        let views = Self::ALL.len().cast_signed();
        Self::ALL[(self as usize).cast_signed().wrapping_add(step).rem_euclid(views).unsigned_abs()]
    }

    /// Finds a view by number or name, as `--snapshot` takes it.
    pub fn named(text: &str) -> Option<Self> {
        let number = text.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        let wanted = text.to_ascii_lowercase();
        let words = [
            "overview",
            "processes",
            "connections",
            "latency",
            "states",
            "listeners",
            "tool",
            "remotes",
            "ports",
        ];
        let index = number.or_else(|| words.iter().position(|word| *word == wanted))?;
        Self::ALL.get(index).copied()
    }

    /// The tabs on a screen of this width: where it is too narrow, the names of those that are not open
    /// give way to their numbers.
    pub fn tabs(open: Self, width: u16) -> Vec<Tab> {
        let long = Self::ALL.iter().map(|view| view.name().len() + 2).sum::<usize>();
        let narrow = usize::from(width) < long;
        let mut x = 0;
        let tab = |view: Self| {
            let name = if narrow && view != open { "" } else { view.name() };
            let columns = x..x + 2 + u16::try_from(name.len()).unwrap_or(0);
            x = columns.end;
            Tab { view, name, columns }
        };
        Self::ALL.into_iter().map(tab).collect()
    }
}

/// A view's tab: its number, and its name where there is room.
#[derive(Clone, Debug)]
pub struct Tab {
    /// The view.
    pub view: View,
    /// Its name, or nothing.
    pub name: &'static str,
    /// Where it is.
    pub columns: std::ops::Range<u16>,
}
