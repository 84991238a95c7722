//! The rules, and the keeper with a guest whose clock a test sets.

use std::time::{Duration, SystemTime};

use futures_util::{FutureExt as _, future::BoxFuture};
use parking_lot::Mutex;
use wrenn_proto::guest as wire;

use super::*;
use crate::guest::{Correction, Events, Inputs, UnixTime};

const MS: i64 = 1_000_000;

fn unix_ns(time: SystemTime) -> i64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos().try_into().unwrap()
}

/// A sample whose guest is this much behind.
fn sample(offset_ms: i64, round_trip_ms: u64) -> Sample {
    let (sent, round_trip) = (Clock::manual().0.wall(), Duration::from_millis(round_trip_ms));
    let nanoseconds = unix_ns(sent + round_trip / 2) - offset_ms * MS;
    Sample::new(sent, round_trip, UnixTime { nanoseconds })
}

#[test]
fn the_shortest_round_trip_counts() {
    let (long, short) = (sample(300, 40), sample(310, 16));
    assert_eq!((long.better(short), short.better(long)), (short, short));
    assert!(!long.is_precise() && short.is_precise());
    assert_eq!(short.to_string(), "310000 µs ± 8000 µs");
}

#[test]
fn an_offset_is_left_slewed_or_stepped() {
    let correction = |offset_ms, round_trip_ms| sample(offset_ms, round_trip_ms).correction();
    let (slew, step) = (
        |ms: i64| Some(Correction::Slew { nanoseconds: ms * MS }),
        |ms: i64| Some(Correction::Step { nanoseconds: ms * MS }),
    );
    // Within the error, or too little to matter.
    assert_eq!([correction(0, 0), correction(1, 0), correction(-4, 8), correction(300, 700)], [None; 4]);
    assert_eq!([correction(2, 0), correction(-24, 8)], [slew(2), slew(-24)]);
    assert_eq!(
        [correction(25, 8), correction(-900, 8), correction(60, 100)],
        [step(25), step(-900), step(60)]
    );
}

#[test]
fn a_check_is_certain_only_within_the_limit() {
    let outcome = |offset_ms, round_trip_ms| {
        let sample = sample(offset_ms, round_trip_ms);
        sample.outcome(sample.correction())
    };
    assert_eq!([outcome(0, 8), outcome(-20, 8), outcome(24, 48)], [Checked::Right; 3]);
    assert_eq!([outcome(1000, 8), outcome(60, 100)], [Checked::Stepped; 2]);
    assert_eq!([outcome(40, 90), outcome(1000, 102), outcome(0, 102)], [Checked::Doubtful; 3]);
}

#[test]
fn a_guest_may_say_anything() {
    let sent = Clock::manual().0.wall();
    for nanoseconds in [i64::MIN, -1, 0, i64::MAX] {
        let sample = Sample::new(sent, Duration::ZERO, UnixTime { nanoseconds });
        assert!(matches!(sample.correction(), Some(Correction::Step { .. })), "{sample}");
    }
}

#[test]
fn waits_grow_while_a_clock_is_right_and_less_while_it_is_doubtful() {
    let mut rng = Rng::seeded(1);
    let mut schedule = Schedule::default();
    let mut rests = |outcome, count| -> Vec<u64> {
        (0..count).map(|_| schedule.rest(outcome, &mut rng).as_secs()).collect()
    };
    let near = |found: Vec<u64>, expected: &[u64]| {
        let is_near =
            |(found, expected): (&u64, &u64)| (expected * 7 / 10..=expected * 12 / 10).contains(found);
        assert!(found.iter().zip(expected).all(is_near), "{found:?} is not about {expected:?}");
    };
    near(rests(Checked::Stepped, 1), &[2]);
    near(rests(Checked::Right, 9), &[4, 8, 16, 32, 64, 128, 256, 256, 256]);
    near(rests(Checked::Doubtful, 6), &[2, 4, 8, 16, 32, 32]);
    near(rests(Checked::Right, 2), &[2, 4]);
}

