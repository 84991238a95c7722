//! Points of one tier as bytes: on the link, and in the database.
//!
//! ```text
//!   version  tier  count   then for each point: period, CPU in 1/100 %, memory, disk, received, sent
//! ```
//!
//! Numbers are of variable length, seven bits in each byte. Each one but CPU is the difference to that of the point before,
//! so an hour of a capsule that does nothing takes a few bytes a point.
//!
//! Nothing is trusted that is read: the agent of a team's own host may send anything.

use super::{Point, Tier};

/// Layout of the bytes.
const VERSION: u8 = 1;
/// Most bytes of a tier: the numbers of its points at their longest.
pub const MAX_BYTES: usize = 96 * 1024;
/// Largest number: JSON has no larger ones, and times of it are far away.
const MAX_NUMBER: u64 = (1 << 53) - 1;
/// Most CPU that is believed, in 1/100 %: a thousand processors.
const MAX_CPU_CENTIS: u64 = 100 * 100 * 1000;

/// Reason for which bytes are not points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PackedError {
    /// A newer version wrote them.
    #[error("the points have an unknown layout")]
    Version,
    /// They are of another tier.
    #[error("the points are of another tier")]
    Tier,
    /// There are more than the tier has.
    #[error("there are too many points")]
    TooMany,
    /// They end too early, too late, or within a number.
    #[error("the points do not end where they should")]
    Length,
    /// A number is not possible, or a point is not later than the one before.
    #[error("a point is not possible")]
    Point,
}

/// Packs points of a tier, which are in the order of time. Of too many the newest are packed.
pub fn pack(tier: Tier, points: &[Point]) -> Vec<u8> {
    let points = &points[points.len().saturating_sub(tier.capacity())..];
    let mut bytes = vec![VERSION, tier_byte(tier)];
    write(&mut bytes, points.len() as u64);
    let mut before = [0; 5];
    for point in points {
        let cpu_centis = (f64::from(point.cpu_pct) * 100.0).round().clamp(0.0, MAX_CPU_CENTIS as f64);
        let numbers = numbers(tier, point);
        write(&mut bytes, cpu_centis as u64);
        for (number, before) in numbers.into_iter().zip(before) {
            write(&mut bytes, zigzag(number.min(MAX_NUMBER), before));
        }
        before = numbers.map(|number| number.min(MAX_NUMBER));
    }
    bytes
}

/// Reads points of a tier.
///
/// # Errors
/// See [`PackedError`]. Points that are returned are in the order of time, no more than the tier has, and none of their
/// numbers exceeds 2⁵³.
pub fn unpack(tier: Tier, bytes: &[u8]) -> Result<Vec<Point>, PackedError> {
    let [version, of_tier, rest @ ..] = bytes else { return Err(PackedError::Length) };
    if *version != VERSION {
        return Err(PackedError::Version);
    }
    if *of_tier != tier_byte(tier) {
        return Err(PackedError::Tier);
    }
    let mut rest = rest;
    let count = usize::try_from(read(&mut rest)?).unwrap_or(usize::MAX);
    if count > tier.capacity() {
        return Err(PackedError::TooMany);
    }
    let mut points: Vec<Point> = Vec::with_capacity(count);
    let mut numbers = [0_u64; 5];
    for _ in 0..count {
        let cpu_centis = read(&mut rest)?;
        for number in &mut numbers {
            *number = unzigzag(read(&mut rest)?, *number).ok_or(PackedError::Point)?;
        }
        let [period, memory_bytes, disk_bytes, net_in_bytes, net_out_bytes] = numbers;
        let at_ms = period.checked_mul(tier.period_ms()).filter(|at_ms| *at_ms <= MAX_NUMBER);
        let at_ms = at_ms.ok_or(PackedError::Point)?;
        if cpu_centis > MAX_CPU_CENTIS || points.last().is_some_and(|before| before.at_ms >= at_ms) {
            return Err(PackedError::Point);
        }
        let cpu_pct = (cpu_centis as f64 / 100.0) as f32;
        points.push(Point { at_ms, cpu_pct, memory_bytes, disk_bytes, net_in_bytes, net_out_bytes });
    }
    if rest.is_empty() { Ok(points) } else { Err(PackedError::Length) }
}

