//! Removing a file, or a folder with everything in it.
//!
//! ```text
//!   levels   /srv/old        its name, and which folder it is
//!            /srv/old/a      …
//!            /srv/old/a/b    the folder that is being emptied, open
//! ```
//!
//! Links are removed and not followed, also if a folder is replaced by one meanwhile. Only the innermost folders are
//! open, and nothing else is remembered of a folder than which one it is; so the size of a tree does not matter.

use std::{
    ffi::CString,
    path::{Path, PathBuf},
};

use rustix::{
    fd::{AsFd, OwnedFd},
    fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, fstat, openat, statat, unlinkat},
    io::Errno,
};
use wrenn_proto::guest::FileKind;

use super::{
    caller::Caller,
    entry,
    error::{FsError, failed},
    place::{Place, path_of},
};

/// Folders that are kept open; those further out are opened again on the way back.
const OPEN_MAX: usize = 16;
const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::CLOEXEC);

/// Removes what is at a place.
pub(super) fn run(place: &Place, caller: &Caller) -> Result<(), FsError> {
    let cannot = || failed("remove", &place.shown);
    let stat = statat(CWD, &place.shown, AtFlags::SYMLINK_NOFOLLOW).map_err(cannot())?;
    if entry::kind(&stat) != FileKind::Directory {
        if place.is_folders() {
            return Err(FsError::NotDirectory(place.shown.clone()));
        }
        return unlinkat(CWD, &place.shown, AtFlags::empty()).map_err(cannot());
    }
    let root = rustix::fs::stat("/").map_err(cannot())?;
    if Identity::of(&root) == Identity::of(&stat) {
        return Err(FsError::NoName(place.shown.clone()));
    }
    Removal { path: place.shown.clone(), levels: Vec::new(), caller }.run(&stat)
}

/// Which folder it is, whatever its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    fn of(stat: &Stat) -> Self {
        Self { device: stat.st_dev, inode: stat.st_ino }
    }
}

/// A folder that is being emptied.
struct Level {
    identity: Identity,
    /// None while it is far out.
    open: Option<OpenFolder>,
}

struct OpenFolder {
    folder: OwnedFd,
    entries: Dir,
    /// Whether anything was removed since its entries were read from the beginning.
    progress: Progress,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    None,
    Some,
}

impl OpenFolder {
    fn new(folder: OwnedFd) -> Result<Self, Errno> {
        let entries = Dir::read_from(&folder)?;
        Ok(Self { folder, entries, progress: Progress::None })
    }

    /// Removes files until there is a subfolder, whose name is returned, or nothing more.
    fn empty(&mut self, shown: &Path, caller: &Caller) -> Result<Option<CString>, FsError> {
        while let Some(found) = self.entries.read() {
            let found = found.map_err(failed("read the folder", shown))?;
            let name = found.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            if caller.is_gone() {
                return Err(FsError::CallerGone);
            }
            if found.file_type() == FileType::Directory {
                return Ok(Some(name.to_owned()));
            }
            match unlinkat(&self.folder, name, AtFlags::empty()) {
                Ok(()) => self.progress = Progress::Some,
                Err(Errno::NOENT) => {}
                // Not every filesystem says what it is before.
                Err(Errno::ISDIR) => return Ok(Some(name.to_owned())),
                Err(error) => return Err(failed("remove", shown.join(path_of(name)))(error)),
            }
        }
        Ok(None)
    }
}

struct Removal<'a> {
    /// Of the innermost level.
    path: PathBuf,
    levels: Vec<Level>,
    caller: &'a Caller,
}

