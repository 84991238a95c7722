//! The fences of machines that are no more.
//!
//! A destroyed machine leaves nothing behind but one line: its id and the generation that destroyed it. A command
//! of a lower generation that was delayed on its way is refused by that line, and cannot bring the machine back.
//!
//! All lines are in one file that only grows while the agent runs, and is rewritten without the old ones when
//! most of it is old. A delayed command lives as long as its stream, so lines older than [`KEEP_SEC`] are let go.

use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::PathBuf,
    time::SystemTime,
};

use parking_lot::Mutex;
use rustix::fs::{FallocateFlags, fallocate};
use serde::{Deserialize, Serialize};
use wrenn_proto::ids::SandboxId;

use super::record::{Durability, StateError};
use crate::disk::atomic_write;

/// How long a line is kept, in seconds: a week, far longer than any stream lives.
pub const KEEP_SEC: u64 = 7 * 24 * 3600;
/// The file is not rewritten below this number of lines.
const COMPACT_ABOVE_LINES: usize = 1024;
/// Room that is reserved in the file, in bytes, for some thousand lines: a full disk must not keep machines from being
/// destroyed, which is what makes room.
const RESERVED_BYTES: u64 = 256 * 1024;

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Line {
    id: SandboxId,
    generation: u64,
    /// Seconds since the Unix epoch.
    destroyed_at: u64,
}

/// The generations under which machines were destroyed; one for the whole host.
#[derive(Debug)]
pub struct Tombstones {
    path: PathBuf,
    durability: Durability,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    file: File,
    /// Lines in the file, counting those that a later one replaced.
    lines: usize,
    /// The last write failed, so the file may end in half a line, to which nothing must be appended.
    torn: bool,
    by_id: HashMap<SandboxId, Line>,
}

impl Tombstones {
    /// Opens the file, and makes it if there is none. Lines that are too old, torn or unreadable are dropped.
    ///
    /// # Errors
    /// If the file cannot be read or written.
    pub fn open(path: PathBuf, durability: Durability, now: SystemTime) -> Result<Self, StateError> {
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(StateError::io("read", &path)(error)),
        };
        let mut by_id = HashMap::new();
        for line in text.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok()) {
            keep_highest(&mut by_id, line);
        }
        let file = rewrite(&path, &mut by_id, durability, now)?;
        let lines = by_id.len();
        Ok(Self { path, durability, inner: Mutex::new(Inner { file, lines, torn: false, by_id }) })
    }

    /// Returns the generation under which this machine was destroyed, as far as is remembered.
    pub fn generation(&self, id: SandboxId) -> Option<u64> {
        self.inner.lock().by_id.get(&id).map(|line| line.generation)
    }

    /// Remembers that this machine was destroyed; a lower generation than the remembered one changes nothing.
    ///
    /// When it returns, the line is as durable as was asked for. Blocks for as long as the disk takes.
    ///
    /// # Errors
    /// If the file cannot be written; then nothing is remembered.
    pub fn bury(&self, id: SandboxId, generation: u64, now: SystemTime) -> Result<(), StateError> {
        let mut inner = self.inner.lock();
        if inner.by_id.get(&id).is_some_and(|line| line.generation >= generation) {
            return Ok(());
        }
        let line = Line { id, generation, destroyed_at: unix_sec(now) };
        let mut text = serde_json::to_vec(&line)
            .map_err(|source| StateError::Corrupt { path: self.path.clone(), source })?;
        text.push(b'\n');
        if inner.torn {
            text.insert(0, b'\n');
        }
        let written = inner.file.write_all(&text).and_then(|()| match self.durability {
            Durability::Disk => inner.file.sync_data(),
            Durability::Process => Ok(()),
        });
        inner.torn = written.is_err();
        written.map_err(StateError::io("append to", &self.path))?;
        keep_highest(&mut inner.by_id, line);
        inner.lines += 1;
        if inner.lines > COMPACT_ABOVE_LINES.max(2 * inner.by_id.len()) {
            inner.file = rewrite(&self.path, &mut inner.by_id, self.durability, now)?;
            inner.lines = inner.by_id.len();
        }
        Ok(())
    }
}

