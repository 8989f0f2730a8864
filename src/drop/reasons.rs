//! Why the kernel drops a packet, in its own words: the numbers differ from kernel to kernel.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::Result;

use crate::filter::{CommGlob, GlobError};
use crate::kernel::btf::Btf;
use crate::wire::{DROP_REASONS, DropOptions};

/// Numbers of the core's reasons are below; above them is the number of a subsystem.
const SUBSYSTEM_SHIFT: u32 = 16;
/// Subsystems that a filter can name one by one.
const SUBSYSTEMS: u32 = 32;
/// Enumerators that are no reasons.
const MARKS: [&str; 3] = ["MAX", "SUBSYS_MASK", "SUBSYS_SHIFT"];

/// The reasons of a kernel.
#[derive(Debug, Clone, Default)]
pub struct Reasons {
    core: HashMap<u32, Arc<str>>,
    subsystems: HashMap<u32, Arc<str>>,
}

impl Reasons {
    /// Those of the running kernel; none where it has no BTF.
    ///
    /// # Errors
    /// Its BTF is damaged.
    pub fn of_kernel() -> Result<Self> {
        let Ok(mut btf) = Btf::of_kernel() else { return Ok(Self::default()) };
        let mut enums = btf.enumerators(&["skb_drop_reason", "skb_drop_reason_subsys"])?;
        let subsystems = enums.pop().unwrap_or_default();
        Ok(Self::new(&enums.pop().unwrap_or_default(), &subsystems))
    }

    /// From the enumerators of `enum skb_drop_reason` and `enum skb_drop_reason_subsys`.
    pub fn new(core: &[(String, u32)], subsystems: &[(String, u32)]) -> Self {
        let bare = |(name, number): &(String, u32), prefix: &str| {
            let short = name.strip_prefix(prefix).or_else(|| name.strip_prefix("SKB_"));
            (*number, Arc::from(short.unwrap_or(name)))
        };
        let core = core.iter().map(|one| bare(one, "SKB_DROP_REASON_"));
        let subsystems = subsystems.iter().map(|one| bare(one, "SKB_DROP_REASON_SUBSYS_"));
        Self {
            core: core.filter(|(_, name): &(u32, Arc<str>)| !MARKS.contains(&&**name)).collect(),
            subsystems: subsystems.filter(|(number, _)| *number != 0).collect(),
        }
    }

    /// Whether this kernel gives any.
    pub fn any(&self) -> bool {
        !self.core.is_empty()
    }

    /// The kernel's name, or the subsystem's for a reason of its own; `None`: unknown, or none was given.
    pub fn name(&self, number: u32) -> Option<Arc<str>> {
        let subsystem = number >> SUBSYSTEM_SHIFT;
        let name = match subsystem {
            0 if number == 0 => None,
            0 => self.core.get(&number),
            _ => self.subsystems.get(&subsystem),
        };
        name.cloned()
    }

    /// All names, sorted.
    fn names(&self) -> Vec<&str> {
        let core = self.core.iter().filter(|(number, _)| **number != 0);
        let mut names: Vec<_> = core.chain(&self.subsystems).map(|(_, name)| &**name).collect();
        names.sort_unstable();
        names
    }

    /// Puts what `patterns` leave into the options of the programs.
    ///
    /// # Errors
    /// A pattern that fits no reason, with those there are; or this kernel gives none.
    pub fn select(
        &self,
        patterns: &[ReasonPattern],
        options: &mut DropOptions,
    ) -> Result<(), String> {
        if patterns.is_empty() {
            return Ok(());
        }
        if !self.any() {
            return Err("--reason: this kernel gives no reasons for drops".into());
        }
        let names = self.names();
        if let Some(strange) = patterns.iter().find(|one| !names.iter().any(|name| one.fits(name)))
        {
            let known = names.join(", ");
            let text = &strange.text;
            return Err(format!(
                "--reason: unknown reason '{text}'; reasons of this kernel: {known}"
            ));
        }
        options.by_reason = 1;
        let wanted = |number| match self.name(number) {
            Some(name) => wanted(patterns, &name),
            // It has no name that could be asked for.
            None => patterns.iter().all(|one| one.excludes),
        };
        for number in (0..).take(DROP_REASONS) {
            options.reasons[number as usize / 32] |= u32::from(wanted(number)) << (number % 32);
        }
        for subsystem in 0..SUBSYSTEMS {
            let number = subsystem << SUBSYSTEM_SHIFT | 1;
            let one = if subsystem == 0 { wanted(u32::from(u16::MAX)) } else { wanted(number) };
            options.other_reasons |= u32::from(one) << subsystem;
        }
        Ok(())
    }
}

