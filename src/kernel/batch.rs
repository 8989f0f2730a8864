//! Reads and takes entries of maps with calls for which libbpf-rs makes room for the value of one CPU
//! only; so this calls libbpf's own functions.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, ensure};
use libbpf_rs::{MapCore, MapHandle, num_possible_cpus};
use libbpf_sys::{bpf_map_batch_opts, bpf_map_lookup_and_delete_elem, bpf_map_lookup_batch};
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

/// Bytes that the value of a key takes: of a per-CPU map those of all CPUs, each padded to 8 bytes.
fn room_for_value(map: &MapHandle) -> Result<usize> {
    let each = map.value_size() as usize;
    if !map.map_type().is_percpu() {
        return Ok(each);
    }
    Ok(each.next_multiple_of(8) * num_possible_cpus()?)
}

/// Takes a key out of a per-CPU map (one call from 5.14 on). `values` becomes those of all CPUs, each
/// padded to 8 bytes.
///
/// # Errors
/// The key is not as long as the map's, or the kernel refuses.
pub fn take(map: &MapHandle, key: &[u8], values: &mut Vec<u8>) -> Result<Taken> {
    if MISSING.load(Ordering::Relaxed) {
        return Ok(Taken::Impossible);
    }
    ensure!(map.map_type().is_percpu() && key.len() == map.key_size() as usize, "no such key");
    values.clear();
    values.resize(room_for_value(map)?, 0);
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

/// Entries asked for at once; more where one bucket of the map has more.
const ENTRIES: usize = 512;

/// Hands over every entry of a hash map: the key, and behind it the value as [`room_for_value`] says.
/// Programs may change the map meanwhile: each entry that stays comes once.
///
/// Between two buckets that have entries the kernel runs no kprobe program on this CPU; from 6.7 on it
/// counts those among the missed.
///
/// # Errors
/// The map is no hash map, or the kernel refuses.
pub fn entries(map: &MapHandle, mut each: impl FnMut(&[u8])) -> Result<()> {
    ensure!(map.map_type().is_hash_map(), "no hash map");
    let (key_size, value_size) = (map.key_size() as usize, room_for_value(map)?);
    let most = map.max_entries() as usize;
    let mut room = ENTRIES.min(most);
    let (mut keys, mut values) = (Vec::new(), Vec::new());
    let mut entry = vec![0; key_size + value_size];
    // Where the last call ended: the kernel's number of a bucket.
    let mut place: Option<u32> = None;
    loop {
        keys.resize(room * key_size, 0);
        values.resize(room * value_size, 0);
        let mut count = u32::try_from(room)?;
        let mut next = 0_u32;
        let from = place.as_mut().map_or(ptr::null_mut(), ptr::from_mut);
        let options = bpf_map_batch_opts {
            sz: size_of::<bpf_map_batch_opts>() as u64,
            ..bpf_map_batch_opts::default()
        };
        // SAFETY: there is room for `count` keys and as many values, of every possible CPU in a per-CPU
        // map; both places are the four bytes that hash maps use. The kernel keeps no pointer.
        let failed = unsafe {
            bpf_map_lookup_batch(
                map.as_fd().as_raw_fd(),
                from.cast(),
                (&raw mut next).cast(),
                keys.as_mut_ptr().cast(),
                values.as_mut_ptr().cast(),
                &raw mut count,
                &raw const options,
            )
        };
        let error = if failed == 0 { None } else { Some(io::Error::last_os_error()) };
        let code = error.as_ref().and_then(io::Error::raw_os_error);
        if code == Some(Errno::NOSPC.raw_os_error()) && room < most {
            room = (room * 2).min(most);
            continue;
        }
        let over = code == Some(Errno::NOENT.raw_os_error());
        if let Some(error) = error.filter(|_| !over) {
            return Err(error.into());
        }
        let read = (count as usize).min(room);
        for (key, value) in
            keys.chunks_exact(key_size).zip(values.chunks_exact(value_size)).take(read)
        {
            entry[..key_size].copy_from_slice(key);
            entry[key_size..].copy_from_slice(value);
            each(&entry);
        }
        if over {
            return Ok(());
        }
        place = Some(next);
    }
}
