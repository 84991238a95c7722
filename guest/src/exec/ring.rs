//! The last bytes of a stream, and how many were lost before them.

use std::collections::VecDeque;

/// Keeps the newest `capacity` bytes of what is pushed into it.
#[derive(Debug)]
pub struct Ring {
    bytes: VecDeque<u8>,
    capacity: usize,
    dropped: u64,
}

impl Ring {
    /// Creates a ring that holds `capacity` bytes; memory is used only as it fills.
    pub fn new(capacity: usize) -> Self {
        Self { bytes: VecDeque::new(), capacity, dropped: 0 }
    }

    /// Appends, letting the oldest bytes go where there is no room.
    pub fn push(&mut self, chunk: &[u8]) {
        let kept = &chunk[chunk.len().saturating_sub(self.capacity)..];
        let overflow = (self.bytes.len() + kept.len()).saturating_sub(self.capacity);
        self.bytes.drain(..overflow);
        self.bytes.extend(kept);
        self.dropped += (overflow + chunk.len() - kept.len()) as u64;
    }

    /// Copies out what is kept, oldest first.
    pub fn snapshot(&self) -> Vec<u8> {
        self.bytes.iter().copied().collect()
    }

    /// How many bytes were pushed but are no longer kept.
    pub fn dropped_bytes(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_is_kept_whole() {
        let mut ring = Ring::new(8);
        ring.push(b"abc");
        ring.push(b"defgh");
        assert_eq!((ring.snapshot().as_slice(), ring.dropped_bytes()), (b"abcdefgh".as_slice(), 0));
    }

    #[test]
    fn the_oldest_bytes_go_first_and_are_counted() {
        let mut ring = Ring::new(4);
        ring.push(b"abc");
        ring.push(b"def");
        assert_eq!((ring.snapshot().as_slice(), ring.dropped_bytes()), (b"cdef".as_slice(), 2));
    }

    #[test]
    fn a_chunk_larger_than_the_ring_leaves_its_end() {
        let mut ring = Ring::new(4);
        ring.push(b"x");
        ring.push(b"0123456789");
        assert_eq!((ring.snapshot().as_slice(), ring.dropped_bytes()), (b"6789".as_slice(), 7));
    }
}
