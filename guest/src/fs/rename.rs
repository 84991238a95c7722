//! Moving a file or folder.

use rustix::{
    fs::{AtFlags, CWD, RenameFlags, renameat, renameat_with, statat},
    io::Errno,
};
use wrenn_proto::guest::{FileEntry, FileKind};

use super::{
    entry,
    error::{FsError, failed},
    folders,
    place::Place,
};
use crate::accounts::Names;

/// Moves what is at `from` to `to`, whose parents are made.
pub(super) fn run(from: &Place, to: &Place, overwrite: bool, names: &Names) -> Result<FileEntry, FsError> {
    let moved = statat(CWD, &from.raw, AtFlags::SYMLINK_NOFOLLOW).map_err(failed("move", &from.shown))?;
    let parent = to.shown.parent().unwrap_or(&to.shown);
    let (_, made) = folders::open_or_make(parent)?;
    let replace = || renameat(CWD, &from.raw, CWD, &to.raw);
    let renamed = if overwrite {
        replace()
    } else {
        match renameat_with(CWD, &from.raw, CWD, &to.raw, RenameFlags::NOREPLACE) {
            // Either a folder was to be moved into itself, or the filesystem cannot look and move in one step.
            Err(Errno::INVAL) => match statat(CWD, &to.shown, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(_) => Err(Errno::EXIST),
                Err(_) => replace(),
            },
            other => other,
        }
    };
    renamed.map_err(|error| match error {
        Errno::INVAL => FsError::IntoItself { from: from.shown.clone(), to: to.shown.clone() },
        Errno::EXIST if !overwrite => FsError::Exists(to.shown.clone()),
        Errno::EXIST | Errno::NOTEMPTY => FsError::NotEmpty(to.shown.clone()),
        // A folder does not replace a file, nor a file a folder.
        Errno::ISDIR => FsError::IsDirectory(to.shown.clone()),
        Errno::NOTDIR if entry::kind(&moved) == FileKind::Directory => {
            FsError::NotDirectory(to.shown.clone())
        }
        Errno::NOTDIR => FsError::NotDirectory(from.shown.clone()),
        error => failed("move", &from.shown)(error),
    })?;
    made.keep();
    let stat = statat(CWD, &to.shown, AtFlags::SYMLINK_NOFOLLOW).map_err(failed("look at", &to.shown))?;
    Ok(entry::entry(names, &to.shown, &stat, CWD, &to.shown))
}
