//! What is told of a file.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _, path::Path};

use rustix::{
    fd::AsFd,
    fs::{AtFlags, CWD, FileType, Stat, readlinkat, statat},
    path::Arg,
};
use wrenn_proto::guest::{FileEntry, FileKind};

use super::{
    error::{FsError, failed},
    place::Place,
};
use crate::accounts::Names;

/// Says what is at a place; of a link, itself.
pub(super) fn stat(place: &Place, names: &Names) -> Result<FileEntry, FsError> {
    let stat = statat(CWD, &place.raw, AtFlags::SYMLINK_NOFOLLOW).map_err(failed("look at", &place.shown))?;
    Ok(entry(names, &place.shown, &stat, CWD, &place.raw))
}

/// Makes an entry of what the kernel said; `name` in `dir` is where a link's target is read.
pub(super) fn entry(names: &Names, shown: &Path, stat: &Stat, dir: impl AsFd, name: impl Arg) -> FileEntry {
    let kind = kind(stat);
    // A link that has gone meanwhile leads nowhere.
    let target = if kind == FileKind::Symlink { readlinkat(dir, name, Vec::new()).ok() } else { None };
    FileEntry {
        // The root, and what ends in dots, has no name but its path.
        name: shown.file_name().unwrap_or(shown.as_os_str()).to_string_lossy().into_owned(),
        path: shown.to_string_lossy().into_owned(),
        kind: kind.into(),
        size: stat.st_size.cast_unsigned(),
        mode: stat.st_mode & 0o7777,
        owner: names.user(stat.st_uid),
        group: names.group(stat.st_gid),
        modified_at: stat.st_mtime,
        symlink_target: target
            .map(|target| OsStr::from_bytes(target.as_bytes()).to_string_lossy().into_owned())
            .unwrap_or_default(),
    }
}

/// What it is.
pub(super) fn kind(stat: &Stat) -> FileKind {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => FileKind::File,
        FileType::Directory => FileKind::Directory,
        FileType::Symlink => FileKind::Symlink,
        FileType::Fifo => FileKind::Fifo,
        FileType::Socket => FileKind::Socket,
        FileType::CharacterDevice => FileKind::CharDevice,
        FileType::BlockDevice => FileKind::BlockDevice,
        FileType::Unknown => FileKind::Unspecified,
    }
}
