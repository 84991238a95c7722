//! What a process has printed, as far as it is kept, and how much of it each reader has read.
//!
//! ```text
//!   0 ── dropped ── start ─────── kept ─────── end     positions in everything that was ever printed
//!                     ▲      ▲                  ▲
//!                 new reader  slow reader     quick reader
//! ```
//!
//! While somebody reads, nothing that they have not read is dropped: there is no room for more until they have. With
//! no reader the oldest goes, and a later reader is told how much it was. No I/O, no waiting: `output` adds both.

use std::collections::{BTreeMap, VecDeque};

use bytes::{Buf as _, Bytes, BytesMut};

/// Output that is kept of each process, in bytes.
pub const KEPT_BYTES: usize = 256 * 1024;
/// Chunks that are kept of each process: a bound of the memory for a program that prints single bytes.
const KEPT_CHUNKS: usize = 4096;
/// Chunks of one stream that are smaller together are made one.
const MERGE_BYTES: usize = 2048;

/// Which of a process's streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OutputStream {
    Stdout,
    Stderr,
}

/// What a reader reads.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// What was printed next.
    Output(OutputStream, Bytes),
    /// This many bytes were printed next, but are not kept any more.
    Dropped(u64),
}

/// A reader of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ReaderId(u64);

#[derive(Debug)]
struct Chunk {
    at: u64,
    stream: OutputStream,
    bytes: Bytes,
}

impl Chunk {
    fn end(&self) -> u64 {
        self.at + self.bytes.len() as u64
    }
}

/// The output of one process.
#[derive(Debug)]
pub(super) struct OutputLog {
    chunks: VecDeque<Chunk>,
    capacity: usize,
    /// Position of the oldest byte that is kept.
    start: u64,
    /// Position behind the newest byte.
    end: u64,
    /// How far each reader has read.
    readers: BTreeMap<ReaderId, u64>,
    next_reader: u64,
}

impl OutputLog {
    /// Makes an empty log that keeps `capacity` bytes; memory is used only as it fills.
    pub(super) fn new(capacity: usize) -> Self {
        Self { chunks: VecDeque::new(), capacity, start: 0, end: 0, readers: BTreeMap::new(), next_reader: 0 }
    }

