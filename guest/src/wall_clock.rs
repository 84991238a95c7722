//! The wall clock of the machine, which the host sets and corrects. The monotonic clocks are not touched.

use std::io;

use nix::{
    sys::time::TimeSpec,
    time::{ClockId, clock_gettime, clock_settime},
};

use crate::sys;

const SECOND_NS: i64 = 1_000_000_000;

/// Returns the time of day, in nanoseconds since the Unix epoch.
///
/// # Errors
/// Those of the kernel.
pub fn read() -> io::Result<i64> {
    let now = clock_gettime(ClockId::CLOCK_REALTIME)?;
    Ok(now.tv_sec().saturating_mul(SECOND_NS).saturating_add(now.tv_nsec()))
}

/// Sets the time of day, in nanoseconds since the Unix epoch.
///
/// # Errors
/// Those of the kernel; `EINVAL` for a time that it cannot have.
pub fn set(unix_time_ns: i64) -> io::Result<()> {
    let time = TimeSpec::new(unix_time_ns.div_euclid(SECOND_NS), unix_time_ns.rem_euclid(SECOND_NS));
    Ok(clock_settime(ClockId::CLOCK_REALTIME, time)?)
}

/// Moves the time of day at once. What is left of a slew is dropped: the offset was measured with it.
///
/// # Errors
/// Those of the kernel; `EINVAL` for a time that it cannot have.
pub fn step(offset_ns: i64) -> io::Result<()> {
    sys::slew_clock(0)?;
    sys::step_clock(offset_ns.div_euclid(SECOND_NS), offset_ns.rem_euclid(SECOND_NS))
}

/// Moves the time of day little by little, half a millisecond a second.
///
/// # Errors
/// Those of the kernel.
pub fn slew(offset_ns: i64) -> io::Result<()> {
    sys::slew_clock(offset_ns / 1000)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods, reason = "the real clock is read")]

    use std::time::SystemTime;

    use super::*;

    #[test]
    fn the_time_of_day_is_the_kernels() {
        let unix_ns = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos();
        let before = unix_ns();
        let read = u128::try_from(read().unwrap()).unwrap();
        assert!((before..=unix_ns()).contains(&read));
    }
}
