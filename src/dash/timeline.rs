//! What is known now, what was when the screen was paused, and the last minutes of a live session.

use super::Control;
use super::model::Model;
use super::past::Past;
use crate::record::AnyRecord;

/// The moments that can be shown.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    now: Model,
    frozen: Option<Box<Model>>,
    past: Past,
}

impl Timeline {
    /// The moment that is shown.
    pub fn shown(&self) -> &Model {
        self.frozen.as_deref().unwrap_or(&self.now)
    }

    /// Whether that is not now.
    pub fn is_frozen(&self) -> bool {
        self.frozen.is_some()
    }

    /// How long ago it is that a live session was as it is shown, ns; `None` if that is now.
    pub fn ago(&self) -> Option<u64> {
        let shown = self.frozen.as_ref()?;
        u64::try_from(self.now.now - shown.now).ok().filter(|ns| *ns > 0)
    }

    /// The intervals of a live session that are kept.
    pub fn past(&self) -> &Past {
        &self.past
    }

    /// Takes records in; those of a live session are kept.
    pub fn take(&mut self, records: Vec<AnyRecord>, live: bool) {
        if live {
            self.past.push(&records);
        }
        for record in records {
            self.now.take(record);
        }
        self.now.settle();
    }

    /// A recording goes back: what was shown has not happened yet.
    pub fn rewind(&mut self) {
        self.now = Model::default();
    }

    /// A recording has come so far, or to its end.
    pub fn reached(&mut self, now: i64, ended: bool) {
        self.now.now = self.now.now.max(now);
        if ended {
            self.now.end();
        }
    }

    /// Stands still, or goes on.
    pub fn pause(&mut self) {
        self.frozen = match self.frozen.take() {
            Some(_) => None,
            None => Some(Box::new(self.now.clone())),
        };
    }

    /// Shows a live session as it was, or as it is.
    pub fn travel(&mut self, control: Control) {
        let now = self.shown().now;
        let near = |ts: i64| self.past.before(ts.saturating_add(1)).or(self.past.oldest());
        let to = match control {
            Control::Back => self.past.before(now).or(self.past.oldest()),
            Control::Step => self.past.after(now),
            Control::Seek(by) => near(now.saturating_add(by)),
            Control::Start => self.past.oldest(),
            _ => None,
        };
        // The newest is not the past.
        let to = to.filter(|to| Some(*to) < self.past.newest());
        self.frozen = to.map(|to| Box::new(self.past.at(to, &self.now)));
    }
}
