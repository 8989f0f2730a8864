//! Values that many entries have in common.

use std::hash::Hash;

use foldhash::{HashMap, HashMapExt as _};

/// Each value once, as long as an entry uses it; four bytes stand for it.
#[derive(Debug)]
pub struct Shared<T> {
    numbers: HashMap<T, u32>,
    /// By number, with its users; none where the number is free.
    values: Vec<(T, u32)>,
    free: Vec<u32>,
}

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self { numbers: HashMap::new(), values: Vec::new(), free: Vec::new() }
    }
}

impl<T: Copy + Eq + Hash> Shared<T> {
    /// The number of a value that some entry uses.
    pub fn number(&self, value: &T) -> Option<u32> {
        self.numbers.get(value).copied()
    }

    /// The number of a value that one more entry uses.
    pub fn acquire(&mut self, value: T) -> u32 {
        if let Some(number) = self.number(&value) {
            self.values[number as usize].1 += 1;
            return number;
        }
        let number = self.free.pop().unwrap_or_else(|| {
            self.values.push((value, 0));
            u32::try_from(self.values.len() - 1).expect("fewer values than entries")
        });
        self.values[number as usize] = (value, 1);
        self.numbers.insert(value, number);
        number
    }

    /// One more entry uses a value.
    pub fn share(&mut self, number: u32) {
        self.values[number as usize].1 += 1;
    }

    /// The value that one entry uses no longer.
    pub fn release(&mut self, number: u32) -> T {
        let (value, users) = &mut self.values[number as usize];
        *users -= 1;
        let (value, users) = (*value, *users);
        if users == 0 {
            self.numbers.remove(&value);
            self.free.push(number);
            if self.numbers.is_empty() {
                *self = Self::default();
            }
        }
        value
    }

    /// Whether no entry uses any.
    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_kept_once_and_as_long_as_it_is_used() {
        let mut shared = Shared::default();
        let [a, b] = ["a", "b"].map(|value| shared.acquire(value));
        assert_ne!(a, b);
        shared.share(a);
        assert_eq!(shared.number(&"a"), Some(a));
        assert_eq!(shared.release(a), "a");
        assert_eq!(shared.number(&"a"), Some(a));
        assert_eq!(shared.release(a), "a");
        assert_eq!(shared.number(&"a"), None);
        assert_eq!((shared.acquire("c"), shared.release(b)), (a, "b"));
        assert_eq!(shared.values.len(), 2);
    }
}
