//! Bounds on connections, so that nobody takes the places of others.

use std::{collections::HashMap, hash::Hash, sync::Arc};

use parking_lot::Mutex;

/// Places for connections: so many in all, and so many for each key, such as a network or a host.
#[derive(Debug, Clone)]
pub(super) struct Crowd<K> {
    counts: Arc<Mutex<Counts<K>>>,
    limit: u32,
    limit_per_key: u32,
}

#[derive(Debug)]
struct Counts<K> {
    all: u32,
    by_key: HashMap<K, u32>,
}

/// A place that is taken until it is dropped.
#[derive(Debug)]
pub(super) struct Place<K: Eq + Hash> {
    counts: Arc<Mutex<Counts<K>>>,
    key: Option<K>,
}

impl<K: Eq + Hash + Clone> Crowd<K> {
    pub(super) fn new(limit: u32, limit_per_key: u32) -> Self {
        let counts = Counts { all: 0, by_key: HashMap::new() };
        Self { counts: Arc::new(Mutex::new(counts)), limit, limit_per_key }
    }

    /// Takes a place, if one is free in all and for the key. Without a key only the number in all counts.
    pub(super) fn enter(&self, key: Option<K>) -> Option<Place<K>> {
        let mut counts = self.counts.lock();
        if counts.all >= self.limit {
            return None;
        }
        if let Some(key) = &key {
            let of_key = counts.by_key.entry(key.clone()).or_default();
            if *of_key >= self.limit_per_key {
                return None;
            }
            *of_key += 1;
        }
        counts.all += 1;
        Some(Place { counts: self.counts.clone(), key })
    }
}

impl<K: Eq + Hash> Drop for Place<K> {
    fn drop(&mut self) {
        let mut counts = self.counts.lock();
        counts.all -= 1;
        if let Some(key) = &self.key
            && let Some(of_key) = counts.by_key.get_mut(key)
        {
            *of_key -= 1;
            if *of_key == 0 {
                counts.by_key.remove(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_for_each_key_and_in_all_and_come_back() {
        let crowd = Crowd::new(3, 2);
        let (first, second) = (crowd.enter(Some("a")), crowd.enter(Some("a")));
        assert!(first.is_some() && second.is_some());
        assert!(crowd.enter(Some("a")).is_none());
        let third = crowd.enter(None);
        assert!(third.is_some());
        assert!(crowd.enter(Some("b")).is_none(), "all places are taken");
        drop((first, third));
        assert!(crowd.enter(Some("a")).is_some());
        drop(second);
        let counts = crowd.counts.lock();
        assert_eq!((counts.all, counts.by_key.len()), (0, 0));
    }
}
