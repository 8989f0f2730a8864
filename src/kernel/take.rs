//! Takes an entry out of a per-CPU hash with one call where the kernel has it (5.14 and newer).
//!
//! libbpf-rs makes room for the value of one CPU in this call, so this calls libbpf's own function.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, ensure};
use libbpf_rs::{MapCore, MapHandle, num_possible_cpus};
use libbpf_sys::bpf_map_lookup_and_delete_elem;
use rustix::io::Errno;

/// What the kernel calls an operation that a map does not have; no errno of user space.
const NOT_SUPPORTED: i32 = 524;

/// The kernel has said so: there may be ten thousands of keys to ask for.
static MISSING: AtomicBool = AtomicBool::new(false);

/// What came of it.
#[derive(Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is out; the values are those of all CPUs.
    Out,
    /// There is no such key.
    Absent,
    /// The kernel has no such call for this map.
    Impossible,
}

/// Takes a key out of a per-CPU map. `values` becomes those of all CPUs, each padded to 8 bytes.
///
/// # Errors
/// The key is not as long as the map's, or the kernel refuses.
pub fn take(map: &MapHandle, key: &[u8], values: &mut Vec<u8>) -> Result<Taken> {
    if MISSING.load(Ordering::Relaxed) {
        return Ok(Taken::Impossible);
    }
    ensure!(map.map_type().is_percpu() && key.len() == map.key_size() as usize, "no such key");
    let each = (map.value_size() as usize).next_multiple_of(8);
    values.clear();
    values.resize(each * num_possible_cpus()?, 0);
    // SAFETY: the key is as long as the map's keys, and there is room for a padded value of every
    // possible CPU, which is what the kernel writes for a per-CPU map. It keeps neither pointer.
    let failed = unsafe {
        let (fd, to) = (map.as_fd().as_raw_fd(), values.as_mut_ptr());
        bpf_map_lookup_and_delete_elem(fd, key.as_ptr().cast(), to.cast())
    };
    if failed == 0 {
        return Ok(Taken::Out);
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(NOT_SUPPORTED) => {
            MISSING.store(true, Ordering::Relaxed);
            Ok(Taken::Impossible)
        }
        code if code == Some(Errno::NOENT.raw_os_error()) => Ok(Taken::Absent),
        code if code == Some(Errno::INVAL.raw_os_error()) => Ok(Taken::Impossible),
        _ => Err(error.into()),
    }
}