const fn tier_byte(tier: Tier) -> u8 {
    match tier {
        Tier::Fine => 1,
        Tier::Medium => 2,
        Tier::Coarse => 3,
    }
}

fn numbers(tier: Tier, point: &Point) -> [u64; 5] {
    let period = point.at_ms / tier.period_ms();
    [period, point.memory_bytes, point.disk_bytes, point.net_in_bytes, point.net_out_bytes]
}

/// Returns the difference of two numbers that are no larger than [`MAX_NUMBER`], small ones of either sign as small ones.
fn zigzag(number: u64, before: u64) -> u64 {
    let difference = number.wrapping_sub(before).cast_signed();
    ((difference << 1) ^ (difference >> 63)).cast_unsigned()
}

fn unzigzag(packed: u64, before: u64) -> Option<u64> {
    let difference = (packed >> 1).cast_signed() ^ -((packed & 1).cast_signed());
    before.checked_add_signed(difference).filter(|number| *number <= MAX_NUMBER)
}

fn write(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn read(bytes: &mut &[u8]) -> Result<u64, PackedError> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let [byte, rest @ ..] = *bytes else { return Err(PackedError::Length) };
        *bytes = rest;
        let part = u64::from(byte & 0x7f);
        if part << shift >> shift != part {
            return Err(PackedError::Point);
        }
        number |= part << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(PackedError::Point)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn points(tier: Tier, count: usize) -> Vec<Point> {
        let point = |n: u64| Point {
            at_ms: tier.period_of(1_764_504_000_000) + n * tier.period_ms(),
            cpu_pct: (n % 200) as f32 / 2.0,
            memory_bytes: 100 << 20 | (n % 7) << 12,
            disk_bytes: n * 4096,
            net_in_bytes: n * 1500,
            net_out_bytes: n * 60,
        };
        (0..count as u64).map(point).collect()
    }

    #[test]
    fn a_full_tier_comes_back_and_is_small() {
        for tier in Tier::ALL {
            let points = points(*tier, tier.capacity());
            let packed = pack(*tier, &points);
            assert!(packed.len() < tier.capacity() * 16, "{tier}: {}", packed.len());
            assert_eq!(unpack(*tier, &packed).unwrap(), points);
        }
        assert_eq!(unpack(Tier::Fine, &pack(Tier::Fine, &[])), Ok(vec![]));
    }

    #[test]
    fn of_too_many_points_the_newest_stay_and_impossible_numbers_are_cut() {
        let many = points(Tier::Medium, Tier::Medium.capacity() + 9);
        assert_eq!(unpack(Tier::Medium, &pack(Tier::Medium, &many)).unwrap(), many[9..]);
        let wild = Point { at_ms: 500, cpu_pct: f32::NAN, memory_bytes: u64::MAX, ..Point::default() };
        let wild = [wild, Point { at_ms: 1000, cpu_pct: f32::INFINITY, ..Point::default() }];
        let tame = unpack(Tier::Fine, &pack(Tier::Fine, &wild)).unwrap();
        assert_eq!((tame[0].cpu_pct, tame[0].memory_bytes), (0.0, MAX_NUMBER));
        assert_eq!((tame[1].cpu_pct, tame[1].memory_bytes), (100_000.0, 0));
    }

    #[test]
    fn the_longest_numbers_fit_into_the_limit() {
        // A number of 53 bits and a sign takes eight bytes, CPU four.
        assert!(Tier::Fine.capacity() * (5 * 8 + 4) + 12 <= MAX_BYTES);
        let flip = |n: usize, at_ms: u64| {
            let value = if n.is_multiple_of(2) { u64::MAX } else { 0 };
            Point {
                at_ms,
                cpu_pct: 1e9,
                memory_bytes: value,
                disk_bytes: value,
                net_in_bytes: value,
                net_out_bytes: value,
            }
        };
        let points: Vec<_> = (0..1200).map(|n| flip(n, n as u64 * 500)).collect();
        let packed = pack(Tier::Fine, &points);
        assert!(packed.len() <= MAX_BYTES);
        assert_eq!(unpack(Tier::Fine, &packed).unwrap().len(), 1200);
    }

    #[test]
    fn hostile_bytes_are_refused_with_the_reason() {
        let good = pack(Tier::Fine, &points(Tier::Fine, 3));
        let with = |place: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[place] = byte;
            unpack(Tier::Fine, &bytes)
        };
        assert_eq!(with(0, 2), Err(PackedError::Version));
        assert_eq!(with(1, 2), Err(PackedError::Tier));
        assert_eq!(unpack(Tier::Coarse, &good), Err(PackedError::Tier));
        assert_eq!(with(2, 2), Err(PackedError::Length), "more bytes than points");
        assert_eq!(with(2, 4), Err(PackedError::Length), "more points than bytes");
        let endless = [&[VERSION, 1][..], &[0xff; 40]].concat();
        assert_eq!(unpack(Tier::Fine, &endless), Err(PackedError::Point));
        let mut many = vec![VERSION, 1];
        write(&mut many, 1201);
        assert_eq!(unpack(Tier::Fine, &many), Err(PackedError::TooMany));
        write(&mut many, u64::MAX);
        assert_eq!(
            unpack(Tier::Fine, &[VERSION, 1, 0xff, 0xff, 0xff, 0xff, 0x7f]),
            Err(PackedError::TooMany)
        );
        let one = |numbers: [u64; 6]| {
            let mut bytes = vec![VERSION, 1, 1];
            numbers.into_iter().for_each(|number| write(&mut bytes, number));
            unpack(Tier::Fine, &bytes)
        };
        assert!(one([0, 2, 2, 2, 2, 2]).is_ok());
        assert_eq!(one([MAX_CPU_CENTIS + 1, 2, 2, 2, 2, 2]), Err(PackedError::Point));
        assert_eq!(one([0, 1, 2, 2, 2, 2]), Err(PackedError::Point), "a time before all times");
        assert_eq!(
            one([0, MAX_NUMBER * 2, 2, 2, 2, 2]),
            Err(PackedError::Point),
            "a time that has no number"
        );
        assert_eq!(one([0, 2, u64::MAX - 1, 2, 2, 2]), Err(PackedError::Point), "more than JSON can say");
        let twice = points(Tier::Fine, 1).repeat(2);
        assert_eq!(
            unpack(Tier::Fine, &pack(Tier::Fine, &twice)),
            Err(PackedError::Point),
            "twice the same time"
        );
        for cut in 0..good.len() {
            assert!(unpack(Tier::Fine, &good[..cut]).is_err(), "{cut}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_read_is_in_order_and_bounded(bytes in prop::collection::vec(any::<u8>(), 0..200), head: bool) {
            let bytes = if head { [&[VERSION, 1][..], &bytes].concat() } else { bytes };
            if let Ok(points) = unpack(Tier::Fine, &bytes) {
                prop_assert!(points.len() <= Tier::Fine.capacity());
                prop_assert!(points.windows(2).all(|pair| pair[0].at_ms < pair[1].at_ms));
                prop_assert!(points.iter().all(|point| point.memory_bytes <= MAX_NUMBER && point.cpu_pct.is_finite()));
            }
        }

        #[test]
        fn points_come_back(
            steps in prop::collection::vec((1_u64..9, 0_u64..100_000, any::<[u32; 4]>()), 0..300)
        ) {
            let mut period = 3_000_000_000;
            let points: Vec<Point> = steps.into_iter().map(|(step, cpu, [memory, disk, received, sent])| {
                period += step;
                Point {
                    at_ms: period * 500, cpu_pct: (cpu as f64 / 100.0) as f32, memory_bytes: memory.into(),
                    disk_bytes: disk.into(), net_in_bytes: received.into(), net_out_bytes: sent.into(),
                }
            }).collect();
            prop_assert_eq!(unpack(Tier::Fine, &pack(Tier::Fine, &points)).unwrap(), points);
        }
    }
}
