//! Playback speed.

/// To choose from; the last is as fast as it comes.
const SPEEDS: [f64; 10] = [0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 100.0, f64::INFINITY];

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Speed(usize);

impl Speed {
    /// As it happened.
    pub const REAL: Self = Self(3);
    /// Without waiting.
    pub const MOST: Self = Self(SPEEDS.len() - 1);

    /// Times as fast as it happened.
    pub fn factor(self) -> f64 {
        SPEEDS[self.0]
    }

    /// The next lower.
    #[must_use]
    pub fn slower(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// The next higher.
    #[must_use]
    pub fn faster(self) -> Self {
        Self((self.0 + 1).min(SPEEDS.len() - 1))
    }
}
