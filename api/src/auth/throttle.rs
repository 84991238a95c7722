//! Slows guessing down: failed sign-ins per address and account, in memory.

use std::{
    collections::HashMap,
    net::IpAddr,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use crate::account::MAX_EMAIL;

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
    /// Counts an attempt as failed until [`succeeded`](Self::succeeded) says otherwise, so that many at the
    /// same time are no way around the limit.
    ///
    /// # Errors
    /// How long this address must wait before it may try this account again; the attempt is not counted.
    pub(crate) fn begin(&self, address: Option<IpAddr>, email: &str, now: Instant) -> Result<(), Duration> {
        let mut entries = self.entries.lock();
        let key = key(address, email);
        if entries.len() >= MAX_ENTRIES && !entries.contains_key(&key) {
            make_room(&mut entries, now);
        }
        let entry = entries.entry(key).or_insert(Entry { failures: 0, since: now });
        let age = now.saturating_duration_since(entry.since);
        if age >= WINDOW {
            *entry = Entry { failures: 0, since: now };
        } else if entry.failures >= MAX_FAILURES {
            return Err(WINDOW - age);
        }
        entry.failures += 1;
        Ok(())
    }

    /// Forgets the failures, after a success.
    pub(crate) fn succeeded(&self, address: Option<IpAddr>, email: &str) {
        self.entries.lock().remove(&key(address, email));
    }
}

/// An address that is too long to be one counts by its beginning.
fn key(address: Option<IpAddr>, email: &str) -> Key {
    (address, email.chars().take(MAX_EMAIL).flat_map(char::to_lowercase).collect())
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
            assert_eq!(throttle.begin(None, EMAIL, start), Ok(()));
        }
        assert_eq!(throttle.begin(None, "ADA@example.org", start), Err(WINDOW));
        assert_eq!(throttle.begin(None, "bob@example.org", start), Ok(()));
        assert_eq!(throttle.begin(Some([127, 0, 0, 1].into()), EMAIL, start), Ok(()));
        assert_eq!(throttle.begin(None, EMAIL, start + WINDOW), Ok(()));
    }

    #[test]
    fn a_success_forgives() {
        let throttle = LoginThrottle::default();
        let start = Instant::now();
        for _ in 0..MAX_FAILURES {
            assert_eq!(throttle.begin(None, EMAIL, start), Ok(()));
        }
        throttle.succeeded(None, EMAIL);
        assert_eq!(throttle.begin(None, EMAIL, start), Ok(()));
    }

    #[test]
    fn memory_is_bounded() {
        let throttle = LoginThrottle::default();
        let start = Instant::now();
        for n in 0..MAX_ENTRIES + 5 {
            assert_eq!(throttle.begin(None, &n.to_string(), start), Ok(()));
        }
        assert_eq!(throttle.entries.lock().len(), MAX_ENTRIES);
    }
}
