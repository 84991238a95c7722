//! Unpacking an archive into a folder.
//!
//! ```text
//!   data … end ─▶ Stream ─▶ tar ─▶ name checked ─▶ parents walked or made ─▶ file, folder, link
//!                                                                               └─ folders' modes and times at the end
//! ```
//!
//! It is done with the daemon's own rights, and all that is made is given to the user. Each file appears complete, with its
//! owner, mode and time, but unlike a single one that is written it is not waited for until it is on the disk: an
//! archive has many, and whoever needs them there syncs them all at once.
//!
//! What happens on failure: the archive is not taken further, and what was unpacked so far stays, whole. So it is also
//! if the caller goes away, or the archive is cut off. Nothing is left of a file that was under way.

mod stream;
mod tree;

use std::{
    ffi::OsStr,
    io::{self, Read as _, Write as _},
    os::unix::ffi::OsStrExt as _,
    path::{Component, Path, PathBuf},
    time::{Duration, SystemTime},
};

use rustix::{
    fs::{AtFlags, Mode, linkat, symlinkat},
    io::Errno,
};
use tar::{Archive, Entry, EntryType};
use wrenn_proto::guest::{FileReady, file_event::Event};

use self::{
    stream::Stream,
    tree::{Attributes, Owner, Tree, set},
};
use super::{
    caller::{Caller, Inputs},
    error::{FsError, failed},
    place::Place,
    staged::{Staged, put_link},
};
use crate::accounts::Account;

/// Content is written in pieces of this size, in bytes.
const CHUNK_BYTES: usize = 128 * 1024;
/// What is kept of an archive's modes: nothing by which a program would run as somebody else.
const MODE_BITS: u32 = 0o777;

/// Takes an archive until its end, and makes what is in it.
pub(super) fn run(place: &Place, account: &Account, inputs: Inputs, caller: &Caller) -> Result<(), FsError> {
    let mut tree = Tree::open(&place.shown, Owner::of(account))?;
    caller.tell(Event::Ready(FileReady {}))?;
    let mut archive = Archive::new(Stream::new(inputs));
    let unpacked = unpack(&mut archive, &mut tree, caller);
    // Why there was no more of the archive is why it could not be read.
    archive.into_inner().finish(unpacked.is_ok())?;
    unpacked?;
    tree.finish()
}

fn unpack(archive: &mut Archive<Stream>, tree: &mut Tree, caller: &Caller) -> Result<(), FsError> {
    let mut buffer = vec![0; CHUNK_BYTES];
    for entry in archive.entries().map_err(FsError::Archive)? {
        let mut entry = entry.map_err(FsError::Archive)?;
        if caller.is_gone() {
            return Err(FsError::CallerGone);
        }
        let name = entry.path_bytes().into_owned();
        let name = inside(&name).ok_or_else(|| FsError::Leaves(shown(&name)))?;
        match entry.header().entry_type() {
            EntryType::Regular | EntryType::Continuous => file(tree, &name, &mut entry, &mut buffer)?,
            EntryType::Directory => tree.make_folder(&name, attributes(&entry))?,
            EntryType::Symlink => symlink(tree, &name, &entry)?,
            EntryType::Link => hard_link(tree, &name, &entry)?,
            // What applies to all that follows, as comments.
            EntryType::XGlobalHeader => {}
            _ => return Err(FsError::Unpackable(tree.shown(&name))),
        }
    }
    Ok(())
}

fn file(
    tree: &mut Tree,
    name: &Path,
    entry: &mut Entry<'_, Stream>,
    buffer: &mut [u8],
) -> Result<(), FsError> {
    let owner = tree.owner;
    let shown = tree.shown(name);
    let Attributes { mode, modified } = attributes(entry);
    let (folder, last) = tree.parent_of(name)?;
    let mut staged = Staged::new(folder).map_err(failed("write", &shown))?;
    let mut left = entry.size();
    while left > 0 {
        let read = match entry.read(buffer) {
            Ok(0) => return Err(FsError::Archive(io::ErrorKind::UnexpectedEof.into())),
            Ok(read) => read,
            Err(error) => return Err(FsError::Archive(error)),
        };
        staged.file.write_all(buffer.get(..read).unwrap_or_default()).map_err(failed("write", &shown))?;
        left = left.saturating_sub(read as u64);
    }
    owner.give(&staged.file).map_err(failed("write", &shown))?;
    set(&staged.file, mode, modified).map_err(failed("write", &shown))?;
    staged.put(last).map_err(|error| taken(error, &shown))?;
    tree.note_file(name);
    Ok(())
}

fn symlink(tree: &mut Tree, name: &Path, entry: &Entry<'_, Stream>) -> Result<(), FsError> {
    let target = entry.link_name_bytes().unwrap_or_default().into_owned();
    let owner = tree.owner;
    let shown = tree.shown(name);
    let (folder, last) = tree.parent_of(name)?;
    put_link(folder, last, |at| symlinkat(OsStr::from_bytes(&target), folder, at))
        .map_err(|error| taken(error, &shown))?;
    owner.give_at(folder, Path::new(last)).map_err(failed("give away", &shown))?;
    tree.note_link(name)
}

fn hard_link(tree: &mut Tree, name: &Path, entry: &Entry<'_, Stream>) -> Result<(), FsError> {
    let target = entry.link_name_bytes().unwrap_or_default().into_owned();
    let of_archive = inside(&target).filter(|target| tree.has_file(target));
    let Some(target) = of_archive else {
        return Err(FsError::LinkLeaves { link: tree.shown(name), target: shown(&target) });
    };
    let shown = tree.shown(name);
    let (from, from_name) = tree.parent_of(&target)?;
    let from = from.try_clone().map_err(failed("make", &shown))?;
    let (folder, last) = tree.parent_of(name)?;
    put_link(folder, last, |at| linkat(&from, from_name, folder, at, AtFlags::empty()))
        .map_err(|error| taken(error, &shown))?;
    tree.note_file(name);
    Ok(())
}

fn attributes(entry: &Entry<'_, Stream>) -> Attributes {
    let header = entry.header();
    let seconds = header.mtime().unwrap_or_default();
    let modified = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
    Attributes {
        mode: Mode::from_raw_mode(header.mode().unwrap_or_default() & MODE_BITS),
        modified: modified.unwrap_or(SystemTime::UNIX_EPOCH),
    }
}

/// Says what is in the way of a file or link.
fn taken(error: Errno, shown: &Path) -> FsError {
    match error {
        Errno::ISDIR | Errno::EXIST => FsError::IsDirectory(shown.to_owned()),
        error => failed("make", shown)(error),
    }
}

/// Takes the name of an entry apart; none if it leads out of the folder, or is none.
fn inside(name: &[u8]) -> Option<PathBuf> {
    let mut inside = PathBuf::new();
    for component in Path::new(OsStr::from_bytes(name)).components() {
        match component {
            Component::Normal(part) => inside.push(part),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    (!name.is_empty() && !name.contains(&0)).then_some(inside)
}

/// A name of an archive, for people.
fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_in_the_folder_or_is_none() {
        for (name, expected) in [("a", "a"), ("./a//b/", "a/b"), ("a/./b", "a/b"), ("./", ""), ("...", "...")]
        {
            assert_eq!(inside(name.as_bytes()), Some(PathBuf::from(expected)), "{name}");
        }
        for name in ["", "/a", "..", "../a", "a/../b", "a/..", "a\0b"] {
            assert_eq!(inside(name.as_bytes()), None, "{name}");
        }
    }
}
