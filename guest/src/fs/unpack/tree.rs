//! The folder into which an archive is unpacked, and what has been made in it.
//!
//! Links that were there before are followed on the way to a place, as any program would follow them; those that the
//! archive itself has made are not. So an archive never writes through a link of its own, wherever that leads.

use std::{
    collections::{BTreeMap, HashSet},
    ffi::OsStr,
    fs::File,
    io,
    os::unix::ffi::OsStrExt as _,
    path::{Component, Path, PathBuf},
    time::SystemTime,
};

use rustix::{
    fd::{AsFd, OwnedFd},
    fs::{
        AtFlags, FileType, Gid, Mode, OFlags, Uid, chownat, fchmod, fchown, mkdirat, open, openat,
        readlinkat, statat,
    },
    io::Errno,
};

use super::super::{
    error::{FsError, failed},
    write::LINKS_MAX,
};
use crate::accounts::Account;

/// Of a folder until all is in it, and afterwards, if no entry speaks of it.
const FOLDER_MODE: Mode = Mode::from_raw_mode(0o755);
/// For a folder that is only a place in which something is done; links are not followed.
const PLACE: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Who is given what is made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owner {
    user: Uid,
    group: Gid,
}

impl Owner {
    pub(super) fn of(account: &Account) -> Self {
        Self { user: Uid::from_raw(account.uid), group: Gid::from_raw(account.gid) }
    }

    pub(super) fn give(self, file: &File) -> Result<(), Errno> {
        fchown(file, Some(self.user), Some(self.group))
    }

    /// A link itself, not what it leads to.
    pub(super) fn give_at(self, folder: impl AsFd, name: &Path) -> Result<(), Errno> {
        chownat(folder, name, Some(self.user), Some(self.group), AtFlags::SYMLINK_NOFOLLOW)
    }
}

/// What an entry says of a file or folder.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attributes {
    pub(super) mode: Mode,
    pub(super) modified: SystemTime,
}

/// Which file it is, whatever its name.
type Identity = (u64, u64);

pub(super) struct Tree {
    path: PathBuf,
    root: OwnedFd,
    pub(super) owner: Owner,
    /// Folders that were made, and what entries say of them.
    folders: BTreeMap<PathBuf, Option<Attributes>>,
    /// Files and links that were made.
    files: HashSet<PathBuf>,
    /// Symbolic links that were made.
    links: HashSet<Identity>,
    /// The folder that was needed last: mostly it is needed again.
    last: Option<(PathBuf, OwnedFd)>,
}

impl Tree {
    /// Opens the folder `path`, absolute, and makes what is missing of it.
    pub(super) fn open(path: &Path, owner: Owner) -> Result<Self, FsError> {
        let top = PathBuf::from("/");
        let root = open(&top, PLACE, Mode::empty()).map_err(failed("open the folder", &top))?;
        let mut tree = Self {
            path: top.clone(),
            root,
            owner,
            folders: BTreeMap::new(),
            files: HashSet::new(),
            links: HashSet::new(),
            last: None,
        };
        let below = path.strip_prefix(&top).unwrap_or(path);
        tree.root = tree.folder(below)?;
        tree.path = path.to_owned();
        // Entries speak of what is in it, and of the folder itself.
        let is_new = tree.folders.contains_key(below);
        tree.folders.clear();
        if is_new {
            tree.folders.insert(PathBuf::new(), None);
        }
        Ok(tree)
    }

    /// The path of what an entry names, for people.
    pub(super) fn shown(&self, name: &Path) -> PathBuf {
        self.path.join(name)
    }

    /// The folder in which an entry is, made if it is missing, and the entry's name in it.
    pub(super) fn parent_of<'t, 'n>(
        &'t mut self,
        name: &'n Path,
    ) -> Result<(&'t OwnedFd, &'n OsStr), FsError> {
        let (Some(parent), Some(last)) = (name.parent(), name.file_name()) else {
            return Err(FsError::IsDirectory(self.path.clone()));
        };
        let folder = match self.last.take() {
            Some((path, folder)) if path == parent => folder,
            _ => self.folder(parent)?,
        };
        let (_, folder) = self.last.insert((parent.to_owned(), folder));
        Ok((folder, last))
    }

    /// Makes a folder. Of one that is there already nothing changes, unless it was made for what is in it.
    pub(super) fn make_folder(&mut self, name: &Path, attributes: Attributes) -> Result<(), FsError> {
        self.folder(name)?;
        if let Some(made) = self.folders.get_mut(name) {
            *made = Some(attributes);
        }
        Ok(())
    }

