//! The history of one machine in a file of fixed size.
//!
//! ```text
//!   head │ 1200 places of 500 ms │ 240 of 30 s │ 288 of 5 min        82 KiB, sparse until it is filled
//! ```
//!
//! Each period has its place, and a sample is one small write to it, so a history costs no more than its samples. What is
//! written survives the end of the process, as the kernel has it; it is never synced. After a loss of power places may be
//! old or half written: each has a checksum, and those that do not fit are empty.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
};

use wrenn_proto::metrics::{Change, History, Point, Tier};

use crate::vmm::ProcessIdentity;

const MAGIC: [u8; 8] = *b"wrennmt1";
const HEAD_BYTES: usize = 64;
const PLACE_BYTES: usize = 48;

/// State of a machine beside its points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Head {
    /// Process whose counters are added to what was counted before; 0 for none.
    pub(super) pid: u32,
    pub(super) start_ticks: u64,
    pub(super) boot: u32,
    /// Received and sent bytes before that process was started.
    pub(super) net_in_before: u64,
    pub(super) net_out_before: u64,
    /// Newest point that the control plane has stored; 0 for none.
    pub(super) stored_up_to_ms: u64,
    /// The machine is destroyed, and the file goes when all of it is stored.
    pub(super) is_ended: bool,
}

impl Head {
    /// Returns true if the counters are those of this process.
    pub(super) fn counts(&self, process: &ProcessIdentity) -> bool {
        (self.pid, self.start_ticks, self.boot) == (process.pid, process.start_ticks, boot_of(process))
    }

    /// Begins to count another process, after what was counted so far.
    pub(super) fn count(&mut self, process: &ProcessIdentity, so_far: Option<Point>) {
        (self.pid, self.start_ticks, self.boot) = (process.pid, process.start_ticks, boot_of(process));
        let so_far = so_far.unwrap_or_default();
        (self.net_in_before, self.net_out_before) = (so_far.net_in_bytes, so_far.net_out_bytes);
    }

    fn encode(&self) -> [u8; HEAD_BYTES] {
        let mut bytes = [0; HEAD_BYTES];
        let mut writer = Writer { bytes: &mut bytes, at: 0 };
        writer.put(&MAGIC);
        writer.put(&self.pid.to_le_bytes());
        writer.put(&self.boot.to_le_bytes());
        writer.put(&self.start_ticks.to_le_bytes());
        writer.put(&self.net_in_before.to_le_bytes());
        writer.put(&self.net_out_before.to_le_bytes());
        writer.put(&self.stored_up_to_ms.to_le_bytes());
        writer.put(&[u8::from(self.is_ended)]);
        seal(&mut bytes);
        bytes
    }

    fn decode(bytes: &[u8; HEAD_BYTES]) -> Option<Self> {
        let mut reader = Reader { bytes, at: 0 };
        if !is_sealed(bytes) || reader.take::<8>() != MAGIC {
            return None;
        }
        Some(Self {
            pid: u32::from_le_bytes(reader.take()),
            boot: u32::from_le_bytes(reader.take()),
            start_ticks: u64::from_le_bytes(reader.take()),
            net_in_before: u64::from_le_bytes(reader.take()),
            net_out_before: u64::from_le_bytes(reader.take()),
            stored_up_to_ms: u64::from_le_bytes(reader.take()),
            is_ended: reader.take() == [1],
        })
    }
}

/// Returns a short hash of the boot: a collision matters only if pid and start time are equal, too.
fn boot_of(process: &ProcessIdentity) -> u32 {
    crc32fast::hash(process.boot_id.as_bytes())
}

/// File of one machine.
#[derive(Debug)]
pub(super) struct RingFile {
    file: File,
    head: Head,
}

