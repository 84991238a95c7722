//! Watching a file or folder: every change is told, until the caller leaves.
//!
//! ```text
//!   inotify ─▶ Tree (which watch is which folder) ─▶ changes ─▶ caller, who may be slow: then the kernel
//!                └── watches for new subfolders          keeps what happens, and says if that was too much
//! ```
//!
//! The kernel watches single folders. For a whole tree each of its folders has a watch, and a new one gets its own as
//! soon as its making is told; what was made in it before that is looked for. A file is watched through its folder,
//! so that it is still watched when it is replaced.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fd::OwnedFd,
    fs::inotify::{self, CreateFlags, ReadFlags},
    io::Errno,
};
use wrenn_proto::guest::{FileChange, FileChanged, FileKind, FileReady, FileWatch, file_event::Event};

use super::{
    caller::{Caller, blocking},
    entry,
    error::{FsError, failed},
    place::{Place, path_of},
    rights::with_rights_of,
};
use crate::{
    accounts::{self, Account},
    sys::watch_readable,
};

mod tree;

use tree::{Depth, Found, Tree};

/// Most that is looked at before the caller is told, in raw events.
const BATCH_EVENTS: usize = 512;
/// What the kernel's events are read into: a multiple of the longest one.
const BUFFER_BYTES: usize = 16 * 1024;
/// How long the second half of a move may take to be told after the first: they are made in one step.
const MOVE_HALVES: Timespec = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };

/// Tells every change of what `watch` names, with the rights of `user`.
pub(super) async fn run(user: String, watch: FileWatch, caller: Caller) -> Result<(), FsError> {
    let mut watcher = blocking(move || {
        let account = accounts::lookup(&user)?;
        with_rights_of(&account.clone(), || Watcher::new(account, &watch))
    })
    .await?;
    let inotify = watcher.tree.inotify();
    let readable = watch_readable(inotify).map_err(FsError::Lost)?;
    caller.send(Event::Ready(FileReady {})).await?;
    loop {
        let mut ready = tokio::select! {
            ready = readable.readable() => ready.map_err(FsError::Lost)?,
            () = caller.gone() => return Err(FsError::CallerGone),
        };
        let batch;
        (watcher, batch) = blocking(move || Ok(watcher.look())).await?;
        for change in batch.changes {
            caller.send(Event::Changed(change)).await?;
        }
        match batch.rest {
            Rest::Waits => ready.retain_ready(),
            Rest::None => ready.clear_ready(),
            Rest::Gone => return Err(FsError::WatchedGone(watcher.shown)),
            Rest::Failed(error) => return Err(error),
        }
    }
}

/// What was found in one look.
struct Batch {
    changes: Vec<FileChanged>,
    rest: Rest,
}

/// What is to be expected after a look.
enum Rest {
    /// There is more already.
    Waits,
    /// Nothing, until the kernel says so.
    None,
    /// Nothing at all: what was watched is not there any more.
    Gone,
    /// It cannot go on.
    Failed(FsError),
}

/// A watch that a caller wanted.
struct Watcher {
    account: Account,
    shown: PathBuf,
    /// Only this one of the watched folder is told.
    only: Option<PathBuf>,
    tree: Tree,
    /// The first half of a move.
    leaving: Option<Leaving>,
}

struct Leaving {
    cookie: u32,
    path: PathBuf,
    kind: FileKind,
}

/// An event of the kernel, with its name.
struct Raw {
    watch: i32,
    what: ReadFlags,
    cookie: u32,
    name: Option<OsString>,
}

