//! Waits until no program uses a map that programs have just been switched away from.

use std::mem::size_of;
use std::os::fd::{AsFd, AsRawFd};

use anyhow::{Context, Result};
use libbpf_rs::libbpf_sys::bpf_map_create_opts;
use libbpf_rs::{MapCore, MapFlags, MapHandle, MapType};

/// Keys, descriptors, and ids in place of them.
const FD_BYTES: u32 = u32::BITS / u8::BITS;

/// A map of a map. The kernel promises that after a map in it was replaced no program runs that
/// began before, as user space wants it then; nothing else of the two maps is of use.
///
/// `membarrier(2)` waits for the same (an RCU grace period), but fails with `nohz_full`.
/// Linux 4.20: commit 1ae80cf31938; `maybe_wait_bpf_programs()` in kernel/bpf/syscall.c.
#[derive(Debug)]
pub struct RcuSync {
    inner: MapHandle,
    outer: MapHandle,
}

impl RcuSync {
    /// Makes both maps.
    ///
    /// # Errors
    /// The kernel refuses them.
    pub fn new() -> Result<Self> {
        let create = |kind, options: &bpf_map_create_opts| {
            MapHandle::create(kind, Some("rcu_sync"), FD_BYTES, FD_BYTES, 1, options)
        };
        let mut options =
            bpf_map_create_opts { sz: size_of::<bpf_map_create_opts>() as _, ..Default::default() };
        let inner = create(MapType::Array, &options).context("cannot make a map")?;
        options.inner_map_fd = inner.as_fd().as_raw_fd().cast_unsigned();
        let outer = create(MapType::ArrayOfMaps, &options).context("cannot make a map of maps")?;
        Ok(Self { inner, outer })
    }

    /// Returns when every program that was at work when it was called has ended: some milliseconds.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn wait(&self) -> Result<()> {
        let inner = self.inner.as_fd().as_raw_fd().to_ne_bytes();
        self.outer
            .update(&0u32.to_ne_bytes(), &inner, MapFlags::ANY)
            .context("cannot wait for running programs")
    }
}