    /// Whether the archive has made a file or link of this name.
    pub(super) fn has_file(&self, name: &Path) -> bool {
        self.files.contains(name)
    }

    pub(super) fn note_file(&mut self, name: &Path) {
        self.files.insert(name.to_owned());
    }

    /// Notes a symbolic link that was made.
    pub(super) fn note_link(&mut self, name: &Path) -> Result<(), FsError> {
        let shown = self.shown(name);
        let (folder, last) = self.parent_of(name)?;
        let stat = statat(folder, last, AtFlags::SYMLINK_NOFOLLOW).map_err(failed("look at", shown))?;
        self.links.insert((stat.st_dev, stat.st_ino));
        self.note_file(name);
        // It may have taken the place of another one, over which the way to that folder led.
        self.last = None;
        Ok(())
    }

    /// Gives the folders that were made their modes and times, which nothing changes any more: those inside first.
    pub(super) fn finish(mut self) -> Result<(), FsError> {
        for (name, attributes) in std::mem::take(&mut self.folders).into_iter().rev() {
            let Some(Attributes { mode, modified }) = attributes else { continue };
            let folder = self.folder(&name)?;
            let shown = self.shown(&name);
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let open =
                openat(&folder, ".", flags, Mode::empty()).map_err(failed("open the folder", &shown))?;
            set(&File::from(open), mode, modified).map_err(failed("set mode and time of", &shown))?;
        }
        Ok(())
    }

    /// Walks to a folder, and makes what is missing of it.
    fn folder(&mut self, name: &Path) -> Result<OwnedFd, FsError> {
        let mut folder = self.root.try_clone().map_err(failed("open the folder", &self.path))?;
        let mut walked = PathBuf::new();
        for component in name.components() {
            walked.push(component);
            folder = self.enter_or_make(&folder, component.as_os_str(), &walked)?;
        }
        Ok(folder)
    }

    fn enter_or_make(&mut self, folder: &OwnedFd, name: &OsStr, walked: &Path) -> Result<OwnedFd, FsError> {
        let cannot = |error| match error {
            Errno::NOTDIR => FsError::NotDirectory(self.shown(walked)),
            error => failed("open the folder", self.shown(walked))(error),
        };
        match self.enter(folder, name, &mut LINKS_MAX.clone()) {
            Err(Errno::NOENT) => {}
            entered => return entered.map_err(cannot),
        }
        let is_new = match mkdirat(folder, name, FOLDER_MODE) {
            Ok(()) => true,
            // Somebody else was quicker, or a link leads nowhere, which entering it tells.
            Err(Errno::EXIST) => false,
            Err(error) => return Err(failed("make the folder", self.shown(walked))(error)),
        };
        let made = self.enter(folder, name, &mut LINKS_MAX.clone()).map_err(cannot)?;
        if is_new {
            self.owner.give_at(folder, Path::new(name)).map_err(cannot)?;
            self.folders.insert(walked.to_owned(), None);
        }
        Ok(made)
    }

    /// Enters a folder, or what a link leads to, if the archive has not made it. At most `links` are followed.
    fn enter(&self, folder: &OwnedFd, name: &OsStr, links: &mut usize) -> Result<OwnedFd, Errno> {
        match openat(folder, name, PLACE, Mode::empty()) {
            // It may be a link.
            Err(Errno::NOTDIR | Errno::LOOP) => {}
            entered => return entered,
        }
        let stat = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let is_link = FileType::from_raw_mode(stat.st_mode) == FileType::Symlink;
        if !is_link || self.links.contains(&(stat.st_dev, stat.st_ino)) {
            return Err(Errno::NOTDIR);
        }
        *links = links.checked_sub(1).ok_or(Errno::LOOP)?;
        let target = readlinkat(folder, name, Vec::new())?;
        let target = Path::new(OsStr::from_bytes(target.as_bytes()));
        let mut folder = openat(folder, if target.is_absolute() { "/" } else { "." }, PLACE, Mode::empty())?;
        for component in target.components().filter(|component| *component != Component::RootDir) {
            folder = self.enter(&folder, component.as_os_str(), links)?;
        }
        Ok(folder)
    }
}

/// Sets mode and time of a file or folder that is open.
pub(super) fn set(file: &File, mode: Mode, modified: SystemTime) -> io::Result<()> {
    fchmod(file, mode)?;
    file.set_modified(modified)
}