impl Watcher {
    fn new(account: Account, watch: &FileWatch) -> Result<Self, FsError> {
        let place = Place::new(&account.home, "path", &watch.path)?;
        let stat = rustix::fs::stat(&place.raw).map_err(failed("watch", &place.shown))?;
        let inotify =
            inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).map_err(|error| match error {
                Errno::MFILE => FsError::NoWatchLeft,
                error => failed("watch", &place.shown)(error),
            })?;
        let inotify = Arc::new(inotify);
        let (root, only, depth) = if entry::kind(&stat) == FileKind::Directory {
            (place.shown.clone(), None, if watch.recursive { Depth::All } else { Depth::One })
        } else {
            let place = place.clone().named()?;
            let folder = place.shown.parent().unwrap_or(&place.shown).to_owned();
            (folder, Some(place.shown), Depth::One)
        };
        let tree = Tree::new(inotify, root, depth)?;
        Ok(Self { account, shown: place.shown, only, tree, leaving: None })
    }

    /// Reads what the kernel has to tell.
    fn look(mut self) -> (Self, Batch) {
        let mut changes = Vec::new();
        let account = self.account.clone();
        let rest = with_rights_of(&account, || self.read(&mut changes)).unwrap_or_else(Rest::Failed);
        if let Some(only) = &self.only {
            changes.retain(|change| is_about(change, only));
        }
        (self, Batch { changes, rest })
    }

    fn read(&mut self, changes: &mut Vec<FileChanged>) -> Result<Rest, FsError> {
        let mut buffer = Vec::with_capacity(BUFFER_BYTES);
        let inotify = self.tree.inotify();
        let mut reader = inotify::Reader::new(&*inotify, buffer.spare_capacity_mut());
        let mut seen = 0;
        loop {
            if seen >= BATCH_EVENTS && reader.is_buffer_empty() && self.leaving.is_none() {
                return Ok(Rest::Waits);
            }
            let raw = match reader.next() {
                Ok(event) => Raw {
                    watch: event.wd(),
                    what: event.events(),
                    cookie: event.cookie(),
                    name: event.file_name().map(|name| path_of(name).as_os_str().to_owned()),
                },
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => {
                    if self.leaving.is_some() && waits_for_more(&inotify) {
                        continue;
                    }
                    self.leave(changes);
                    self.tree.is_quiet();
                    return Ok(Rest::None);
                }
                Err(error) => return Err(failed("watch", &self.shown)(error)),
            };
            seen += 1;
            if self.take(raw, changes)? == Watched::Gone {
                return Ok(Rest::Gone);
            }
        }
    }

    /// Makes changes of one event.
    fn take(&mut self, raw: Raw, changes: &mut Vec<FileChanged>) -> Result<Watched, FsError> {
        let is_second_half = raw.what.contains(ReadFlags::MOVED_TO)
            && self.leaving.as_ref().is_some_and(|leaving| leaving.cookie == raw.cookie);
        if !is_second_half {
            self.leave(changes);
        }
        if raw.what.contains(ReadFlags::QUEUE_OVERFLOW) {
            changes.push(change(FileChange::Overflow, &self.shown));
            self.tree.look_again()?;
            return Ok(Watched::Still);
        }
        if raw.what.contains(ReadFlags::IGNORED) {
            self.tree.forget(raw.watch);
            return Ok(Watched::Still);
        }
        let Some(folder) = self.tree.folder(raw.watch) else { return Ok(Watched::Still) };
        let Some(name) = raw.name else {
            let is_gone =
                raw.what.intersects(ReadFlags::DELETE_SELF | ReadFlags::MOVE_SELF | ReadFlags::UNMOUNT);
            if is_gone && self.tree.is_root(raw.watch) {
                changes.push(change(FileChange::Removed, &self.shown));
                return Ok(Watched::Gone);
            }
            if raw.what.contains(ReadFlags::ATTRIB) && self.tree.is_root(raw.watch) {
                changes.push(change(FileChange::Attributes, &self.shown));
            }
            return Ok(Watched::Still);
        };
        let path = folder.join(name);
        let kind = if raw.what.contains(ReadFlags::ISDIR) { FileKind::Directory } else { FileKind::File };
        if raw.what.contains(ReadFlags::MOVED_FROM) {
            self.leaving = Some(Leaving { cookie: raw.cookie, path, kind });
        } else if raw.what.contains(ReadFlags::MOVED_TO) {
            self.arrive(path, kind, changes)?;
        } else if raw.what.contains(ReadFlags::CREATE) {
            self.appear(path, kind, changes)?;
        } else if raw.what.contains(ReadFlags::DELETE) {
            tell(changes, FileChange::Removed, &path);
        } else if raw.what.intersects(ReadFlags::MODIFY | ReadFlags::CLOSE_WRITE) {
            tell(changes, FileChange::Written, &path);
        } else if raw.what.contains(ReadFlags::ATTRIB) {
            // A subfolder tells it, too, but its own watch has no name for it.
            if !is_nameless(&path) {
                tell(changes, FileChange::Attributes, &path);
            }
        }
        Ok(Watched::Still)
    }

    /// Something was moved here: within what is watched, or from elsewhere.
    fn arrive(
        &mut self,
        path: PathBuf,
        kind: FileKind,
        changes: &mut Vec<FileChanged>,
    ) -> Result<(), FsError> {
        let Some(leaving) = self.leaving.take() else { return self.appear(path, kind, changes) };
        if is_hidden(&leaving.path) {
            // A file that was uploaded takes its place.
            tell(changes, FileChange::Written, &path);
            return Ok(());
        }
        if kind == FileKind::Directory {
            self.tree.rename(&leaving.path, &path);
        }
        changes.push(FileChanged {
            kind: FileChange::Renamed.into(),
            path: path.to_string_lossy().into_owned(),
            from: leaving.path.to_string_lossy().into_owned(),
        });
        Ok(())
    }

    /// Something is new.
    fn appear(
        &mut self,
        path: PathBuf,
        kind: FileKind,
        changes: &mut Vec<FileChanged>,
    ) -> Result<(), FsError> {
        if !self.tree.was_told(&path) {
            tell(changes, FileChange::Created, &path);
        }
        if kind == FileKind::Directory {
            // What is in it was made before it was watched, or is told a second time.
            let found = self.tree.add(path, &mut |path| tell(changes, FileChange::Created, path))?;
            if found == Found::TooMuch {
                changes.push(change(FileChange::Overflow, &self.shown));
            }
        }
        Ok(())
    }

    /// What began to move has left what is watched.
    fn leave(&mut self, changes: &mut Vec<FileChanged>) {
        let Some(leaving) = self.leaving.take() else { return };
        if leaving.kind == FileKind::Directory {
            self.tree.remove(&leaving.path);
        }
        tell(changes, FileChange::Removed, &leaving.path);
    }
}

