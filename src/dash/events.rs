//! Events into the state machine, and actions out of it.

use std::time::Duration;

use super::keys::KeyPress;
use crate::record::AnyRecord;

/// What comes in.
#[derive(Clone, Debug)]
pub enum Event {
    /// A key.
    Key(KeyPress),
    /// A click: column, line.
    Click(u16, u16),
    /// The mouse wheel, in lines.
    Wheel(isize),
    /// The new screen size in columns and lines.
    Resize(u16, u16),
    /// Records with one or several times.
    Records(Vec<AnyRecord>),
    /// How the recording is going.
    Progress(Progress),
    /// The recording goes back: what was shown has not happened yet.
    Rewind,
    /// What the dashboard itself costs.
    SelfCost(SelfCost),
    /// What its programs cost in the kernel.
    Programs(Programs),
    /// Nothing is recorded any more, and why.
    Unrecorded(String),
    /// Something for the reader.
    Say(String),
}

/// What the dashboard itself costs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SelfCost {
    /// CPU time over the last seconds, as a part of one CPU.
    pub cpu: Option<f64>,
    /// Resident memory, bytes.
    pub rss: Option<u64>,
    /// The time that the last frame took, ns.
    pub frame_ns: Option<u64>,
}

/// Kernel cost of a live session's programs since the last interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Programs {
    /// The kernel was not asked to measure it.
    Unmeasured,
    /// ns, and how often they ran.
    Measured(u64, u64),
}

/// How far a recording has come.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// Time of its first line, wall-clock ns; `None` without any.
    pub first: Option<i64>,
    /// Time of its last line; `None` where that cannot be seen yet.
    pub last: Option<i64>,
    /// The moment shown.
    pub now: i64,
    /// How much faster than it happened.
    pub speed: f64,
    /// It is paused.
    pub paused: bool,
    /// Nothing comes any more.
    pub ended: bool,
    /// Lines that could not be read.
    pub damaged: u64,
    /// The last of them: its number if known, and what is wrong with it.
    pub damage: Option<(Option<u64>, String)>,
}

/// A playback command.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Control {
    /// Stand still, or not.
    Pause(bool),
    /// To the next sample, then pause.
    Step,
    /// A second back, then pause.
    Back,
    /// The next lower speed.
    Slower,
    /// The next higher speed.
    Faster,
    /// By this many ns.
    Seek(i64),
    /// To the beginning.
    Start,
    /// To the end.
    End,
}

/// An action for the event loop.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Action {
    /// End.
    Quit,
    /// Give the terminal back to the shell.
    Suspend,
    /// Redraw every cell.
    Redraw,
    /// Save what is shown.
    Save,
    /// Remember which columns are shown.
    Remember,
    /// To the recording.
    Play(Control),
    /// Set the interval.
    Interval(Duration),
}

/// What the threads send.
#[derive(Debug)]
pub enum Message {
    /// For the state machine.
    Event(Event),
    /// For the loop.
    Action(Action),
    /// A thread has ended and should not have.
    Failed(anyhow::Error),
}