impl RingFile {
    /// Opens the file and reads it; a file that is missing or not usable begins anew.
    pub(super) fn open_or_create(path: &Path) -> io::Result<(Self, History)> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        if let Some((head, history)) = read(&file)? {
            return Ok((Self { file, head }, history));
        }
        file.set_len(0)?;
        file.set_len(file_bytes())?;
        let ring = Self { file, head: Head::default() };
        ring.file.write_all_at(&ring.head.encode(), 0)?;
        Ok((ring, History::default()))
    }

    /// Reads the file of a machine; `None` if it is not usable.
    pub(super) fn read(path: &Path) -> io::Result<Option<(Head, History)>> {
        read(&File::open(path)?)
    }

    pub(super) fn head(&self) -> &Head {
        &self.head
    }

    pub(super) fn set_head(&mut self, head: Head) -> io::Result<()> {
        self.file.write_all_at(&head.encode(), 0)?;
        self.head = head;
        Ok(())
    }

    /// Writes what a sample has changed.
    pub(super) fn apply(&self, change: &Change) -> io::Result<()> {
        for (tier, at_ms) in &change.removed {
            self.file.write_all_at(&[0; PLACE_BYTES], place(*tier, *at_ms))?;
        }
        for (tier, point) in &change.added {
            self.file.write_all_at(&encode(point), place(*tier, point.at_ms))?;
        }
        Ok(())
    }
}

fn read(file: &File) -> io::Result<Option<(Head, History)>> {
    let mut bytes = vec![0; file_bytes() as usize];
    match file.read_exact_at(&mut bytes, 0) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        done => done?,
    }
    let Some((head, places)) = bytes.split_first_chunk::<HEAD_BYTES>() else { return Ok(None) };
    let Some(head) = Head::decode(head) else { return Ok(None) };
    let (places, _) = places.as_chunks::<PLACE_BYTES>();
    let mut places = places.iter();
    let mut points = Vec::new();
    for tier in Tier::ALL {
        let of_tier = places.by_ref().take(tier.capacity()).enumerate();
        // A point in the place of another period is none.
        let of_tier = of_tier.filter_map(|(number, place)| Some((number, decode(place)?)));
        let of_tier = of_tier.filter(|(number, point)| number_of(*tier, point.at_ms) == *number as u64);
        points.extend(of_tier.map(|(_, point)| (*tier, point)));
    }
    Ok(Some((head, History::of(points))))
}

fn number_of(tier: Tier, at_ms: u64) -> u64 {
    at_ms / tier.period_ms() % tier.capacity() as u64
}

/// Returns where the place of a period begins.
fn place(tier: Tier, at_ms: u64) -> u64 {
    let before =
        Tier::ALL.iter().take_while(|before| **before != tier).map(|before| before.capacity() as u64);
    HEAD_BYTES as u64 + (before.sum::<u64>() + number_of(tier, at_ms)) * PLACE_BYTES as u64
}

fn file_bytes() -> u64 {
    let places: usize = Tier::ALL.iter().map(|tier| tier.capacity()).sum();
    (HEAD_BYTES + places * PLACE_BYTES) as u64
}

fn encode(point: &Point) -> [u8; PLACE_BYTES] {
    let mut bytes = [0; PLACE_BYTES];
    let mut writer = Writer { bytes: &mut bytes, at: 0 };
    writer.put(&point.at_ms.to_le_bytes());
    writer.put(&point.memory_bytes.to_le_bytes());
    writer.put(&point.disk_bytes.to_le_bytes());
    writer.put(&point.net_in_bytes.to_le_bytes());
    writer.put(&point.net_out_bytes.to_le_bytes());
    writer.put(&point.cpu_pct.to_le_bytes());
    seal(&mut bytes);
    bytes
}

