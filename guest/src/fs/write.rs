//! Writing a file: it appears complete, or not at all.
//!
//! ```text
//!   parents made ─▶ file without a name ─▶ ready ─▶ data … end ─▶ owner, mode, on the disk ─▶ name
//!        └── removed again, unless it gets there ───────────────────────────────────────────▶┘
//! ```
//!
//! The data goes into a file that has no name yet, so a caller, a daemon or a machine that goes away leaves nothing
//! behind. Where a filesystem has no such files a hidden name is used, and removed.

use std::{
    ffi::OsStr,
    fs::File,
    io::Write as _,
    os::{fd::AsRawFd as _, unix::ffi::OsStrExt as _},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use rustix::{
    fd::{AsFd, OwnedFd},
    fs::{
        Access, AtFlags, CWD, Gid, Mode, OFlags, Stat, Uid, accessat, fchmod, fchown, fstat, linkat, openat,
        readlinkat, renameat, statat, unlinkat,
    },
    io::Errno,
};
use wrenn_proto::guest::{FileKind, FileReady, file_event::Event, file_input::Input};

use super::{Caller, FsError, Inputs, Place, entry, error::failed, folders};
use crate::accounts::Names;

/// Names that only exist for as long as a file is being put into its place begin with this.
pub(super) const HIDDEN_PREFIX: &str = ".wrenn-upload-";
/// As many links as the kernel follows.
const LINKS_MAX: usize = 40;
/// Of a file that is new.
const NEW_MODE: u32 = 0o644;
/// How many hidden names are tried; those before may be left from a crash.
const HIDDEN_TRIES: usize = 1000;

/// Takes data until its end, and puts it where it is to be.
pub(super) fn run(place: &Place, names: &Names, inputs: &mut Inputs, caller: &Caller) -> Result<(), FsError> {
    if place.is_folders() {
        return Err(FsError::IsDirectory(place.shown.clone()));
    }
    let target = Target::find(place)?;
    let (folder, made) = folders::open_or_make(target.folder())?;
    let mut staged = Staged::new(&folder, &target)?;
    caller.tell(Event::Ready(FileReady {}))?;
    loop {
        match inputs.next() {
            Some(Input::Data(data)) => staged.file.write_all(&data).map_err(failed("write", &place.shown))?,
            Some(Input::End(_)) => break,
            Some(Input::Start(_)) => return Err(FsError::OutOfOrder),
            None => return Err(FsError::CutOff),
        }
    }
    staged.publish(&target)?;
    made.keep();
    let stat =
        statat(CWD, &target.path, AtFlags::SYMLINK_NOFOLLOW).map_err(failed("look at", &place.shown))?;
    caller.tell(Event::Entry(entry::entry(names, &place.shown, &stat, CWD, &target.path)))
}

/// The file that is to be made or replaced.
struct Target {
    /// Where it truly is: not a link.
    path: PathBuf,
    /// What is there now, a regular file.
    existing: Option<Stat>,
}

impl Target {
    /// Follows links to where the file is to be, and looks whether one may be written there.
    fn find(place: &Place) -> Result<Self, FsError> {
        let mut path = place.shown.clone();
        for _ in 0..=LINKS_MAX {
            let stat = match statat(CWD, &path, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => stat,
                Err(Errno::NOENT) => {
                    may_write(place)?;
                    return Ok(Self { path, existing: None });
                }
                Err(error) => return Err(failed("write", &place.shown)(error)),
            };
            match entry::kind(&stat) {
                FileKind::File => {
                    may_write(place)?;
                    return Ok(Self { path, existing: Some(stat) });
                }
                FileKind::Directory => return Err(FsError::IsDirectory(place.shown.clone())),
                FileKind::Symlink => {
                    let link = readlinkat(CWD, &path, Vec::new()).map_err(failed("write", &place.shown))?;
                    let link = Path::new(OsStr::from_bytes(link.as_bytes()));
                    path = path.parent().unwrap_or(Path::new("/")).join(link);
                }
                kind => return Err(FsError::NotRegular { path: place.shown.clone(), kind }),
            }
        }
        Err(failed("write", &place.shown)(Errno::LOOP))
    }

    fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("/"))
    }

    fn name(&self) -> Result<&OsStr, FsError> {
        self.path.file_name().ok_or_else(|| FsError::IsDirectory(self.path.clone()))
    }
}

