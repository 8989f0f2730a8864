//! Tests whether the kernel accepts fentry programs and iterators over maps, which no file shows.
//!
//! Hardened kernels refuse them with every right, and say so only when asked to load one. A
//! program of two instructions is the cheapest question. libbpf-rs cannot load bare instructions,
//! and opening and loading a whole object costs milliseconds; so this calls libbpf's own function.
//! Hand-written unsafe code is only here, in `batch` and in `wire`.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::ptr;

use libbpf_sys::{
    BPF_ALU64, BPF_EXIT, BPF_JMP, BPF_K, BPF_MOV, BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY,
    BPF_TRACE_ITER, bpf_attach_type, bpf_insn, bpf_prog_load, bpf_prog_load_opts,
};
use rustix::io::Errno;

/// Why no fentry program can be loaded; `None`: it can. `functions` are the BTF ids of some to
/// try with; one is enough, unless a function is only in BTF.
pub fn fentry_refused(functions: impl IntoIterator<Item = u32>) -> Option<String> {
    let absent = Errno::NOENT.raw_os_error();
    let error = functions
        .into_iter()
        .map(|function| load(function, BPF_TRACE_FENTRY))
        .find(|loaded| !matches!(loaded, Err(error) if error.raw_os_error() == Some(absent)))?
        .err()?;
    Some(format!("even a two-instruction fentry program is refused: {error}"))
}

/// Why no iterator over the entries of a map can be loaded; `None`: it can. `function` is the BTF id
/// of what it attaches to.
pub fn map_iterators_refused(function: u32) -> Option<String> {
    let error = load(function, BPF_TRACE_ITER).err()?;
    Some(format!("even a two-instruction iterator over a map is refused: {error}"))
}

/// Loads `return 0` as a program of a function and releases it.
fn load(function: u32, attach: bpf_attach_type) -> io::Result<()> {
    // r0 = 0, the other fields of the instructions being 0; exit.
    let codes = [BPF_ALU64 | BPF_MOV | BPF_K, BPF_JMP | BPF_EXIT];
    let program = codes.map(|code| bpf_insn { code: code.to_le_bytes()[0], ..bpf_insn::default() });
    let mut options = bpf_prog_load_opts {
        sz: size_of::<bpf_prog_load_opts>() as u64,
        expected_attach_type: attach,
        attach_btf_id: function,
        ..bpf_prog_load_opts::default()
    };
    // SAFETY: the licence ends with NUL; the count is that of the instructions; all pointers
    // outlive the call, and libbpf keeps none. A null name and null buffers mean there are none.
    let fd = unsafe {
        bpf_prog_load(
            BPF_PROG_TYPE_TRACING,
            ptr::null(),
            c"Dual MIT/GPL".as_ptr(),
            program.as_ptr(),
            program.len() as u64,
            &raw mut options,
        )
    };
    if fd < 0 {
        return Err(io::Error::from_raw_os_error(-fd));
    }
    // SAFETY: the kernel has just opened it, and nothing else owns it.
    drop(unsafe { OwnedFd::from_raw_fd(fd) });
    Ok(())
}
