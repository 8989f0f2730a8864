//! Maps of a key or two, of which there are many.

/// Values by number, sorted. Of most there is one, for which a hash map would take five times the memory.
#[derive(Debug, Clone)]
pub struct Few<V>(Vec<(u32, V)>);

impl<V> Default for Few<V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<V: Default> Few<V> {
    /// The value of a key, which it has from now on.
    pub fn at(&mut self, key: u32) -> &mut V {
        let place = self.0.binary_search_by_key(&key, |(one, _)| *one).unwrap_or_else(|place| {
            if self.0.is_empty() {
                self.0.reserve_exact(1);
            }
            self.0.insert(place, (key, V::default()));
            place
        });
        &mut self.0[place].1
    }
}

impl<V> Few<V> {
    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &V)> {
        self.0.iter().map(|(key, value)| (*key, value))
    }

    /// Their keys.
    pub fn keys(&self) -> impl Iterator<Item = u32> {
        self.0.iter().map(|(key, _)| *key)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_sorted_and_each_is_there_once() {
        let mut few = Few::<u64>::default();
        for key in [7, 3, 9, 3, 7] {
            *few.at(key) += 1;
        }
        let all: Vec<_> = few.iter().map(|(key, count)| (key, *count)).collect();
        assert_eq!((all, few.len()), (vec![(3, 2), (7, 2), (9, 1)], 3));
    }
}
