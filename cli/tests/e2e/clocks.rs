//! The clocks of a capsule: the wall clock is the host's, the monotonic one goes on where it stopped.

use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, ensure};
use tokio::time::sleep;

use crate::installation::{Capsule, Installation};

/// Greatest distance of a capsule's wall clock, as `docs/capsule.md` promises it.
const LIMIT: Duration = Duration::from_millis(50);
/// Commands of which the shortest counts.
const SAMPLES: usize = 8;
/// Longest time after a start or a resume until the clock is right.
const SETTLING: Duration = Duration::from_secs(5);
/// Length of the pause, far above what a command takes.
const PAUSE: Duration = Duration::from_secs(6);
/// Longest time until the next check of a capsule that was started some seconds ago; several times that.
const NEXT_CHECK: Duration = Duration::from_secs(60);

/// Offset of a capsule's wall clock, with the error of its measurement.
#[derive(Debug, Clone, Copy)]
struct Offset {
    seconds: f64,
    error: Duration,
}

impl Offset {
    /// Measures it by one command: the capsule read its clock between request and answer.
    async fn sample(capsule: &Capsule<'_>) -> anyhow::Result<Self> {
        let (sent, begun) = (SystemTime::now(), Instant::now());
        let printed: f64 = capsule.shell("date +%s.%N").await?.trim().parse().context("a time")?;
        let error = begun.elapsed() / 2;
        let middle = sent.duration_since(SystemTime::UNIX_EPOCH)? + error;
        Ok(Self { seconds: printed - middle.as_secs_f64(), error })
    }

    async fn measure(capsule: &Capsule<'_>) -> anyhow::Result<Self> {
        let mut best = Self::sample(capsule).await?;
        for _ in 1..SAMPLES {
            let sample = Self::sample(capsule).await?;
            if sample.error < best.error {
                best = sample;
            }
        }
        Ok(best)
    }

    fn is_within_limit(self) -> bool {
        self.seconds.abs() <= (LIMIT + self.error).as_secs_f64()
    }
}

async fn ensure_right(capsule: &Capsule<'_>, when: &str, limit: Duration) -> anyhow::Result<()> {
    let begun = Instant::now();
    let mut offset = Offset::measure(capsule).await?;
    while !offset.is_within_limit() && begun.elapsed() < limit {
        offset = Offset::measure(capsule).await?;
    }
    eprintln!("{when}: {offset:?} after {:?}", begun.elapsed());
    ensure!(offset.is_within_limit(), "{when} its clock is {offset:?} from the host's");
    Ok(())
}

/// Seconds of the monotonic and of the boot-time clock.
async fn monotonic(capsule: &Capsule<'_>) -> anyhow::Result<[f64; 2]> {
    let read = "import time; print(time.monotonic(), time.clock_gettime(time.CLOCK_BOOTTIME))";
    let printed = capsule.shell(&format!("python3 -c '{read}'")).await?;
    let (one, other) = printed.trim().split_once(' ').context("two numbers")?;
    Ok([one.parse()?, other.parse()?])
}

pub(crate) async fn are_the_hosts(installation: &Installation) -> anyhow::Result<()> {
    let capsule = installation.capsule().await?;
    ensure_right(&capsule, "after its creation", SETTLING).await?;

    let begun = Instant::now();
    let before = monotonic(&capsule).await?;
    capsule.pause().await?;
    sleep(PAUSE).await;
    capsule.resume().await?;
    ensure_right(&capsule, "after a pause", SETTLING).await?;
    let after = monotonic(&capsule).await?;
    let ran_most = (begun.elapsed() - PAUSE).as_secs_f64();
    for (before, after) in before.into_iter().zip(after) {
        let passed = after - before;
        ensure!((0.0..=ran_most).contains(&passed), "a monotonic clock went on by {passed} s in a pause");
    }

    // Set by a program while it runs, the clock is corrected at the next check.
    let set = capsule.shell("date -s @1000000000 +%s").await?;
    ensure!(set == "1000000000\n", "the clock cannot be set: {set}");
    ensure_right(&capsule, "after it was set by a program", NEXT_CHECK).await?;

    let made = capsule.snapshot("e2e-clock", "snapshot").await?;
    ensure!(made.status == 201, "{made:?}");
    ensure_right(&capsule, "after a template was made of it", SETTLING).await?;
    let copy = installation.capsule_of("e2e-clock").await?;
    ensure_right(&copy, "as a capsule of a snapshot", SETTLING).await?;
    copy.delete().await?;
    capsule.delete().await?;
    let deleted = installation.client()?.delete("/v1/snapshots/e2e-clock").await?;
    ensure!(deleted.status == 204, "{deleted:?}");
    Ok(())
}
