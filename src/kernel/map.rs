//! Maps of the BPF objects: values name them, and bytes go in and out.

use std::os::fd::{AsFd, BorrowedFd};

use anyhow::{Context, Result};
use libbpf_rs::{MapCore, MapFlags, MapHandle};

use super::batch::{self, Taken, take};

/// The name of a map in an object. `src/hooks/maps.rs` declares all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MapDef(&'static str);

impl MapDef {
    /// The map with a name.
    pub const fn new(name: &'static str) -> Self {
        Self(name)
    }

    /// Its name in the object.
    pub fn name(self) -> &'static str {
        self.0
    }
}

/// A map of a loaded object, held by a descriptor of its own.
#[derive(Debug)]
pub struct Map(pub(super) MapHandle);

impl AsFd for Map {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Map {
    /// The same map, by another descriptor.
    ///
    /// # Errors
    /// There are no more descriptors.
    pub fn try_clone(&self) -> Result<Self> {
        let map = MapHandle::try_from(&self.0);
        map.map(Self).with_context(|| format!("cannot duplicate map {}", self.name()))
    }

    /// Most entries that fit.
    pub fn max_entries(&self) -> u32 {
        self.0.max_entries()
    }

    /// The values of all CPUs for a key of a per-CPU map; `None`: there is no such key.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn lookup_percpu(&self, key: &[u8]) -> Result<Option<Vec<Vec<u8>>>> {
        let read = self.0.lookup_percpu(key, MapFlags::ANY);
        read.with_context(|| format!("cannot read map {}", self.name()))
    }

    /// Takes a key out of a per-CPU map: `values` becomes those of all CPUs, each padded to 8 bytes.
    /// `false`: there is no such key.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn take_percpu(&self, key: &[u8], values: &mut Vec<u8>) -> Result<bool> {
        let taken = take(&self.0, key, values);
        match taken.with_context(|| format!("cannot take from map {}", self.name()))? {
            Taken::Out => return Ok(true),
            Taken::Absent => return Ok(false),
            Taken::Impossible => {}
        }
        let Some(cpus) = self.lookup_percpu(key)? else { return Ok(false) };
        self.delete(key)?;
        values.clear();
        for value in cpus {
            values.extend(value);
            values.resize(values.len().next_multiple_of(8), 0);
        }
        Ok(true)
    }

    /// The value of a key; `None`: there is no such key.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn lookup(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let read = self.0.lookup(key, MapFlags::ANY);
        read.with_context(|| format!("cannot read map {}", self.name()))
    }

    /// Writes a value, whether its key is there or not.
    ///
    /// # Errors
    /// The kernel refuses, or the map is full.
    pub fn update(&self, key: &[u8], value: &[u8]) -> Result<()> {
        let written = self.0.update(key, value, MapFlags::ANY);
        written.with_context(|| format!("cannot write map {}", self.name()))
    }

    /// Deletes a key.
    ///
    /// # Errors
    /// It is not there, or the kernel refuses.
    pub fn delete(&self, key: &[u8]) -> Result<()> {
        self.0.delete(key).with_context(|| format!("cannot delete from map {}", self.name()))
    }

    /// Deletes keys that lie one behind the other.
    ///
    /// # Errors
    /// One is not there, or the kernel refuses.
    pub fn delete_batch(&self, keys: &[u8]) -> Result<()> {
        let count = u32::try_from(keys.len())? / self.0.key_size();
        let deleted = self.0.delete_batch(keys, count, MapFlags::ANY, MapFlags::ANY);
        deleted.with_context(|| format!("cannot empty map {}", self.name()))
    }

    /// Hands over every entry of a hash map: the key, and behind it the value, of a per-CPU map those of
    /// all CPUs, each padded to 8 bytes. Each entry that stays meanwhile comes once.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn entries(&self, each: impl FnMut(&[u8])) -> Result<()> {
        batch::entries(&self.0, each).with_context(|| format!("cannot read map {}", self.name()))
    }

    /// All keys.
    pub fn keys(&self) -> impl Iterator<Item = Vec<u8>> {
        self.0.keys()
    }

    fn name(&self) -> String {
        self.0.name().to_string_lossy().into_owned()
    }
}
