//! Limits on how often something expensive can be asked for.
//!
//! A limit has a bucket for each key, such as a client's network or an account. Keys are hashed into a fixed number of
//! buckets, so memory is bounded, and a flood of made-up keys evicts nobody; two keys that meet in a bucket share it. The
//! hash has a seed, so nobody can choose whose bucket to empty.

use std::{
    hash::{DefaultHasher, Hash, Hasher as _},
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    time::{Duration, Instant},
};

use governor::{
    Quota, RateLimiter,
    clock::{self, Clock as _},
    middleware::NoOpMiddleware,
    state::keyed::HashMapStateStore,
};
use wrenn_base::{Clock, Rng};

/// Buckets of a limit; each takes some dozen bytes once it was used.
const BUCKETS: u64 = 1 << 16;
/// Refusal of another attempt.
const ATTEMPTS: &str = "too many attempts";

/// The clock of the process, for governor.
#[derive(Clone)]
struct GovernorClock(Clock);

impl clock::Clock for GovernorClock {
    type Instant = Instant;

    fn now(&self) -> Instant {
        self.0.now()
    }
}

/// The reason for which a request was not counted, and must be repeated later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{refusal}; try again in {wait_sec} s")]
pub struct TooMany {
    refusal: &'static str,
    /// Time after which a new try makes sense, in seconds.
    pub wait_sec: u64,
}

impl TooMany {
    /// Returns the error for attempts to sign in, or to do what costs as much.
    pub(crate) const fn attempts(wait: Duration) -> Self {
        Self::new(ATTEMPTS, wait)
    }

    const fn new(refusal: &'static str, wait: Duration) -> Self {
        // Rounded up: a client that waits as long is not refused again.
        Self { refusal, wait_sec: wait.as_secs() + 1 }
    }
}

type Limiter = RateLimiter<u64, HashMapStateStore<u64>, GovernorClock, NoOpMiddleware<Instant>>;

/// A limit on one kind of request.
pub(crate) struct RateLimit {
    limiter: Limiter,
    /// Beginning of the error's text.
    refusal: &'static str,
    clock: GovernorClock,
    seed: [u8; 16],
}

impl std::fmt::Debug for RateLimit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RateLimit").field("used_buckets", &self.limiter.len()).finish_non_exhaustive()
    }
}

impl RateLimit {
    /// Makes a limit: each key has `burst` requests at once, and another one after each `interval`.
    #[expect(clippy::expect_used, reason = "the constants of this file are not zero")]
    fn new(refusal: &'static str, burst: u32, interval: Duration, clock: &Clock, rng: &Rng) -> Self {
        let quota = Quota::with_period(interval).expect("an interval");
        let quota = quota.allow_burst(NonZeroU32::new(burst).expect("a burst"));
        let clock = GovernorClock(clock.clone());
        Self {
            limiter: RateLimiter::hashmap_with_clock(quota, clock.clone()),
            refusal,
            clock,
            seed: rng.bytes(),
        }
    }

    /// Counts one request.
    ///
    /// # Errors
    /// If the key must wait before its next request; nothing is counted then.
    pub(crate) fn take(&self, key: impl Hash) -> Result<(), TooMany> {
        let mut hasher = DefaultHasher::new();
        (self.seed, key).hash(&mut hasher);
        let checked = self.limiter.check_key(&(hasher.finish() % BUCKETS));
        checked.map_err(|refused| TooMany::new(self.refusal, refused.wait_time_from(self.clock.now())))
    }
}

/// The limits of everything that clients can ask for before they have signed in, or that costs mail or guesses a code.
///
/// Behind a proxy all clients share the proxy's network, so limits by network are generous for people and small only for
/// programs.
#[derive(Debug)]
pub(crate) struct RateLimits {
    /// Passwords to hash, by network: each occupies a core for a while.
    pub(crate) hashes: RateLimit,
    /// Links to open, by network.
    pub(crate) links: RateLimit,
    /// Mail to ask for, by network.
    pub(crate) mail_of_network: RateLimit,
    /// Mail to one address.
    pub(crate) mail_to_address: RateLimit,
    /// Codes of a second factor to try, by account.
    pub(crate) codes: RateLimit,
    /// Registrations and renewals of hosts, by network.
    pub(crate) hosts: RateLimit,
    /// Searches for users, by account: a person who types makes one for each letter, and nobody reads the list of all
    /// addresses quickly.
    pub(crate) searches: RateLimit,
    /// Tests of notification channels, by account: each is a request to an address of the user's choice.
    pub(crate) channel_tests: RateLimit,
}

impl RateLimits {
    pub(crate) fn new(clock: &Clock, rng: &Rng) -> Self {
        let limit = |refusal, burst, interval| RateLimit::new(refusal, burst, interval, clock, rng);
        Self {
            hashes: limit(ATTEMPTS, 50, Duration::from_millis(200)),
            links: limit(ATTEMPTS, 30, Duration::from_secs(1)),
            mail_of_network: limit("too many requests", 20, Duration::from_secs(30)),
            mail_to_address: limit("enough mail was sent to this address", 3, Duration::from_secs(10 * 60)),
            codes: limit("too many codes were tried", 10, Duration::from_secs(60)),
            hosts: limit(ATTEMPTS, 100, Duration::from_millis(200)),
            searches: limit("too many searches", 30, Duration::from_secs(1)),
            channel_tests: limit("too many tests", 10, Duration::from_secs(6)),
        }
    }
}

/// Returns an IPv4 address as it is, and the /64 network of an IPv6 address: one client has all 2⁶⁴ addresses of it.
pub(crate) fn network(address: Option<IpAddr>) -> Option<IpAddr> {
    address.map(|address| match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        v4 => v4,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_millis(200);

    #[test]
    fn a_network_may_ask_for_many_hashes_at_once_and_then_for_a_few() {
        let (clock, hand) = Clock::manual();
        let limit = RateLimit::new(ATTEMPTS, 50, INTERVAL, &clock, &Rng::seeded(1));
        let take = |address: &str| limit.take(network(Some(address.parse().unwrap())));
        for _ in 0..50 {
            assert_eq!(take("2001:db8::1"), Ok(()));
        }
        assert_eq!(take("2001:db8::2"), Err(TooMany::attempts(INTERVAL)));
        assert_eq!(take("127.0.0.1"), Ok(()));
        hand.advance(INTERVAL);
        assert_eq!(take("2001:db8::1"), Ok(()));
        assert_eq!(take("2001:db8::1"), Err(TooMany::attempts(INTERVAL)));
    }

    #[test]
    fn memory_is_bounded() {
        let limit = RateLimit::new(ATTEMPTS, 50, INTERVAL, &Clock::manual().0, &Rng::seeded(1));
        for n in 0..200_000_u32 {
            let _ = limit.take(n);
        }
        assert!(limit.limiter.len() <= BUCKETS as usize);
    }
}
