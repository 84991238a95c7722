//! Throttles password guessing: counts failed sign-ins per client address and account, in memory.

use std::{
    collections::HashMap,
    net::IpAddr,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use wrenn_domain::limits::MAX_EMAIL_BYTES;

use super::{
    password::{PasswordError, Passwords},
    rate_limit::TooMany,
};

/// Failures after which an address must wait, per account.
const MAX_FAILURES: u32 = 10;
/// Period for which failures count.
const WINDOW: Duration = Duration::from_secs(5 * 60);
/// Time to wait if the attempts in flight use up the limit.
const IN_FLIGHT_WAIT: Duration = Duration::from_secs(1);
/// Maximum number of entries; the oldest is evicted first.
const MAX_ENTRIES: usize = 10_000;

type Key = (Option<IpAddr>, String);

#[derive(Debug)]
struct Entry {
    failures: u32,
    /// Attempts that have not ended, and may fail.
    in_flight: u32,
    since: Instant,
}

/// Failed sign-ins of the last minutes. A restart of the process clears them, which is harmless.
#[derive(Debug, Default)]
pub(crate) struct LoginThrottle {
    entries: Mutex<HashMap<Key, Entry>>,
}

/// A sign-in in flight. If it is dropped without an outcome, it ended for another reason than its password, and does not
/// count.
#[derive(Debug)]
#[must_use = "an attempt counts as long as it lives"]
pub(crate) struct Attempt<'a> {
    throttle: &'a LoginThrottle,
    key: Key,
}

impl LoginThrottle {
    /// Begins an attempt. Attempts in flight count against the limit, so that concurrent ones cannot bypass it.
    ///
    /// # Errors
    /// If the address must wait before its next attempt at this account; this attempt is not counted.
    pub(crate) fn begin(
        &self,
        address: Option<IpAddr>,
        email: &str,
        now: Instant,
    ) -> Result<Attempt<'_>, TooMany> {
        let mut entries = self.entries.lock();
        let key = key(address, email);
        if entries.len() >= MAX_ENTRIES && !entries.contains_key(&key) {
            make_room(&mut entries, now);
        }
        let entry = entries.entry(key.clone()).or_insert(Entry { failures: 0, in_flight: 0, since: now });
        let age = now.saturating_duration_since(entry.since);
        if age >= WINDOW {
            (entry.failures, entry.since) = (0, now);
        } else if entry.failures >= MAX_FAILURES {
            return Err(TooMany::attempts(WINDOW - age));
        }
        if entry.failures + entry.in_flight >= MAX_FAILURES {
            return Err(TooMany::attempts(IN_FLIGHT_WAIT));
        }
        entry.in_flight += 1;
        Ok(Attempt { throttle: self, key })
    }
}

impl Attempt<'_> {
    /// Ends the attempt with a comparison of the password; returns true if it matches the stored hash.
    pub(crate) async fn verify(
        self,
        passwords: &Passwords,
        password: String,
        stored: Option<String>,
    ) -> Result<bool, PasswordError> {
        let matches = passwords.verify(password, stored).await?;
        if matches {
            self.succeeded();
        } else {
            self.failed();
        }
        Ok(matches)
    }

    /// Counts a failure: the password was wrong.
    pub(crate) fn failed(self) {
        if let Some(entry) = self.throttle.entries.lock().get_mut(&self.key) {
            entry.failures += 1;
        }
    }

    /// Clears earlier failures: the password was right.
    pub(crate) fn succeeded(self) {
        if let Some(entry) = self.throttle.entries.lock().get_mut(&self.key) {
            entry.failures = 0;
        }
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let mut entries = self.throttle.entries.lock();
        // The entry may have been evicted meanwhile.
        let Some(entry) = entries.get_mut(&self.key) else { return };
        entry.in_flight = entry.in_flight.saturating_sub(1);
        if entry.failures == 0 && entry.in_flight == 0 {
            entries.remove(&self.key);
        }
    }
}

/// Returns the key of an entry. An email address that is too long is truncated.
fn key(address: Option<IpAddr>, email: &str) -> Key {
    (address, email.chars().take(MAX_EMAIL_BYTES).flat_map(char::to_lowercase).collect())
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
    use wrenn_base::Clock;

    use super::*;

    const EMAIL: &str = "ada@example.org";

    fn fail(throttle: &LoginThrottle, email: &str, now: Instant) -> Result<(), TooMany> {
        throttle.begin(None, email, now).map(Attempt::failed)
    }

    #[test]
    fn ten_failures_close_the_door_for_five_minutes() {
        let throttle = LoginThrottle::default();
        let start = Clock::manual().0.now();
        for _ in 0..MAX_FAILURES {
            assert_eq!(fail(&throttle, EMAIL, start), Ok(()));
        }
        assert_eq!(fail(&throttle, "ADA@example.org", start), Err(TooMany::attempts(WINDOW)));
        assert_eq!(fail(&throttle, "bob@example.org", start), Ok(()));
        assert!(throttle.begin(Some([127, 0, 0, 1].into()), EMAIL, start).is_ok());
        assert_eq!(fail(&throttle, EMAIL, start + WINDOW), Ok(()));
    }

    #[test]
    fn many_attempts_at_once_are_no_way_around_the_limit_and_count_only_if_they_fail() {
        let throttle = LoginThrottle::default();
        let start = Clock::manual().0.now();
        let begin = || throttle.begin(None, EMAIL, start);
        let attempts: Vec<_> = (0..MAX_FAILURES).map(|_| begin().unwrap()).collect();
        assert_eq!(begin().err(), Some(TooMany::attempts(IN_FLIGHT_WAIT)));
        drop(attempts);
        assert!(throttle.entries.lock().is_empty());
        assert!(begin().is_ok());
    }

    #[test]
    fn a_success_forgives() {
        let throttle = LoginThrottle::default();
        let start = Clock::manual().0.now();
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
        let start = Clock::manual().0.now();
        for n in 0..MAX_ENTRIES + 5 {
            assert_eq!(fail(&throttle, &n.to_string(), start), Ok(()));
        }
        assert_eq!(throttle.entries.lock().len(), MAX_ENTRIES);
    }
}
