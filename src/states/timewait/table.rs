//! Connections by their ends. There may be a hundred thousand.

use std::hash::BuildHasher as _;

use foldhash::HashMap;
use foldhash::fast::RandomState;

use super::names::Ends;

/// A hash table doubles when seven eighths of it are taken, and has both sizes while it does. Ten small
/// ones do so one after another; and a tenth of what the kernel allows, a power of two, takes four fifths of one.
const PARTS: usize = 10;

/// What is known of each.
#[derive(Debug)]
pub struct Table<T> {
    parts: [HashMap<Ends, T>; PARTS],
    /// Says which part; each has another one of its own.
    spread: RandomState,
    len: usize,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { parts: Default::default(), spread: RandomState::default(), len: 0 }
    }
}

impl<T> Table<T> {
    fn part(&mut self, ends: Ends) -> &mut HashMap<Ends, T> {
        let hash = self.spread.hash_one(ends);
        let parts = PARTS as u64;
        &mut self.parts[usize::try_from(hash % parts).unwrap_or(0)]
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// What is known of one.
    pub fn get_mut(&mut self, ends: Ends) -> Option<&mut T> {
        self.part(ends).get_mut(&ends)
    }

    /// Adds one that is not there.
    pub fn insert(&mut self, ends: Ends, value: T) {
        let before = self.part(ends).insert(ends, value);
        debug_assert!(before.is_none(), "its names would never be released");
        self.len += 1;
    }

    /// Takes one out.
    pub fn remove(&mut self, ends: Ends) -> Option<T> {
        let removed = self.part(ends).remove(&ends);
        self.len -= usize::from(removed.is_some());
        removed
    }

    /// Takes out those that `over` says.
    pub fn take(&mut self, over: impl Fn(&T) -> bool, mut each: impl FnMut(Ends, T)) {
        for part in &mut self.parts {
            let before = part.len();
            part.extract_if(|_, value| over(value)).for_each(|(ends, value)| each(ends, value));
            self.len -= before - part.len();
            if part.len() < part.capacity() / 4 {
                part.shrink_to(2 * part.len());
            }
        }
    }
}
