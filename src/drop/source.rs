//! Drops as the programs send them, and names for their numbers.

use std::sync::Arc;

use anyhow::Result;

use super::{Names, PlaceNames, Reasons};
use crate::hooks::maps;
use crate::kernel::map::Map;
use crate::kernel::ring::Ring;
use crate::kernel::session::Session;
use crate::wire::{DropEvent, Record as _};

/// Names of reasons and functions, each looked up when it is first needed; of nothing else.
pub struct DropNames {
    reasons: Reasons,
    places: PlaceNames,
    noted: Map,
    /// It was said that some functions have no names.
    said: bool,
}

impl DropNames {
    /// The first time that a function has no name: why.
    pub fn remark(&mut self) -> Option<&'static str> {
        let new = self.places.unresolved() && !std::mem::replace(&mut self.said, true);
        new.then_some(
            "functions without a name are shown as -: /proc/kallsyms hides their addresses \
             (kernel.kptr_restrict, CAP_SYSLOG)",
        )
    }
}

impl Names for DropNames {
    fn reason(&mut self, number: u32) -> Option<Arc<str>> {
        self.reasons.name(number)
    }

    fn place(&mut self, address: u64) -> Option<Arc<str>> {
        if address == 0 {
            return None;
        }
        let noted = &self.noted;
        self.places.name(address, |key| noted.lookup(&key.to_ne_bytes()).ok().flatten())
    }

    fn cgroup(&mut self, _: u64) -> Option<Arc<str>> {
        None
    }

    fn netns(&mut self, _: u32) -> Option<Arc<str>> {
        None
    }
}

/// Where events come from.
pub struct DropSource {
    ring: Ring<DropEvent>,
    /// Names for their numbers.
    pub names: DropNames,
    hidden: u64,
}

impl DropSource {
    /// Those of a session, with the reasons of its kernel.
    ///
    /// # Errors
    /// Its programs do not watch drops.
    pub fn new(session: &Session, reasons: Reasons) -> Result<Self> {
        let names = DropNames {
            reasons,
            places: PlaceNames::default(),
            noted: session.map(maps::PLACES)?,
            said: false,
        };
        let ring = Ring::new(&session.map(maps::DROPS)?, DropEvent::read)?;
        Ok(Self { ring, names, hidden: 0 })
    }

    /// What this kernel cannot show.
    pub fn missing(&self, session: &Session) -> Vec<&'static str> {
        let mut missing = Vec::new();
        if !self.names.reasons.any() {
            missing.push("this kernel gives no reasons for drops; the place is shown");
        }
        if !session.may_copy() {
            missing.push(
                "lockdown=confidentiality: only drops with a socket are shown, without data length \
                 and TCP flags",
            );
        }
        missing
    }

    /// Hands over what has come, until `each` says that it is enough.
    ///
    /// # Errors
    /// Those of `each`, or the events cannot be read.
    pub fn drain(
        &mut self,
        mut each: impl FnMut(&[DropEvent], &mut DropNames) -> Result<bool>,
    ) -> Result<()> {
        let Self { ring, names, .. } = self;
        ring.drain(|batch| each(batch, names))
    }

    /// What was hidden since the last call.
    ///
    /// # Errors
    /// Counters cannot be read.
    pub fn hidden(&mut self, session: &Session) -> Result<u64> {
        let hidden = session.stats()?.hidden;
        let before = std::mem::replace(&mut self.hidden, hidden);
        Ok(hidden.saturating_sub(before))
    }
}
