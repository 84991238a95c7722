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
/// How long to wait when it is attempts under way that leave no room for another.
const UNDER_WAY_WAIT: Duration = Duration::from_secs(1);
/// Pairs that are remembered; the oldest give way.
const MAX_ENTRIES: usize = 10_000;

type Key = (Option<IpAddr>, String);

#[derive(Debug)]
struct Entry {
    failures: u32,
    /// Attempts that may yet fail.
    under_way: u32,
    since: Instant,
}

/// Failed sign-ins of the last minutes. Lost with the process, which is harmless.
#[derive(Debug, Default)]
pub(crate) struct LoginThrottle {
    entries: Mutex<HashMap<Key, Entry>>,
}

/// A sign-in under way. One that is dropped ended for another reason than its password and counts no more.
#[derive(Debug)]
#[must_use = "an attempt counts as long as it lives"]
pub(crate) struct Attempt<'a> {
    throttle: &'a LoginThrottle,
    key: Key,
}

impl LoginThrottle {
    /// Begins an attempt. There are never more under way than may fail, so that many at the same time are no
    /// way around the limit.
    ///
    /// # Errors
    /// How long this address must wait before it may try this account again; the attempt is not counted.
    pub(crate) fn begin(
        &self,
        address: Option<IpAddr>,
        email: &str,
        now: Instant,
    ) -> Result<Attempt<'_>, Duration> {
        let mut entries = self.entries.lock();
        let key = key(address, email);
        if entries.len() >= MAX_ENTRIES && !entries.contains_key(&key) {
            make_room(&mut entries, now);
        }
        let entry = entries.entry(key.clone()).or_insert(Entry { failures: 0, under_way: 0, since: now });
        let age = now.saturating_duration_since(entry.since);
        if age >= WINDOW {
            (entry.failures, entry.since) = (0, now);
        } else if entry.failures >= MAX_FAILURES {
            return Err(WINDOW - age);
        }
        if entry.failures + entry.under_way >= MAX_FAILURES {
            return Err(UNDER_WAY_WAIT);
        }
        entry.under_way += 1;
        Ok(Attempt { throttle: self, key })
    }
}

impl Attempt<'_> {
    /// Counts it: the password was wrong.
    pub(crate) fn failed(self) {
        if let Some(entry) = self.throttle.entries.lock().get_mut(&self.key) {
            entry.failures += 1;
        }
    }

    /// Forgets the failures before it: the password was right.
    pub(crate) fn succeeded(self) {
        if let Some(entry) = self.throttle.entries.lock().get_mut(&self.key) {
            entry.failures = 0;
        }
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let mut entries = self.throttle.entries.lock();
        // It may have given way to others meanwhile.
        let Some(entry) = entries.get_mut(&self.key) else { return };
        entry.under_way = entry.under_way.saturating_sub(1);
        if entry.failures == 0 && entry.under_way == 0 {
            entries.remove(&self.key);
        }
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

    fn fail(throttle: &LoginThrottle, email: &str, now: Instant) -> Result<(), Duration> {
        throttle.begin(None, email, now).map(Attempt::failed)
    }

    #[test]
    fn ten_failures_close_the_door_for_five_minutes() {
        let throttle = LoginThrottle::default();
        let start = Instant::now();
        for _ in 0..MAX_FAILURES {
            assert_eq!(fail(&throttle, EMAIL, start), Ok(()));
        }
        assert_eq!(fail(&throttle, "ADA@example.org", start), Err(WINDOW));
        assert_eq!(fail(&throttle, "bob@example.org", start), Ok(()));
        assert!(throttle.begin(Some([127, 0, 0, 1].into()), EMAIL, start).is_ok());
        assert_eq!(fail(&throttle, EMAIL, start + WINDOW), Ok(()));
    }

    #[test]
    fn many_attempts_at_once_are_no_way_around_the_limit_and_count_only_if_they_fail() {
        let throttle = LoginThrottle::default();
        let start = Instant::now();
        let begin = || throttle.begin(None, EMAIL, start);
        let attempts: Vec<_> = (0..MAX_FAILURES).map(|_| begin().unwrap()).collect();
        assert_eq!(begin().err(), Some(UNDER_WAY_WAIT));
        drop(attempts);
        assert!(throttle.entries.lock().is_empty());
        assert!(begin().is_ok());
    }

    #[test]
    fn a_success_forgives() {
        let throttle = LoginThrottle::default();
        let start = Instant::now();
        for _ in 1..MAX_FAILURES {
            assert_eq!(fail(&throttle, EMAIL, start), Ok(()));
        }
        throttle.begin(None, EMAIL, start).unwrap().succeeded();
        assert_eq!(fail(&throttle, EMAIL, start), Ok(()));
        assert_eq!(fail(&throttle, EMAIL, start), Ok(()));
    }

    #[test]
    fn memory_is_bounded() {
        let throttle = LoginThrottle::default();
        let start = Instant::now();
        for n in 0..MAX_ENTRIES + 5 {
            assert_eq!(fail(&throttle, &n.to_string(), start), Ok(()));
        }
        assert_eq!(throttle.entries.lock().len(), MAX_ENTRIES);
    }
}
