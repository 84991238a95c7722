//! Figures that a guest reports of its own memory, load and disk.

/// Largest load that is believed.
const MAX_LOAD: f64 = 1e6;
/// Largest number of bytes that is believed; JSON has no larger numbers.
const MAX_BYTES: u64 = (1 << 53) - 1;

/// Figures of a guest about itself; a guest can say anything.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct GuestFigures {
    /// Memory that its kernel manages.
    pub memory_total_bytes: u64,
    /// Memory that its programs and kernel use, without caches.
    pub memory_used_bytes: u64,
    /// Memory that caches use, and that programs can have.
    pub memory_cached_bytes: u64,
    /// Load average over one minute.
    pub load_1m: f64,
    /// Load average over five minutes.
    pub load_5m: f64,
    /// Load average over fifteen minutes.
    pub load_15m: f64,
    /// Size of its root file system.
    pub disk_total_bytes: u64,
    /// Use of its root file system.
    pub disk_used_bytes: u64,
}

impl GuestFigures {
    /// Returns figures that are possible: parts are no larger than the whole, and all are numbers that JSON has.
    #[must_use]
    pub fn bounded(self) -> Self {
        let load = |load: f64| if load.is_finite() { load.clamp(0.0, MAX_LOAD) } else { 0.0 };
        let memory_total_bytes = self.memory_total_bytes.min(MAX_BYTES);
        let memory_used_bytes = self.memory_used_bytes.min(memory_total_bytes);
        let disk_total_bytes = self.disk_total_bytes.min(MAX_BYTES);
        Self {
            memory_total_bytes,
            memory_used_bytes,
            memory_cached_bytes: self.memory_cached_bytes.min(memory_total_bytes - memory_used_bytes),
            load_1m: load(self.load_1m),
            load_5m: load(self.load_5m),
            load_15m: load(self.load_15m),
            disk_total_bytes,
            disk_used_bytes: self.disk_used_bytes.min(disk_total_bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lies_are_cut_to_what_is_possible() {
        let said = GuestFigures {
            memory_total_bytes: 100,
            memory_used_bytes: 70,
            memory_cached_bytes: u64::MAX,
            load_1m: f64::NAN,
            load_5m: -1.0,
            load_15m: f64::INFINITY,
            disk_total_bytes: u64::MAX,
            disk_used_bytes: u64::MAX,
        };
        let bounded = said.bounded();
        assert_eq!((bounded.memory_used_bytes, bounded.memory_cached_bytes), (70, 30));
        assert_eq!((bounded.load_1m, bounded.load_5m, bounded.load_15m), (0.0, 0.0, 0.0));
        assert_eq!((bounded.disk_total_bytes, bounded.disk_used_bytes), (MAX_BYTES, MAX_BYTES));
        assert_eq!(bounded.bounded(), bounded);
    }
}