#[derive(PartialEq, Eq)]
enum Watched {
    Still,
    Gone,
}

/// Whether there is more to read within a moment.
fn waits_for_more(inotify: &OwnedFd) -> bool {
    let mut wanted = [PollFd::new(inotify, PollFlags::IN)];
    poll(&mut wanted, Some(&MOVE_HALVES)).is_ok_and(|ready| ready > 0)
}

fn change(kind: FileChange, path: &Path) -> FileChanged {
    FileChanged { kind: kind.into(), path: path.to_string_lossy().into_owned(), from: String::new() }
}

/// Adds a change, unless it is about a name that only exists while a file is put into its place, or is the same as the
/// one before: a file that is written is told again and again.
fn tell(changes: &mut Vec<FileChanged>, kind: FileChange, path: &Path) {
    if is_hidden(path) {
        return;
    }
    let change = change(kind, path);
    if changes.last() != Some(&change) {
        changes.push(change);
    }
}

fn is_hidden(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.as_encoded_bytes().starts_with(super::staged::HIDDEN_PREFIX.as_bytes()))
}

/// Whether it is a file without a name, such as an upload under way, for which the kernel makes one up.
fn is_nameless(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.as_encoded_bytes()).and_then(|name| name.strip_prefix(b"#"));
    name.is_some_and(|number| number.iter().all(u8::is_ascii_digit)) && !path.is_symlink() && !path.exists()
}

fn is_about(change: &FileChanged, only: &Path) -> bool {
    let only = only.to_string_lossy();
    change.kind() == FileChange::Overflow || change.path == only || change.from == only
}
