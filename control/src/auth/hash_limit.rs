//! Limits the rate at which one client address can have passwords hashed; each hash occupies a core for a while.
//!
//! A leaky bucket per address, which sign-up and sign-in share. Behind a proxy all clients share the proxy's bucket, so
//! its size is generous for people and small only for programs.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    time::{Duration, Instant},
};

use parking_lot::Mutex;

/// Hashes that an address may request at once.
const BURST: u32 = 50;
/// Interval after which an address may request another hash.
const INTERVAL: Duration = Duration::from_millis(200);
/// Maximum number of buckets; the emptiest is evicted first.
const MAX_ENTRIES: usize = 10_000;

/// Buckets by address, each as the time at which it will be empty.
#[derive(Debug, Default)]
pub(crate) struct HashLimit {
    empty_at: Mutex<HashMap<Option<IpAddr>, Instant>>,
}

impl HashLimit {
    /// Counts one hash.
    ///
    /// # Errors
    /// The time that the address must wait before its next hash; nothing is counted then.
    pub(crate) fn take(&self, address: Option<IpAddr>, now: Instant) -> Result<(), Duration> {
        let mut empty_at = self.empty_at.lock();
        let address = address.map(network);
        if empty_at.len() >= MAX_ENTRIES && !empty_at.contains_key(&address) {
            make_room(&mut empty_at, now);
        }
        let entry = empty_at.entry(address).or_insert(now);
        let filled = (*entry).max(now) + INTERVAL;
        let excess = filled.saturating_duration_since(now).saturating_sub(BURST * INTERVAL);
        if !excess.is_zero() {
            return Err(excess);
        }
        *entry = filled;
        Ok(())
    }
}

/// Returns an IPv4 address as it is, and the /64 network of an IPv6 address: one client has all 2⁶⁴ addresses of it.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        v4 => v4,
    }
}

fn make_room(empty_at: &mut HashMap<Option<IpAddr>, Instant>, now: Instant) {
    empty_at.retain(|_, empty_at| *empty_at > now);
    if empty_at.len() >= MAX_ENTRIES {
        let emptiest = empty_at.iter().min_by_key(|(_, empty_at)| **empty_at).map(|(address, _)| *address);
        emptiest.map(|address| empty_at.remove(&address));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_ask_for_many_hashes_at_once_and_then_for_a_few() {
        let limit = HashLimit::default();
        let start = Instant::now();
        let one = Some("2001:db8::1".parse().unwrap());
        let neighbour = Some("2001:db8::2".parse().unwrap());
        for _ in 0..BURST {
            assert_eq!(limit.take(one, start), Ok(()));
        }
        assert_eq!(limit.take(neighbour, start), Err(INTERVAL));
        assert_eq!(limit.take(Some([127, 0, 0, 1].into()), start), Ok(()));
        assert_eq!(limit.take(one, start + INTERVAL), Ok(()));
        assert_eq!(limit.take(one, start + INTERVAL), Err(INTERVAL));
    }

    #[test]
    fn memory_is_bounded() {
        let limit = HashLimit::default();
        let start = Instant::now();
        for n in 0..10_005_u32 {
            assert_eq!(limit.take(Some(IpAddr::V4(n.into())), start), Ok(()));
        }
        assert_eq!(limit.empty_at.lock().len(), MAX_ENTRIES);
    }
}