#[test]
fn a_long_doubt_is_reported_once() {
    let (mut doubt, begun) = (Doubt::default(), Clock::manual().0.now());
    let mut at = |outcome, seconds| doubt.note(outcome, begun + Duration::from_secs(seconds));
    assert!(!at(Checked::Doubtful, 0) && !at(Checked::Doubtful, 119));
    assert!(at(Checked::Doubtful, 120) && !at(Checked::Doubtful, 300));
    assert!(!at(Checked::Right, 301) && !at(Checked::Doubtful, 302));
    assert!(at(Checked::Doubtful, 422));
}

/// A guest that answers at once and does nothing but keep a clock.
struct ClockGuest {
    clock: Clock,
    behind_ns: Mutex<i64>,
    corrections: Mutex<Vec<Correction>>,
}

impl ClockGuest {
    fn refuse<T: Send + 'static>() -> BoxFuture<'static, Result<T, GuestError>> {
        async { Err(GuestError::Protocol("it only has a clock".into())) }.boxed()
    }
}

impl Guest for ClockGuest {
    fn clock(&self, correction: Option<Correction>) -> BoxFuture<'_, Result<UnixTime, GuestError>> {
        async move {
            let mut behind_ns = self.behind_ns.lock();
            if let Some(correction) = correction {
                let (Correction::Step { nanoseconds } | Correction::Slew { nanoseconds }) = correction;
                *behind_ns -= nanoseconds;
                self.corrections.lock().push(correction);
            }
            Ok(UnixTime { nanoseconds: unix_ns(self.clock.wall()) - *behind_ns })
        }
        .boxed()
    }

    fn hello(&self) -> BoxFuture<'_, Result<wire::HelloResponse, GuestError>> {
        Self::refuse()
    }

    fn init(&self, _: wire::InitRequest) -> BoxFuture<'_, Result<Vec<String>, GuestError>> {
        Self::refuse()
    }

    fn freeze(&self, _: Duration) -> BoxFuture<'_, Result<(), GuestError>> {
        Self::refuse()
    }

    fn thaw(&self) -> BoxFuture<'_, Result<(), GuestError>> {
        Self::refuse()
    }

    fn figures(&self) -> BoxFuture<'_, Result<wire::FiguresResponse, GuestError>> {
        Self::refuse()
    }

    fn exec(&self, _: Inputs<wire::ExecInput>) -> BoxFuture<'_, Result<Events<wire::ExecEvent>, GuestError>> {
        Self::refuse()
    }

    fn files(
        &self,
        _: Inputs<wire::FileInput>,
    ) -> BoxFuture<'_, Result<Events<wire::FileEvent>, GuestError>> {
        Self::refuse()
    }

    fn connect(
        &self,
        _: Inputs<wire::ConnectInput>,
    ) -> BoxFuture<'_, Result<Events<wire::ConnectEvent>, GuestError>> {
        Self::refuse()
    }
}

#[tokio::test]
async fn a_clock_is_corrected_at_once_again_later_and_after_it_stood_still() {
    let (clock, hand) = Clock::manual();
    let guest = Arc::new(ClockGuest {
        clock: clock.clone(),
        behind_ns: Mutex::new(700 * MS),
        corrections: Mutex::default(),
    });
    let corrected = async |count: usize| {
        while guest.corrections.lock().len() < count || hand.sleepers() == 0 {
            tokio::task::yield_now().await;
        }
        guest.corrections.lock().clone()
    };
    let time_sync = TimeSync::start(SandboxId::new(), guest.clone(), clock, Rng::seeded(1));
    let step = Correction::Step { nanoseconds: 700 * MS };
    assert_eq!(corrected(1).await, [step]);

    *guest.behind_ns.lock() = -3 * MS;
    hand.advance(Duration::from_secs(3));
    let slew = Correction::Slew { nanoseconds: -3 * MS };
    assert_eq!(corrected(2).await, [step, slew]);

    *guest.behind_ns.lock() = 80 * MS;
    time_sync.note_stood_still();
    let after_standstill = Correction::Step { nanoseconds: 80 * MS };
    assert_eq!(corrected(3).await, [step, slew, after_standstill]);

    time_sync.stop();
    while hand.sleepers() > 0 {
        tokio::task::yield_now().await;
    }
}
