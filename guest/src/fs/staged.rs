//! A file in the making: it appears complete, or not at all.
//!
//! It has no name until it is put into its place, so a caller, a daemon or a machine that goes away leaves nothing
//! behind. Where a filesystem has no such files a hidden name is used, and removed.

use std::{
    ffi::OsStr,
    fs::File,
    os::fd::AsRawFd as _,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use rustix::{
    fd::{AsFd, OwnedFd},
    fs::{AtFlags, CWD, Mode, OFlags, linkat, openat, renameat, unlinkat},
    io::Errno,
};

/// Names that only exist for as long as something is being put into its place begin with this.
pub(super) const HIDDEN_PREFIX: &str = ".wrenn-upload-";
/// How many hidden names are tried; those before may be left from a crash.
const HIDDEN_TRIES: usize = 1000;

/// A file that is complete only when it is put into its place, and gone if it is not.
pub(super) struct Staged<'a> {
    pub(super) file: File,
    folder: &'a OwnedFd,
    /// The hidden name that it has at the moment.
    hidden: Option<String>,
}

impl<'a> Staged<'a> {
    /// Makes an empty one, which only its owner may read and write, for a place in `folder`.
    pub(super) fn new(folder: &'a OwnedFd) -> Result<Self, Errno> {
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        match openat(folder, ".", flags | OFlags::TMPFILE, mode) {
            Ok(file) => return Ok(Self { file: file.into(), folder, hidden: None }),
            // Not with this filesystem, or not with this kernel.
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT | Errno::INVAL) => {}
            Err(error) => return Err(error),
        }
        let create = |name: &str| openat(folder, name, flags | OFlags::CREATE | OFlags::EXCL, mode);
        let (file, hidden) = with_hidden_name(create)?;
        Ok(Self { file: file.into(), folder, hidden: Some(hidden) })
    }

    /// Gives it its name; a file or link that has it is replaced in one step.
    pub(super) fn put(mut self, name: &OsStr) -> Result<(), Errno> {
        let from = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        let link = |to: &Path| linkat(CWD, from.as_str(), self.folder, to, AtFlags::SYMLINK_FOLLOW);
        if self.hidden.is_none() {
            match link(Path::new(name)) {
                Ok(()) => return Ok(()),
                Err(Errno::EXIST) => {}
                Err(error) => return Err(error),
            }
            let ((), hidden) = with_hidden_name(|name| link(Path::new(name)))?;
            self.hidden = Some(hidden);
        }
        if let Some(hidden) = &self.hidden {
            renameat(self.folder, hidden.as_str(), self.folder, name)?;
            self.hidden = None;
        }
        Ok(())
    }
}

impl Drop for Staged<'_> {
    fn drop(&mut self) {
        if let Some(hidden) = &self.hidden {
            let _ = unlinkat(self.folder.as_fd(), hidden.as_str(), AtFlags::empty());
        }
    }
}

/// Makes a link, hard or symbolic, in `folder`; a file or link that has its name is replaced in one step.
pub(super) fn put_link(
    folder: &OwnedFd,
    name: &OsStr,
    make: impl Fn(&Path) -> Result<(), Errno>,
) -> Result<(), Errno> {
    match make(Path::new(name)) {
        Err(Errno::EXIST) => {}
        made => return made,
    }
    let ((), hidden) = with_hidden_name(|hidden| make(Path::new(hidden)))?;
    let renamed = renameat(folder, hidden.as_str(), folder, name);
    // It is still there if that failed, and also if both are the same file, of which a rename does nothing.
    let _ = unlinkat(folder, hidden.as_str(), AtFlags::empty());
    renamed
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
