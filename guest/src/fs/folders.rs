//! Making folders, with their parents.

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt as _,
    path::{Component, Path, PathBuf},
};

use rustix::{
    fd::OwnedFd,
    fs::{AtFlags, CWD, Mode, OFlags, mkdirat, open, openat, unlinkat},
    io::Errno,
};
use wrenn_proto::guest::FileEntry;

use super::{
    entry,
    error::{FsError, failed},
    place::Place,
};
use crate::accounts::Names;

/// As a program would make them; the daemon's mask takes nothing away that matters.
const MODE: Mode = Mode::from_raw_mode(0o755);
/// For a folder that is only a place in which something is done.
const PLACE: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Folders that were made for something; they are removed again unless it succeeds.
#[derive(Debug)]
pub(super) struct Made {
    path: PathBuf,
    /// How much of the path each one's own is, outermost first.
    lengths: Vec<usize>,
}

impl Made {
    /// They are to stay.
    pub(super) fn keep(mut self) {
        self.lengths.clear();
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        for &length in self.lengths.iter().rev() {
            let path = self.path.as_os_str().as_bytes().get(..length).unwrap_or_default();
            // One that somebody else has put something into stays.
            let _ = unlinkat(CWD, OsStr::from_bytes(path), AtFlags::REMOVEDIR);
        }
    }
}

/// Opens the folder `path`, absolute, and makes what is missing of it.
pub(super) fn open_or_make(path: &Path) -> Result<(OwnedFd, Made), FsError> {
    let mut made = Made { path: PathBuf::new(), lengths: Vec::new() };
    match open(path, PLACE, Mode::empty()) {
        Ok(folder) => return Ok((folder, made)),
        // Something is missing, or is no folder: what that is, is found on the way there.
        Err(Errno::NOENT | Errno::NOTDIR) => {}
        Err(error) => return Err(failed("open the folder", path)(error)),
    }
    let mut folder = open("/", PLACE, Mode::empty()).map_err(failed("open the folder", "/"))?;
    for component in path.components() {
        made.path.push(component);
        if component == Component::RootDir {
            continue;
        }
        let name = component.as_os_str();
        let next = match openat(&folder, name, PLACE, Mode::empty()) {
            Err(Errno::NOENT) => {
                match mkdirat(&folder, name, MODE) {
                    Ok(()) => made.lengths.push(made.path.as_os_str().len()),
                    // Somebody else was quicker, or a link leads nowhere, which opening it tells.
                    Err(Errno::EXIST) => {}
                    Err(error) => return Err(failed("make the folder", &made.path)(error)),
                }
                openat(&folder, name, PLACE, Mode::empty())
            }
            other => other,
        };
        folder = match next {
            Ok(next) => next,
            Err(Errno::NOTDIR) => return Err(FsError::NotDirectory(made.path.clone())),
            Err(error) => return Err(failed("open the folder", &made.path)(error)),
        };
    }
    Ok((folder, made))
}

/// Makes a folder; one that is there already is fine.
pub(super) fn make(place: &Place, names: &Names) -> Result<FileEntry, FsError> {
    let (_, made) = open_or_make(&place.shown).map_err(|error| match error {
        FsError::NotDirectory(path) if path == place.shown => FsError::Exists(path),
        error => error,
    })?;
    // What a link leads to, as the link is as good as the folder.
    let stat = rustix::fs::stat(&place.shown).map_err(failed("look at", &place.shown))?;
    made.keep();
    Ok(entry::entry(names, &place.shown, &stat, CWD, &place.shown))
}