fn unix_sec(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn keep_highest(by_id: &mut HashMap<SandboxId, Line>, line: Line) {
    let kept = by_id.entry(line.id).or_insert(line);
    if line.generation >= kept.generation {
        *kept = line;
    }
}

/// Drops old lines, writes the rest as a new file, and opens that one to append to.
fn rewrite(
    path: &PathBuf,
    by_id: &mut HashMap<SandboxId, Line>,
    durability: Durability,
    now: SystemTime,
) -> Result<File, StateError> {
    let now_sec = unix_sec(now);
    by_id.retain(|_, line| now_sec.saturating_sub(line.destroyed_at) < KEEP_SEC);
    let mut text = Vec::new();
    for line in by_id.values() {
        serde_json::to_writer(&mut text, line)
            .map_err(|source| StateError::Corrupt { path: path.clone(), source })?;
        text.push(b'\n');
    }
    atomic_write(path, &text, durability)?;
    let file = OpenOptions::new().append(true).open(path).map_err(StateError::io("open", path))?;
    if durability == Durability::Disk {
        // Not every file system can do this, and a full one cannot now.
        let _ = fallocate(&file, FallocateFlags::KEEP_SIZE, text.len() as u64, RESERVED_BYTES);
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(sec: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(sec)
    }

    #[test]
    fn what_was_buried_stays_buried_over_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tombstones");
        let id = SandboxId::new();
        let stones = Tombstones::open(path.clone(), Durability::Disk, at(100)).unwrap();
        stones.bury(id, 4, at(100)).unwrap();
        stones.bury(id, 3, at(101)).unwrap();
        assert_eq!(stones.generation(id), Some(4));
        drop(stones);
        let stones = Tombstones::open(path, Durability::Disk, at(200)).unwrap();
        assert_eq!(stones.generation(id), Some(4));
        assert_eq!(stones.generation(SandboxId::new()), None);
    }

    #[test]
    fn a_torn_last_line_costs_only_itself() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tombstones");
        let id = SandboxId::new();
        let stones = Tombstones::open(path.clone(), Durability::Process, at(100)).unwrap();
        stones.bury(id, 9, at(100)).unwrap();
        let mut text = fs::read_to_string(&path).unwrap();
        text.push_str("{\"id\":\"cl-");
        fs::write(&path, text).unwrap();
        let stones = Tombstones::open(path, Durability::Process, at(100)).unwrap();
        stones.bury(SandboxId::new(), 1, at(100)).unwrap();
        assert_eq!(stones.generation(id), Some(9));
    }

    #[test]
    fn a_line_after_a_failed_write_stands_by_itself() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tombstones");
        let stones = Tombstones::open(path.clone(), Durability::Process, at(100)).unwrap();
        let id = SandboxId::new();
        // Half a line is written, then the disk is full.
        stones.inner.lock().file.write_all(b"{\"id\":\"cl-").unwrap();
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let file = std::mem::replace(&mut stones.inner.lock().file, full);
        stones.bury(id, 1, at(100)).unwrap_err();
        assert_eq!(stones.generation(id), None);
        stones.inner.lock().file = file;
        stones.bury(id, 1, at(100)).unwrap();
        stones.bury(id, 2, at(100)).unwrap();
        drop(stones);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().filter(|line| serde_json::from_str::<Line>(line).is_ok()).count(), 2);
    }

    #[test]
    fn old_lines_are_let_go_and_the_file_stays_small() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tombstones");
        let stones = Tombstones::open(path.clone(), Durability::Process, at(0)).unwrap();
        let id = SandboxId::new();
        for generation in 1..=5000 {
            stones.bury(id, generation, at(generation)).unwrap();
        }
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= COMPACT_ABOVE_LINES + 1, "{lines} lines");
        assert_eq!(stones.generation(id), Some(5000));
        drop(stones);
        let stones = Tombstones::open(path, Durability::Process, at(5000 + KEEP_SEC)).unwrap();
        assert_eq!(stones.generation(id), None);
    }
}
