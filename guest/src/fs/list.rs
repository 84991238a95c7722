//! Listing a folder, sorted, and its subfolders as deep as wanted.
//!
//! ```text
//!   levels   /srv      b, c       what is still to be told; the deepest is told first
//!            /srv/a    x, y
//! ```
//!
//! However many files there are, no more names are kept in memory than are told.

use std::{collections::BinaryHeap, ffi::CString, path::PathBuf};

use rustix::{
    fd::OwnedFd,
    fs::{AtFlags, Dir, Mode, OFlags, open, openat, statat},
    io::Errno,
};
use wrenn_proto::guest::{FileEntries, FileEntry, FileKind, FileList, file_event::Event};

use super::{
    caller::Caller,
    entry,
    error::{FsError, failed},
    place::{Place, path_of},
};
use crate::accounts::Names;

/// Most entries of an answer.
pub(super) const ENTRIES_MAX: usize = 20_000;
/// Entries of one event, and how many bytes they may have: it has to fit into a message.
const EVENT_ENTRIES: usize = 200;
const EVENT_BYTES: usize = 128 * 1024;
/// Each level is an open folder.
const DEPTH_MAX: u32 = 256;
/// For folders; links in their place are refused, but for the first one.
const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);

/// A folder of which some names are still to be told.
struct Level {
    folder: OwnedFd,
    shown: PathBuf,
    /// The first one last.
    names: Vec<CString>,
}

/// Tells all entries.
pub(super) fn run(place: &Place, list: &FileList, names: &Names, caller: &Caller) -> Result<(), FsError> {
    if list.depth > DEPTH_MAX {
        return Err(FsError::TooDeep { limit: DEPTH_MAX });
    }
    let depth = list.depth.max(1) as usize;
    let folder = open(&place.raw, FOLDER, Mode::empty()).map_err(|error| match error {
        Errno::NOTDIR => not_a_folder(place),
        error => failed("list", &place.shown)(error),
    })?;
    let mut walk = Walk { levels: Vec::new(), room: ENTRIES_MAX, is_truncated: false };
    walk.enter(folder, place.shown.clone()).map_err(failed("list", &place.shown))?;
    let mut batch = Batch::default();
    while let Some(level) = walk.levels.last_mut() {
        let Some(name) = level.names.pop() else {
            walk.levels.pop();
            continue;
        };
        // One that has gone meanwhile is not told.
        let Ok(stat) = statat(&level.folder, &name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
        let shown = level.shown.join(path_of(&name));
        batch.push(entry::entry(names, &shown, &stat, &level.folder, &name), caller)?;
        walk.room -= 1;
        if entry::kind(&stat) == FileKind::Directory && walk.levels.len() < depth {
            walk.descend(&name, shown);
        }
    }
    batch.finish(walk.is_truncated, caller)
}

/// Not a folder: the path itself, or something on the way to it.
fn not_a_folder(place: &Place) -> FsError {
    match rustix::fs::stat(&place.shown) {
        Ok(_) => FsError::NotDirectory(place.shown.clone()),
        Err(_) => failed("list", &place.shown)(Errno::NOTDIR),
    }
}

struct Walk {
    /// Outermost first.
    levels: Vec<Level>,
    /// How many entries may still be told.
    room: usize,
    is_truncated: bool,
}

impl Walk {
    /// Goes into a subfolder of the deepest level; one that cannot be read is told without what is in it.
    fn descend(&mut self, name: &CString, shown: PathBuf) {
        let Some(level) = self.levels.last() else { return };
        if let Ok(folder) = openat(&level.folder, name, FOLDER | OFlags::NOFOLLOW, Mode::empty()) {
            let _ = self.enter(folder, shown);
        }
    }

    fn enter(&mut self, folder: OwnedFd, shown: PathBuf) -> Result<(), Errno> {
        // The first names of the folder: the greatest one leaves when there is no room.
        let mut first = BinaryHeap::new();
        for found in Dir::read_from(&folder)? {
            let found = found?;
            let name = found.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            first.push(name.to_owned());
            if first.len() > self.room {
                first.pop();
                self.is_truncated = true;
            }
        }
        let mut names = first.into_sorted_vec();
        names.reverse();
        self.levels.push(Level { folder, shown, names });
        self.trim();
        Ok(())
    }

    /// Forgets names for which there is no room: those told last, of the outermost levels.
    fn trim(&mut self) {
        let total: usize = self.levels.iter().map(|level| level.names.len()).sum();
        let mut excess = total.saturating_sub(self.room);
        for level in &mut self.levels {
            let dropped = excess.min(level.names.len());
            level.names.drain(..dropped);
            excess -= dropped;
            self.is_truncated |= dropped > 0;
        }
    }
}

/// Entries that are told together.
#[derive(Default)]
struct Batch {
    entries: Vec<FileEntry>,
    bytes: usize,
}

impl Batch {
    fn push(&mut self, entry: FileEntry, caller: &Caller) -> Result<(), FsError> {
        // Told only when another one comes, so that the last ones can say that they are.
        if self.entries.len() >= EVENT_ENTRIES || self.bytes >= EVENT_BYTES {
            let entries = std::mem::take(self).entries;
            caller.tell(Event::Entries(FileEntries { entries, truncated: false }))?;
        }
        self.bytes += entry.name.len() + entry.path.len() + entry.symlink_target.len();
        self.entries.push(entry);
        Ok(())
    }

    fn finish(self, truncated: bool, caller: &Caller) -> Result<(), FsError> {
        caller.tell(Event::Entries(FileEntries { entries: self.entries, truncated }))
    }
}