impl Removal<'_> {
    fn run(mut self, top: &Stat) -> Result<(), FsError> {
        let path = self.path.clone();
        if self.enter(CWD, &path, top)? == Entered::No {
            return Ok(());
        }
        while let Some(level) = self.levels.last_mut() {
            let Some(open) = &mut level.open else {
                return Err(FsError::Moved(self.path));
            };
            match open.empty(&self.path, self.caller)? {
                Some(name) => self.descend(&name)?,
                None => self.leave()?,
            }
        }
        Ok(())
    }

    /// Goes into a subfolder of the innermost level.
    fn descend(&mut self, name: &CString) -> Result<(), FsError> {
        let shown = self.path.join(path_of(name));
        let Some(Level { identity, open: Some(open) }) = self.levels.last_mut() else {
            return Err(FsError::Moved(shown));
        };
        let stat = match statat(&open.folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            // Somebody else removes, too.
            Err(Errno::NOENT) => return Ok(()),
            Err(error) => return Err(failed("remove", shown)(error)),
        };
        if stat.st_dev != identity.device {
            return Err(FsError::MountPoint(shown));
        }
        open.progress = Progress::Some;
        let folder = open.folder.try_clone().map_err(failed("remove", &shown))?;
        if self.enter(&folder, path_of(name), &stat)? == Entered::Yes {
            self.path = shown;
        }
        Ok(())
    }

    /// Opens the folder `name` in `parent`, which has been looked at; unless it has gone, or could be removed at once.
    fn enter(&mut self, parent: impl AsFd, name: &Path, seen: &Stat) -> Result<Entered, FsError> {
        let shown = if self.levels.is_empty() { self.path.clone() } else { self.path.join(name) };
        let folder = match openat(&parent, name, FOLDER, Mode::empty()) {
            Ok(folder) => folder,
            Err(Errno::NOENT) => return Ok(Entered::No),
            // Not to be read, but perhaps there is nothing in it.
            Err(Errno::ACCESS) if unlinkat(&parent, name, AtFlags::REMOVEDIR).is_ok() => {
                return Ok(Entered::No);
            }
            // Somebody has put something else there.
            Err(Errno::NOTDIR | Errno::LOOP) => return Err(FsError::Moved(shown)),
            Err(error) => return Err(failed("remove", shown)(error)),
        };
        let stat = fstat(&folder).map_err(failed("remove", &shown))?;
        if Identity::of(&stat) != Identity::of(seen) {
            return Err(FsError::Moved(shown));
        }
        let open = OpenFolder::new(folder).map_err(failed("remove", &shown))?;
        self.levels.push(Level { identity: Identity::of(&stat), open: Some(open) });
        if let Some(far_out) = self.levels.len().checked_sub(OPEN_MAX + 1) {
            self.levels[far_out].open = None;
        }
        Ok(Entered::Yes)
    }

    /// Removes the innermost folder, which seems to be empty, and goes back to the one that it is in.
    fn leave(&mut self) -> Result<(), FsError> {
        let shown = self.path.clone();
        let cannot = || failed("remove", &shown);
        let Some(Level { open: Some(mut inner), identity }) = self.levels.pop() else {
            return Err(FsError::Moved(shown));
        };
        let name = shown.file_name().ok_or_else(|| FsError::NoName(shown.clone()))?;
        let removed = match self.levels.last_mut() {
            None => unlinkat(CWD, &shown, AtFlags::REMOVEDIR),
            Some(outer) => {
                if outer.open.is_none() {
                    let folder = openat(&inner.folder, "..", FOLDER, Mode::empty()).map_err(cannot())?;
                    let stat = fstat(&folder).map_err(cannot())?;
                    if Identity::of(&stat) != outer.identity {
                        return Err(FsError::Moved(shown));
                    }
                    outer.open = Some(OpenFolder::new(folder).map_err(cannot())?);
                }
                let Some(open) = &outer.open else { return Err(FsError::Moved(shown)) };
                unlinkat(&open.folder, name, AtFlags::REMOVEDIR)
            }
        };
        match removed {
            Ok(()) | Err(Errno::NOENT) => {
                self.path.pop();
                Ok(())
            }
            // Something was made in it meanwhile, or not all was seen while it shrank: once more, unless that is of
            // no use.
            Err(Errno::NOTEMPTY | Errno::EXIST) if inner.progress == Progress::Some => {
                inner.entries.rewind();
                inner.progress = Progress::None;
                self.levels.push(Level { identity, open: Some(inner) });
                Ok(())
            }
            Err(error) => Err(cannot()(error)),
        }
    }
}

#[derive(PartialEq, Eq)]
enum Entered {
    Yes,
    No,
}
