//! Which of the kernel's watches is which folder.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::{
    fd::OwnedFd,
    fs::{
        Dir, FileType, Mode, OFlags,
        inotify::{self, WatchFlags},
        open,
    },
    io::Errno,
};

use super::super::{
    error::{FsError, failed},
    place::path_of,
};

/// Folders that one caller may watch; the kernel keeps about a kilobyte for each.
pub(super) const WATCHES_MAX: usize = 8192;
/// How much of a folder that has just come is told one by one.
const FOUND_MAX: usize = 10_000;
const CHANGES: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::MODIFY)
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::ONLYDIR)
    .union(WatchFlags::EXCL_UNLINK);
/// Subfolders are not followed if they are links.
const SUBFOLDER: WatchFlags = CHANGES.union(WatchFlags::DONT_FOLLOW);

/// How much of a folder is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// What is in it.
    One,
    /// What is in its subfolders, too.
    All,
}

/// The folders that are watched.
#[derive(Debug)]
pub(super) struct Tree {
    inotify: Arc<OwnedFd>,
    root: (i32, PathBuf),
    depth: Depth,
    folders: HashMap<i32, PathBuf>,
    /// What was found in new folders, and may be told by the kernel once more.
    told: HashSet<PathBuf>,
}

impl Tree {
    /// Watches `root`.
    pub(super) fn new(inotify: Arc<OwnedFd>, root: PathBuf, depth: Depth) -> Result<Self, FsError> {
        let watch = inotify::add_watch(&*inotify, &root, CHANGES).map_err(|error| match error {
            Errno::NOSPC => FsError::NoWatchLeft,
            error => failed("watch", &root)(error),
        })?;
        let folders = HashMap::from([(watch, root.clone())]);
        let mut tree = Self { inotify, root: (watch, root), depth, folders, told: HashSet::new() };
        tree.look_again()?;
        Ok(tree)
    }

    /// Where the kernel tells changes.
    pub(super) fn inotify(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.inotify)
    }

    /// The folder of a watch.
    pub(super) fn folder(&self, watch: i32) -> Option<&Path> {
        self.folders.get(&watch).map(PathBuf::as_path)
    }

    /// Whether it is the watch of what is watched itself.
    pub(super) fn is_root(&self, watch: i32) -> bool {
        self.root.0 == watch
    }

    /// Whether it was found in a new folder, and so is told already.
    pub(super) fn was_told(&mut self, path: &Path) -> bool {
        self.told.remove(path)
    }

    /// The kernel has told everything for now, so nothing is told a second time any more.
    pub(super) fn is_quiet(&mut self) {
        self.told.clear();
    }

    /// Adds watches for all subfolders that have none, as some may have been made without being told.
    pub(super) fn look_again(&mut self) -> Result<(), FsError> {
        if self.depth == Depth::All {
            for_each_entry(self.root.1.clone(), &mut |path, kind| self.watch_subfolder(path, kind))?;
        }
        Ok(())
    }

    /// Watches a new folder and what is in it, and calls `tell` with what is there.
    pub(super) fn add(&mut self, folder: PathBuf, tell: &mut dyn FnMut(&Path)) -> Result<Found, FsError> {
        if self.depth == Depth::One || self.watch(&folder)? == Watching::No {
            return Ok(Found::All);
        }
        let mut found = 0;
        for_each_entry(folder, &mut |path, kind| {
            found += 1;
            if found <= FOUND_MAX {
                tell(path);
                self.told.insert(path.to_owned());
            }
            self.watch_subfolder(path, kind)
        })?;
        Ok(if found > FOUND_MAX { Found::TooMuch } else { Found::All })
    }

    /// A folder, and with it all in it, has another path now.
    pub(super) fn rename(&mut self, from: &Path, to: &Path) {
        for path in self.folders.values_mut() {
            if let Ok(rest) = path.strip_prefix(from) {
                // Joining nothing would add a slash.
                *path = if rest.as_os_str().is_empty() { to.to_owned() } else { to.join(rest) };
            }
        }
    }

    /// A folder has left what is watched, with all in it.
    pub(super) fn remove(&mut self, folder: &Path) {
        let inotify = &self.inotify;
        self.folders.retain(|&watch, path| {
            let stays = !path.starts_with(folder);
            if !stays {
                // One of a folder that is gone is gone, too.
                let _ = inotify::remove_watch(&**inotify, watch);
            }
            stays
        });
    }

    /// The kernel has ended a watch.
    pub(super) fn forget(&mut self, watch: i32) {
        self.folders.remove(&watch);
    }

    fn watch(&mut self, folder: &Path) -> Result<Watching, FsError> {
        if self.folders.len() >= WATCHES_MAX {
            return Err(FsError::TooManyWatches { path: self.root.1.clone(), limit: WATCHES_MAX });
        }
        match inotify::add_watch(&*self.inotify, folder, SUBFOLDER) {
            Ok(watch) => {
                self.folders.insert(watch, folder.to_owned());
                Ok(Watching::Yes)
            }
            Err(Errno::NOSPC) => Err(FsError::NoWatchLeft),
            // Gone again, replaced, or not for this user: nothing is told of it.
            Err(_) => Ok(Watching::No),
        }
    }

    fn watch_subfolder(&mut self, path: &Path, kind: FileType) -> Result<Watching, FsError> {
        // Not every filesystem says what it is; what is no folder is refused.
        let may_be_folder = matches!(kind, FileType::Directory | FileType::Unknown);
        if may_be_folder { self.watch(path) } else { Ok(Watching::No) }
    }
}

/// Calls `visit` with everything in a folder, and in those subfolders that it says are watched.
fn for_each_entry(
    folder: PathBuf,
    visit: &mut dyn FnMut(&Path, FileType) -> Result<Watching, FsError>,
) -> Result<(), FsError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let mut folders = vec![folder];
    while let Some(folder) = folders.pop() {
        // What is gone again, or not for this user, has nothing to tell.
        let Ok(open) = open(&folder, flags, Mode::empty()) else { continue };
        let Ok(entries) = Dir::new(open) else { continue };
        for entry in entries.flatten() {
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            let path = folder.join(path_of(name));
            if visit(&path, entry.file_type())? == Watching::Yes {
                folders.push(path);
            }
        }
    }
    Ok(())
}

/// What was found in a folder that has just come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// All of it was told.
    All,
    /// There was more than is told.
    TooMuch,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Watching {
    Yes,
    No,
}