/// Whether the user may write to what is there: to replace it is not to get around its mode, nor around the rules for
/// links in folders that all share.
fn may_write(place: &Place) -> Result<(), FsError> {
    match accessat(CWD, &place.shown, Access::WRITE_OK, AtFlags::EACCESS) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(failed("write", &place.shown)(error)),
    }
}

/// A file that is complete only when it is published, and gone if it is not.
struct Staged<'a> {
    file: File,
    folder: &'a OwnedFd,
    /// The hidden name that it has at the moment.
    hidden: Option<String>,
}

impl<'a> Staged<'a> {
    fn new(folder: &'a OwnedFd, target: &Target) -> Result<Self, FsError> {
        let cannot = || failed("make a file in", target.folder());
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        match openat(folder, ".", flags | OFlags::TMPFILE, mode) {
            Ok(file) => return Ok(Self { file: file.into(), folder, hidden: None }),
            // Not with this filesystem, or not with this kernel.
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT | Errno::INVAL) => {}
            Err(error) => return Err(cannot()(error)),
        }
        let create = |name: &str| openat(folder, name, flags | OFlags::CREATE | OFlags::EXCL, mode);
        let (file, hidden) = with_hidden_name(create).map_err(cannot())?;
        Ok(Self { file: file.into(), folder, hidden: Some(hidden) })
    }

    /// Gives it its owner and mode, and its name when all of it is on the disk: a machine that ends now has the whole
    /// file afterwards, or none.
    fn publish(mut self, target: &Target) -> Result<(), FsError> {
        let cannot = || failed("write", &target.path);
        let mode = match &target.existing {
            Some(existing) => {
                self.inherit_owner(existing);
                existing.st_mode & 0o7777
            }
            None => NEW_MODE,
        };
        fchmod(&self.file, Mode::from_raw_mode(mode)).map_err(cannot())?;
        self.file.sync_data().map_err(failed("write", &target.path))?;
        let name = target.name()?;
        let from = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        let link = |to: &Path| linkat(CWD, from.as_str(), self.folder, to, AtFlags::SYMLINK_FOLLOW);
        if self.hidden.is_none() {
            if target.existing.is_none() {
                match link(Path::new(name)) {
                    Ok(()) => return Ok(()),
                    // Somebody was quicker; theirs is replaced.
                    Err(Errno::EXIST) => {}
                    Err(error) => return Err(cannot()(error)),
                }
            }
            let ((), hidden) = with_hidden_name(|name| link(Path::new(name))).map_err(cannot())?;
            self.hidden = Some(hidden);
        }
        if let Some(hidden) = &self.hidden {
            renameat(self.folder, hidden.as_str(), self.folder, name).map_err(cannot())?;
            self.hidden = None;
        }
        Ok(())
    }

    /// Keeps owner and group of the file that is replaced, as far as the user may.
    fn inherit_owner(&self, existing: &Stat) {
        let Ok(own) = fstat(&self.file) else { return };
        let owner = (own.st_uid != existing.st_uid).then(|| Uid::from_raw(existing.st_uid));
        let group = (own.st_gid != existing.st_gid).then(|| Gid::from_raw(existing.st_gid));
        if (owner.is_some() || group.is_some()) && fchown(&self.file, owner, group).is_err() {
            let _ = fchown(&self.file, None, group);
        }
    }
}

impl Drop for Staged<'_> {
    fn drop(&mut self) {
        if let Some(hidden) = &self.hidden {
            let _ = unlinkat(self.folder.as_fd(), hidden.as_str(), AtFlags::empty());
        }
    }
}

/// Makes something under a hidden name that nothing has yet.
fn with_hidden_name<T>(make: impl Fn(&str) -> Result<T, Errno>) -> Result<(T, String), Errno> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    for _ in 0..HIDDEN_TRIES {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{HIDDEN_PREFIX}{}-{number}", std::process::id());
        match make(&name) {
            Err(Errno::EXIST) => {}
            made => return made.map(|made| (made, name)),
        }
    }
    Err(Errno::EXIST)
}
