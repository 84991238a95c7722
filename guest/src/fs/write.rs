//! Writing a file: it appears complete, or not at all.
//!
//! ```text
//!   parents made ─▶ file without a name ─▶ ready ─▶ data … end ─▶ owner, mode, on the disk ─▶ name
//!        └── removed again, unless it gets there ───────────────────────────────────────────▶┘
//! ```
//!
//! The data goes into a file that has no name yet: see [`staged`](super::staged).

use std::{
    ffi::OsStr,
    fs::File,
    io::Write as _,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{Access, AtFlags, CWD, Gid, Mode, Stat, Uid, accessat, fchmod, fchown, fstat, readlinkat, statat},
    io::Errno,
};
use wrenn_proto::guest::{FileKind, FileReady, file_event::Event, file_input::Input};

use super::{
    caller::{Caller, Inputs},
    entry,
    error::{FsError, failed},
    folders,
    place::Place,
    staged::Staged,
};
use crate::accounts::Names;

/// As many links as the kernel follows.
pub(super) const LINKS_MAX: usize = 40;
/// Of a file that is new.
const NEW_MODE: u32 = 0o644;

/// Takes data until its end, and puts it where it is to be.
pub(super) fn run(place: &Place, names: &Names, inputs: &mut Inputs, caller: &Caller) -> Result<(), FsError> {
    if place.is_folders() {
        return Err(FsError::IsDirectory(place.shown.clone()));
    }
    let target = Target::find(place)?;
    let (folder, made) = folders::open_or_make(target.folder())?;
    let mut staged = Staged::new(&folder).map_err(failed("make a file in", target.folder()))?;
    caller.tell(Event::Ready(FileReady {}))?;
    loop {
        match inputs.next() {
            Some(Input::Data(data)) => staged.file.write_all(&data).map_err(failed("write", &place.shown))?,
            Some(Input::End(_)) => break,
            Some(Input::Start(_)) => return Err(FsError::OutOfOrder),
            None => return Err(FsError::CutOff),
        }
    }
    publish(staged, &target)?;
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

/// Gives a file its owner and mode, and its name when all of it is on the disk: a machine that ends now has the whole
/// file afterwards, or none.
fn publish(staged: Staged, target: &Target) -> Result<(), FsError> {
    let cannot = || failed("write", &target.path);
    let mode = match &target.existing {
        Some(existing) => {
            inherit_owner(&staged.file, existing);
            existing.st_mode & 0o7777
        }
        None => NEW_MODE,
    };
    fchmod(&staged.file, Mode::from_raw_mode(mode)).map_err(cannot())?;
    staged.file.sync_data().map_err(failed("write", &target.path))?;
    staged.put(target.name()?).map_err(cannot())
}

/// Keeps owner and group of the file that is replaced, as far as the user may.
fn inherit_owner(file: &File, existing: &Stat) {
    let Ok(own) = fstat(file) else { return };
    let owner = (own.st_uid != existing.st_uid).then(|| Uid::from_raw(existing.st_uid));
    let group = (own.st_gid != existing.st_gid).then(|| Gid::from_raw(existing.st_gid));
    if (owner.is_some() || group.is_some()) && fchown(file, owner, group).is_err() {
        let _ = fchown(file, None, group);
    }
}