    /// Whether this many bytes can be appended without dropping what a reader has not read. Always so for up to the
    /// capacity once the readers have read everything.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        let Some(slowest) = self.readers.values().min() else { return true };
        let slowest = (*slowest).max(self.start);
        let is_read = |chunk: &Chunk| chunk.end() <= slowest;
        let unread = self.end - slowest;
        unread + bytes as u64 <= self.capacity as u64
            && (self.chunks.len() < KEPT_CHUNKS || self.chunks.front().is_some_and(is_read))
    }

    /// Appends, and drops the oldest above the capacity. Whoever wants nothing to be lost asks for room first.
    pub(super) fn push(&mut self, stream: OutputStream, bytes: Bytes) {
        if bytes.is_empty() {
            return;
        }
        let at = self.end;
        self.end += bytes.len() as u64;
        match self.chunks.back_mut() {
            Some(last) if last.stream == stream && last.bytes.len() + bytes.len() <= MERGE_BYTES => {
                let mut merged = BytesMut::with_capacity(last.bytes.len() + bytes.len());
                merged.extend_from_slice(&last.bytes);
                merged.extend_from_slice(&bytes);
                last.bytes = merged.freeze();
            }
            _ => self.chunks.push_back(Chunk { at, stream, bytes }),
        }
        self.drop_surplus();
    }

    fn drop_surplus(&mut self) {
        loop {
            let surplus = (self.end - self.start).saturating_sub(self.capacity as u64);
            let too_many = self.chunks.len() > KEPT_CHUNKS;
            let Some(front) = self.chunks.front_mut() else { return };
            if too_many || front.bytes.len() as u64 <= surplus {
                self.start = front.end();
                self.chunks.pop_front();
            } else {
                // Less than the chunk, so it fits.
                front.bytes.advance(usize::try_from(surplus).unwrap_or_default());
                front.at += surplus;
                self.start = front.at;
                return;
            }
        }
    }

    /// Adds a reader, who begins with the oldest that is kept.
    pub(super) fn add_reader(&mut self) -> ReaderId {
        let id = ReaderId(self.next_reader);
        self.next_reader += 1;
        self.readers.insert(id, 0);
        id
    }

    /// Forgets a reader, whom nothing waits for any more.
    pub(super) fn remove_reader(&mut self, reader: ReaderId) {
        self.readers.remove(&reader);
    }

    /// What a reader reads next; none if there is nothing yet.
    pub(super) fn read(&mut self, reader: ReaderId) -> Option<Piece> {
        let position = self.readers.get_mut(&reader)?;
        if *position < self.start {
            let dropped = self.start - *position;
            *position = self.start;
            return Some(Piece::Dropped(dropped));
        }
        let index = self.chunks.partition_point(|chunk| chunk.end() <= *position);
        let chunk = self.chunks.get(index)?;
        // Within the chunk, so it fits.
        let skipped = usize::try_from(*position - chunk.at).unwrap_or_default();
        *position = chunk.end();
        Some(Piece::Output(chunk.stream, chunk.bytes.slice(skipped..)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn out(text: &'static str) -> (OutputStream, Bytes) {
        (OutputStream::Stdout, Bytes::from(text))
    }

    fn log(capacity: usize, pushed: &[(OutputStream, Bytes)]) -> OutputLog {
        let mut log = OutputLog::new(capacity);
        for (stream, bytes) in pushed {
            log.push(*stream, bytes.clone());
        }
        log
    }

    fn all(log: &mut OutputLog, reader: ReaderId) -> Vec<Piece> {
        std::iter::from_fn(|| log.read(reader)).collect()
    }

    #[test]
    fn streams_are_read_in_the_order_in_which_they_were_printed() {
        let err = (OutputStream::Stderr, Bytes::from("e"));
        let mut log = log(100, &[out("a"), out("b"), err, out("c")]);
        let reader = log.add_reader();
        let piece = |stream, text: &'static str| Piece::Output(stream, Bytes::from(text));
        use OutputStream::{Stderr, Stdout};
        assert_eq!(all(&mut log, reader), [piece(Stdout, "ab"), piece(Stderr, "e"), piece(Stdout, "c")]);
        log.push(Stdout, Bytes::from("d"));
        assert_eq!(all(&mut log, reader), [piece(Stdout, "d")]);
    }

    #[test]
    fn with_no_reader_the_oldest_is_dropped_and_the_next_one_is_told() {
        let mut log = log(4, &[out("abc"), out("def")]);
        assert!(log.has_room(100));
        let reader = log.add_reader();
        let expected = [Piece::Dropped(2), Piece::Output(OutputStream::Stdout, Bytes::from("cdef"))];
        assert_eq!(all(&mut log, reader), expected);
    }

    #[test]
    fn there_is_no_room_until_the_slowest_reader_has_read() {
        let mut log = log(4, &[out("abcd")]);
        let (quick, slow) = (log.add_reader(), log.add_reader());
        all(&mut log, quick);
        assert!(!log.has_room(1));
        all(&mut log, slow);
        assert!(log.has_room(4) && !log.has_room(5));
        log.push(OutputStream::Stdout, Bytes::from("ef"));
        assert!(!log.has_room(3));
        log.remove_reader(slow);
        log.remove_reader(quick);
        assert!(log.has_room(100));
    }

    #[test]
    fn single_bytes_of_two_streams_take_a_bounded_number_of_chunks() {
        let mut log = OutputLog::new(1 << 20);
        for _ in 0..KEPT_CHUNKS {
            log.push(OutputStream::Stdout, Bytes::from("o"));
            log.push(OutputStream::Stderr, Bytes::from("e"));
        }
        assert_eq!(log.chunks.len(), KEPT_CHUNKS);
        let reader = log.add_reader();
        assert!(!log.has_room(1));
        assert_eq!(log.read(reader), Some(Piece::Dropped(KEPT_CHUNKS as u64)));
        log.read(reader);
        assert!(log.has_room(1));
    }

    #[derive(Debug, Clone)]
    enum Step {
        Print(bool, u8),
        Attach,
        Read(usize),
        Leave(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (any::<bool>(), 1..40u8).prop_map(|(stderr, length)| Step::Print(stderr, length)),
            1 => Just(Step::Attach),
            4 => any::<usize>().prop_map(Step::Read),
            1 => any::<usize>().prop_map(Step::Leave),
        ]
    }

    proptest! {
        /// Every reader reads everything from where it began, once and in order; nothing is lost while it reads.
        #[test]
        fn every_reader_reads_all(steps in prop::collection::vec(step(), 0..200)) {
            const CAPACITY: usize = 64;
            let mut log = OutputLog::new(CAPACITY);
            let mut printed: Vec<(OutputStream, u8)> = Vec::new();
            let mut readers: Vec<(ReaderId, usize, bool)> = Vec::new();
            for step in steps {
                match step {
                    Step::Print(stderr, length) => {
                        let stream = if stderr { OutputStream::Stderr } else { OutputStream::Stdout };
                        if log.has_room(length.into()) {
                            let bytes: Vec<u8> = (0..length).map(|n| n.wrapping_add(length)).collect();
                            printed.extend(bytes.iter().map(|byte| (stream, *byte)));
                            log.push(stream, bytes.into());
                        } else {
                            prop_assert!(!readers.is_empty());
                        }
                    }
                    Step::Attach => readers.push((log.add_reader(), 0, true)),
                    Step::Read(which) if !readers.is_empty() => {
                        let which = which % readers.len();
                        let (id, position, is_new) = &mut readers[which];
                        match log.read(*id) {
                            Some(Piece::Dropped(bytes)) => {
                                prop_assert!(*is_new, "a reader lost something");
                                *position += usize::try_from(bytes).unwrap();
                            }
                            Some(Piece::Output(stream, bytes)) => {
                                let here = &printed[*position..*position + bytes.len()];
                                prop_assert!(here.iter().copied().eq(bytes.iter().map(|byte| (stream, *byte))));
                                *position += bytes.len();
                            }
                            None => prop_assert_eq!(*position, printed.len()),
                        }
                        *is_new = false;
                    }
                    Step::Leave(which) if !readers.is_empty() => {
                        log.remove_reader(readers.swap_remove(which % readers.len()).0);
                    }
                    Step::Read(_) | Step::Leave(_) => {}
                }
                let kept: usize = log.chunks.iter().map(|chunk| chunk.bytes.len()).sum();
                prop_assert!(kept <= CAPACITY && log.end - log.start == kept as u64);
            }
        }
    }
}
