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
            let Some(thread) = thread_of(&key) else { continue };
            if !fs::exists(format!("/proc/{thread}")).unwrap_or(true) {
                self.map.delete(&key)?;
                self.gone += 1;
            }
        }
        Ok(self.gone)
    }

    /// The same, with calls of sleeping threads whose kernel stack has none of the `functions` any
    /// more. Only root may read stacks. It takes longer, and must come before programs are detached.
    ///
    /// # Errors
    /// Those of [`Calls::gone`].
    pub fn gone_or_over(&mut self, functions: &[&str]) -> Result<u64> {
        self.gone()?;
        for key in self.map.keys().filter(|_| self.sees_threads) {
            let over = thread_of(&key).is_some_and(|thread| sleeps_outside(thread, functions));
            // A call that returns meanwhile has left.
            if over && self.map.delete(&key).is_ok() {
                self.gone += 1;
            }
        }
        Ok(self.gone)
    }
}

/// The kernel's pid is the thread, its tgid the process.
fn thread_of(key: &[u8]) -> Option<u32> {
    key.first_chunk().map(|low| u32::from_ne_bytes(*low))
}

/// A running thread has no stack to read.
fn sleeps_outside(thread: u32, functions: &[&str]) -> bool {
    let read = |name| fs::read_to_string(format!("/proc/{thread}/{name}")).unwrap_or_default();
    // The name before the state may have any characters.
    read("stat").rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('S'))
        && is_outside(&read("stack"), functions)
}

/// Whether a stack, as in /proc/PID/stack, is readable and has none of the functions.
fn is_outside(stack: &str, functions: &[&str]) -> bool {
    // [<0>] tcp_recvmsg+0x5c/0x1c0
    let names = stack.lines().filter_map(|line| line.split_once("] ")?.1.split('+').next());
    !stack.is_empty() && !names.into_iter().any(|name| functions.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_shows_whether_a_call_is_over() {
        let waiting = "[<0>] sk_wait_data+0x15a/0x190\n[<0>] tcp_recvmsg_locked+0x2f4/0x9a0\n\
                       [<0>] tcp_recvmsg+0x5c/0x1c0\n[<0>] do_syscall_64+0x3c/0x90\n";
        let polling = "[<0>] ep_poll+0x2c8/0x3a0\n[<0>] do_syscall_64+0x3c/0x90\n";
        let functions = ["tcp_sendmsg", "tcp_recvmsg"];
        assert!(!is_outside(waiting, &functions));
        assert!(is_outside(polling, &functions));
        // Not readable, which says nothing.
        assert!(!is_outside("", &functions));
    }
}
