//! The part of `/run` that templates keep.
//!
//! `/run` is a tmpfs, so that nothing of a former boot is taken for something that runs. A recipe may have made folders in it all the
//! same, for daemons that do not make their own. They are copied to the folder on the disk that the tmpfs covers when the filesystem
//! is frozen for a template, and from there into the tmpfs at each boot.
//!
//! ```text
//!   freeze   tmpfs /run ──copy──▶ /run on the disk        boot   /run on the disk ──copy──▶ tmpfs /run
//! ```
//!
//! Sockets, pipes, devices, pid files and what is mounted below are left out: they mean something only while a program runs.

use std::{
    fs::{self, File},
    io,
    os::{
        fd::AsRawFd,
        unix::fs::{MetadataExt, PermissionsExt, chown, lchown, symlink},
    },
    path::{Path, PathBuf},
};

/// The tmpfs.
const RUN: &str = "/run";
/// Largest file that is kept, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// Entries that are kept, at most.
const MAX_ENTRIES: usize = 4096;
/// Depth to which folders are kept.
const MAX_DEPTH: usize = 16;

/// The folder that the tmpfs covers.
#[derive(Debug)]
pub struct CoveredRun {
    folder: File,
}

impl CoveredRun {
    /// Opens the folder of the disk. Only before the tmpfs is mounted on it.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn open() -> io::Result<Self> {
        Ok(Self { folder: File::open(RUN)? })
    }

    /// Copies what a template kept into the new tmpfs.
    ///
    /// # Errors
    /// The first entry that could not be copied; those before it were.
    pub(crate) fn restore(&self) -> io::Result<()> {
        copy_below(&self.path(), Path::new(RUN))
    }

    /// Copies `/run` to the disk, in place of what was kept before.
    ///
    /// # Errors
    /// The first entry that could not be copied, for example for want of space; those before it were.
    pub fn save(&self) -> io::Result<()> {
        empty(&self.path())?;
        copy_below(Path::new(RUN), &self.path())
    }

    /// Returns a path that leads beneath the mount.
    fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/.", self.folder.as_raw_fd()))
    }
}

fn empty(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Copies what is in one folder into another, with modes and owners.
fn copy_below(from: &Path, to: &Path) -> io::Result<()> {
    let device = fs::metadata(from)?.dev();
    let mut folders = vec![(from.to_owned(), to.to_owned(), 0)];
    let mut entries = 0;
    while let Some((from, to, depth)) = folders.pop() {
        for entry in fs::read_dir(&from)? {
            let entry = entry?;
            entries += 1;
            if entries > MAX_ENTRIES {
                return Err(io::Error::other(format!("there are more than {MAX_ENTRIES} entries")));
            }
            let (source, target) = (entry.path(), to.join(entry.file_name()));
            let metadata = entry.metadata()?;
            let kind = metadata.file_type();
            let (uid, gid) = (Some(metadata.uid()), Some(metadata.gid()));
            if metadata.dev() != device || source.extension().is_some_and(|extension| extension == "pid") {
                continue;
            }
            if kind.is_dir() {
                match fs::create_dir(&target) {
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                    other => other?,
                }
                if depth < MAX_DEPTH {
                    folders.push((source, target.clone(), depth + 1));
                }
            } else if kind.is_symlink() {
                symlink(fs::read_link(&source)?, &target)?;
                lchown(&target, uid, gid)?;
                continue;
            } else if kind.is_file() && metadata.len() <= MAX_FILE_BYTES {
                fs::copy(&source, &target)?;
            } else {
                continue;
            }
            // The owner first, since changing it takes set-user-id bits away.
            chown(&target, uid, gid)?;
            fs::set_permissions(&target, fs::Permissions::from_mode(metadata.mode() & 0o7777))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn folders_files_and_links_are_copied_and_what_runs_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        fs::create_dir_all(from.join("mysqld/deep")).unwrap();
        fs::create_dir(&to).unwrap();
        fs::set_permissions(from.join("mysqld"), fs::Permissions::from_mode(0o2750)).unwrap();
        fs::write(from.join("mysqld/deep/note"), "text").unwrap();
        fs::write(from.join("mysqld/server.pid"), "1").unwrap();
        fs::File::create(from.join("large")).unwrap().set_len(MAX_FILE_BYTES + 1).unwrap();
        symlink("mysqld", from.join("link")).unwrap();
        let _socket = UnixListener::bind(from.join("mysqld/socket")).unwrap();

        copy_below(&from, &to).unwrap();
        assert_eq!(fs::metadata(to.join("mysqld")).unwrap().mode() & 0o7777, 0o2750);
        assert_eq!(fs::read_to_string(to.join("mysqld/deep/note")).unwrap(), "text");
        assert_eq!(fs::read_link(to.join("link")).unwrap(), Path::new("mysqld"));
        for left_out in ["mysqld/server.pid", "mysqld/socket", "large"] {
            assert!(to.join(left_out).symlink_metadata().is_err(), "{left_out}");
        }
        empty(&to).unwrap();
        assert_eq!(fs::read_dir(&to).unwrap().count(), 0);
    }
}