/// Whether a reason is shown: one pattern includes it, if any includes at all, and none excludes it.
fn wanted(patterns: &[ReasonPattern], name: &str) -> bool {
    let (excluding, including): (Vec<_>, Vec<_>) = patterns.iter().partition(|one| one.excludes);
    (including.is_empty() || including.iter().any(|one| one.fits(name)))
        && !excluding.iter().any(|one| one.fits(name))
}

/// One value of `--reason`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReasonPattern {
    text: String,
    glob: CommGlob,
    excludes: bool,
}

impl ReasonPattern {
    /// A glob, in either case and with or without the kernel's prefix; `!` in front excludes.
    ///
    /// # Errors
    /// It is no pattern.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (excludes, pattern) = match text.strip_prefix('!') {
            Some(pattern) => (true, pattern),
            None => (false, text),
        };
        let upper = pattern.to_ascii_uppercase();
        let bare = upper.strip_prefix("SKB_DROP_REASON_").unwrap_or(&upper);
        let glob = bare.parse().map_err(|error| match error {
            GlobError::Empty => "an empty pattern fits no reason; use * for any".to_owned(),
            GlobError::TooLong => "the pattern is too long: use * for a part of it".to_owned(),
            other => other.to_string(),
        })?;
        Ok(Self { text: text.to_owned(), glob, excludes })
    }

    fn fits(&self, name: &str) -> bool {
        self.glob.matches(name.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reasons() -> Reasons {
        let named = |names: &[&str], prefix: &str| -> Vec<_> {
            names.iter().zip(0..).map(|(name, nr)| (format!("{prefix}{name}"), nr)).collect()
        };
        let mut core = named(&["NOT_DROPPED_YET", "CONSUMED"], "SKB_");
        core.extend([
            ("SKB_DROP_REASON_NO_SOCKET".to_owned(), 3),
            ("SKB_DROP_REASON_TCP_CSUM".to_owned(), 10),
            ("SKB_DROP_REASON_TCP_RESET".to_owned(), 45),
            ("SKB_DROP_REASON_MAX".to_owned(), 46),
            ("SKB_DROP_REASON_SUBSYS_MASK".to_owned(), 0xffff_0000),
        ]);
        Reasons::new(&core, &named(&["CORE", "MAC80211_UNUSABLE"], "SKB_DROP_REASON_SUBSYS_"))
    }

    fn select(patterns: &[&str]) -> Result<DropOptions, String> {
        let patterns: Vec<_> =
            patterns.iter().map(|text| ReasonPattern::parse(text).unwrap()).collect();
        let mut options = DropOptions::default();
        reasons().select(&patterns, &mut options).map(|()| options)
    }

    fn has(options: &DropOptions, number: u32) -> bool {
        options.reasons[number as usize / 32] & 1 << (number % 32) != 0
    }

    #[test]
    fn names_are_the_kernels_without_its_prefix() {
        let reasons = reasons();
        let name = |number| reasons.name(number).as_deref().map(str::to_owned);
        assert_eq!(name(3).as_deref(), Some("NO_SOCKET"));
        assert_eq!(name(1).as_deref(), Some("CONSUMED"));
        assert_eq!(name(1 << 16 | 7).as_deref(), Some("MAC80211_UNUSABLE"));
        assert_eq!([name(0), name(46), name(2 << 16)], [None, None, None]);
    }

    #[test]
    fn patterns_include_and_exclude() {
        let only = select(&["tcp_*"]).unwrap();
        assert!(has(&only, 10) && has(&only, 45) && !has(&only, 3) && !has(&only, 99));
        assert_eq!((only.by_reason, only.other_reasons), (1, 0));
        let but = select(&["!SKB_DROP_REASON_TCP_*"]).unwrap();
        assert!(!has(&but, 10) && has(&but, 3) && has(&but, 99) && has(&but, 0));
        assert_eq!(but.other_reasons, u32::MAX);
        let both = select(&["tcp_*", "!TCP_CSUM"]).unwrap();
        assert!(has(&both, 45) && !has(&both, 10) && !has(&both, 3));
        assert_eq!(select(&["mac80211*"]).unwrap().other_reasons, 2);
        assert_eq!(select(&[]).unwrap().by_reason, 0);
    }

    #[test]
    fn an_unknown_reason_lists_those_there_are() {
        let error = select(&["NO_SOCKET", "timeout"]).unwrap_err();
        assert!(error.contains("'timeout'"), "{error}");
        assert!(error.ends_with("CONSUMED, MAC80211_UNUSABLE, NO_SOCKET, TCP_CSUM, TCP_RESET"));
        let pattern = ReasonPattern::parse("NO_SOCKET").unwrap();
        let error = Reasons::default().select(&[pattern], &mut DropOptions::default());
        assert!(error.unwrap_err().contains("gives no reasons"));
        for bad in ["", "!", "[a"] {
            assert!(ReasonPattern::parse(bad).is_err(), "{bad}");
        }
    }
}
