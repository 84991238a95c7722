//! The frequency of the host's time stamp counter.
//!
//! A guest calibrates its TSC against the emulated interval timer, and hangs there when a busy host keeps it
//! from running at the right moment. It is therefore told the figure (`tsc_early_khz=`), measured once.

use std::{
    sync::OnceLock,
    time::{Duration, Instant},
};

/// How long the counter is watched; with a clock read in tens of nanoseconds the error is below 0.001 %.
const WINDOW: Duration = Duration::from_millis(20);

/// Frequency of the time stamp counter in kHz; the first call takes 20 ms, and blocks.
pub fn frequency_khz() -> u64 {
    static FREQUENCY_KHZ: OnceLock<u64> = OnceLock::new();
    *FREQUENCY_KHZ.get_or_init(measure_khz)
}

fn measure_khz() -> u64 {
    let (start, start_ticks) = (Instant::now(), ticks());
    std::thread::sleep(WINDOW);
    // The two reads stand in the same order at both ends, so that what lies between them cancels out.
    let (elapsed, end_ticks) = (start.elapsed(), ticks());
    let khz = u128::from(end_ticks.wrapping_sub(start_ticks)) * 1_000_000 / elapsed.as_nanos().max(1);
    u64::try_from(khz).unwrap_or(u64::MAX)
}

#[expect(unsafe_code, reason = "the counter can only be read through an intrinsic")]
fn ticks() -> u64 {
    // SAFETY: `rdtsc` exists on every x86-64 processor and touches nothing but its result.
    unsafe { std::arch::x86_64::_rdtsc() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_measurements_agree() {
        let (first, second) = (measure_khz(), measure_khz());
        assert!((500_000..10_000_000).contains(&first), "{first} kHz");
        assert!(first.abs_diff(second) < first / 500, "{first} kHz, then {second} kHz");
    }
}