fn decode(bytes: &[u8; PLACE_BYTES]) -> Option<Point> {
    let mut reader = Reader { bytes, at: 0 };
    let at_ms = u64::from_le_bytes(reader.take());
    // An empty place has a checksum that does not fit.
    is_sealed(bytes).then(|| Point {
        at_ms,
        memory_bytes: u64::from_le_bytes(reader.take()),
        disk_bytes: u64::from_le_bytes(reader.take()),
        net_in_bytes: u64::from_le_bytes(reader.take()),
        net_out_bytes: u64::from_le_bytes(reader.take()),
        cpu_pct: f32::from_le_bytes(reader.take()),
    })
}

/// Puts the checksum of all that comes before into the last four bytes.
fn seal(bytes: &mut [u8]) {
    if let Some((content, sum)) = bytes.split_last_chunk_mut::<4>() {
        *sum = crc32fast::hash(content).to_le_bytes();
    }
}

fn is_sealed(bytes: &[u8]) -> bool {
    bytes.split_last_chunk::<4>().is_some_and(|(content, sum)| crc32fast::hash(content).to_le_bytes() == *sum)
}

/// Puts numbers one after the other.
struct Writer<'a> {
    bytes: &'a mut [u8],
    at: usize,
}

impl Writer<'_> {
    fn put(&mut self, number: &[u8]) {
        self.bytes[self.at..self.at + number.len()].copy_from_slice(number);
        self.at += number.len();
    }
}

/// Takes numbers one after the other.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut number = [0; N];
        number.copy_from_slice(&self.bytes[self.at..self.at + N]);
        self.at += N;
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGUN: u64 = 1_764_504_000_000;

    fn sample(n: u64) -> Point {
        Point {
            at_ms: BEGUN + n * 500,
            cpu_pct: n as f32 / 8.0,
            memory_bytes: n << 12,
            disk_bytes: n << 9,
            net_in_bytes: n,
            net_out_bytes: n * 3,
        }
    }

    fn process(pid: u32) -> ProcessIdentity {
        ProcessIdentity { pid, start_ticks: 5, boot_id: "boot".into() }
    }

    #[test]
    fn a_history_is_found_again_after_any_sample() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ring");
        let (mut ring, mut history) = RingFile::open_or_create(&path).unwrap();
        let mut head = *ring.head();
        head.count(&process(7), Some(sample(9)));
        ring.set_head(head).unwrap();
        for n in 0..5000 {
            // Now and then the agent is away.
            let n = n + n / 1700 * 333;
            ring.apply(&history.push(sample(n))).unwrap();
            if n % 211 == 0 {
                assert_eq!(RingFile::read(&path).unwrap(), Some((head, history.clone())), "{n}");
            }
        }
        assert!(head.counts(&process(7)) && !head.counts(&process(8)));
        assert_eq!((head.net_in_before, head.net_out_before), (9, 27));
        let (again, found) = RingFile::open_or_create(&path).unwrap();
        assert_eq!((*again.head(), found), (head, history));
        assert_eq!(std::fs::metadata(&path).unwrap().len(), file_bytes());
    }

    #[test]
    fn a_half_written_place_is_empty_and_a_broken_head_begins_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ring");
        let (ring, mut history) = RingFile::open_or_create(&path).unwrap();
        for n in 0..3 {
            ring.apply(&history.push(sample(n))).unwrap();
        }
        let middle = place(Tier::Fine, sample(1).at_ms);
        ring.file.write_all_at(&[9], middle + 20).unwrap();
        // A whole point in the wrong place.
        ring.file.write_all_at(&encode(&sample(2)), place(Tier::Fine, sample(700).at_ms)).unwrap();
        let (_, found) = RingFile::read(&path).unwrap().unwrap();
        assert_eq!(found.points(Tier::Fine), [sample(0), sample(2)]);
        ring.file.write_all_at(&[9], 8).unwrap();
        assert_eq!(RingFile::read(&path).unwrap(), None);
        let (_, found) = RingFile::open_or_create(&path).unwrap();
        assert_eq!(found, History::default());
        ring.file.set_len(100).unwrap();
        assert_eq!(RingFile::read(&path).unwrap(), None);
    }
}
