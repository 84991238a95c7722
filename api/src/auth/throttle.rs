//! Slows guessing down: failed sign-ins per address and account, in memory.

use std::{
    collections::HashMap,
    net::IpAddr,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

/// Failures after which an address must wait, per account.
const MAX_FAILURES: u32 = 10;
/// How long failures count.
const WINDOW: Duration = Duration::from_secs(5 * 60);
/// Pairs that are remembered; the oldest give way.
const MAX_ENTRIES: usize = 10_000;

type Key = (Option<IpAddr>, String);

#[derive(Debug)]
struct Entry {
    failures: u32,
    since: Instant,
}

/// Failed sign-ins of the last minutes. Lost with the process, which is harmless.
#[derive(Debug, Default)]
pub(crate) struct LoginThrottle {
    entries: Mutex<HashMap<Key, Entry>>,
}

impl LoginThrottle {
    /// How long this address must wait before it may try this account again, if it must.
    pub(crate) fn wait_for(&self, address: Option<IpAddr>, email: &str, now: Instant) -> Option<Duration> {
        let entries = self.entries.lock();
        let entry = entries.get(&key(address, email))?;
        let age = now.saturating_duration_since(entry.since);
        (entry.failures >= MAX_FAILURES && age < WINDOW).then(|| WINDOW - age)
    }

    /// Counts a failure.
    pub(crate) fn failed(&self, address: Option<IpAddr>, email: &str, now: Instant) {
        let mut entries = self.entries.lock();
        let key = key(address, email);
        if entries.len() >= MAX_ENTRIES && !entries.contains_key(&key) {
            make_room(&mut entries, now);
        }
        let entry = entries.entry(key).or_insert(Entry { failures: 0, since: now });
        if now.saturating_duration_since(entry.since) >= WINDOW {
            *entry = Entry { failures: 0, since: now };
        }
        entry.failures += 1;
    }

    /// Forgets the failures, after a success.
    pub(crate) fn succeeded(&self, address: Option<IpAddr>, email: &str) {
        self.entries.lock().remove(&key(address, email));
    }
}

fn key(address: Option<IpAddr>, email: &str) -> Key {
    (address, email.to_lowercase())
}

fn make_room(entries: &mut HashMap<Key, Entry>, now: Instant) {
    entries.retain(|_, entry| now.saturating_duration_since(entry.since) < WINDOW);
    if entries.len() >= MAX_ENTRIES {
        let oldest = entries.iter().min_by_key(|(_, entry)| entry.since).map(|(key, _)| key.clone());
        oldest.map(|oldest| entries.remove(&oldest));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMAIL: &str = "ada@example.org";

    #[test]
    fn ten_failures_close_the_door_for_five_minutes() {
        let throttle = LoginThrottle::default();
        let start = Instant::now();
        for _ in 0..MAX_FAILURES {
            assert_eq!(throttle.wait_for(None, EMAIL, start), None);
            throttle.failed(None, EMAIL, start);
        }
        assert_eq!(throttle.wait_for(None, "ADA@example.org", start), Some(WINDOW));
        assert_eq!(throttle.wait_for(None, "bob@example.org", start), None);
        assert_eq!(throttle.wait_for(Some([127, 0, 0, 1].into()), EMAIL, start), None);
        assert_eq!(throttle.wait_for(None, EMAIL, start + WINDOW), None);
    }

    #[test]
    fn a_success_forgives() {
        let throttle = LoginThrottle::default();
        let start = Instant::now();
        (0..MAX_FAILURES).for_each(|_| throttle.failed(None, EMAIL, start));
        throttle.succeeded(None, EMAIL);
        assert_eq!(throttle.wait_for(None, EMAIL, start), None);
    }

    #[test]
    fn memory_is_bounded() {
        let throttle = LoginThrottle::default();
        let start = Instant::now();
        for n in 0..MAX_ENTRIES + 5 {
            throttle.failed(None, &n.to_string(), start);
        }
        assert_eq!(throttle.entries.lock().len(), MAX_ENTRIES);
    }
}
