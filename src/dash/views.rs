//! The views, and where their tabs are.

/// What can be shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
}

impl View {
    /// All, in the order of their keys.
    pub const ALL: [Self; 7] = [
        Self::Overview,
        Self::Processes,
        Self::Connections,
        Self::Latency,
        Self::States,
        Self::Listeners,
        Self::Tool,
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
        let words =
            ["overview", "processes", "connections", "latency", "states", "listeners", "tool"];
        let index = number.or_else(|| words.iter().position(|word| *word == wanted))?;
        Self::ALL.get(index).copied()
    }

    /// The columns of its tab: ` 1 Overview `.
    pub fn tab(self) -> std::ops::Range<u16> {
        let width = |view: Self| u16::try_from(view.name().len()).unwrap_or(0) + 2;
        let before = Self::ALL[..self as usize].iter().map(|view| width(*view)).sum();
        before..before + width(self)
    }

    /// The view with its tab at this column.
    pub fn at(x: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|view| view.tab().contains(&x))
    }
}
