//! The frequency of the host's time stamp counter.
//!
//! A guest calibrates its TSC against the emulated interval timer, and hangs there when a busy host keeps it
//! from running at the right moment. It is therefore told the figure (`tsc_early_khz=`), measured once.

use std::time::Duration;

use wrenn_base::Clock;

/// How long the counter is watched; with a clock read in tens of nanoseconds the error is below 0.001 %.
const WINDOW: Duration = Duration::from_millis(20);

/// Measures the frequency of the time stamp counter in kHz, by a clock that runs. Blocks for 20 ms.
pub fn measure_khz(clock: &Clock) -> u64 {
    let (start, start_ticks) = (clock.now(), ticks());
    std::thread::sleep(WINDOW);
    // The two reads stand in the same order at both ends, so that what lies between them cancels out.
    let (elapsed, end_ticks) = (clock.since(start), ticks());
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
    #![allow(clippy::disallowed_methods, reason = "the counter of the processor counts in real time")]

    use super::*;

    #[test]
    fn two_measurements_agree() {
        let clock = Clock::process();
        let (first, second) = (measure_khz(&clock), measure_khz(&clock));
        assert!((500_000..10_000_000).contains(&first), "{first} kHz");
        assert!(first.abs_diff(second) < first / 500, "{first} kHz, then {second} kHz");
    }
}
