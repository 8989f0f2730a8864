//! Calls whose return was not seen and that the programs themselves cannot notice.

use std::fs;

use anyhow::Result;

use super::map::Map;
use super::procfs::pid_namespace;

/// The calls that have begun, by thread, as `bpf/lib/calls.h` keeps them.
#[derive(Debug)]
pub struct Calls {
    map: Map,
    gone: u64,
    sees_threads: bool,
}

impl Calls {
    /// Watches over the map `calls`.
    pub fn new(map: Map) -> Self {
        // The keys are numbers of the initial namespace.
        Self { map, gone: 0, sees_threads: pid_namespace().is_none() }
    }

    /// Calls of threads that have ended without returning, so far. A thread cannot end inside
    /// of a call: its return was left out. Frees their places.
    ///
    /// # Errors
    /// The map cannot be changed.
    pub fn gone(&mut self) -> Result<u64> {
        if !self.sees_threads {
            return Ok(self.gone);
        }
        for key in self.map.keys() {
            // The kernel's pid is the thread, its tgid the process.
            let Some(thread) = key.first_chunk().map(|low| u32::from_ne_bytes(*low)) else {
                continue;
            };
            if !fs::exists(format!("/proc/{thread}")).unwrap_or(true) {
                self.map.delete(&key)?;
                self.gone += 1;
            }
        }
        Ok(self.gone)
    }
}
