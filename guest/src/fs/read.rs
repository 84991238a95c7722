//! Reading a file, piece by piece, as fast as the caller takes it.

use bytes::Bytes;
use rustix::{
    buffer::spare_capacity,
    fs::{CWD, Mode, OFlags, fstat, open, stat},
    io::{Errno, read},
};
use wrenn_proto::guest::{FileKind, file_event::Event};

use super::{
    caller::Caller,
    entry,
    error::{FsError, failed},
    place::Place,
};
use crate::accounts::Names;

/// Most that one event carries, in bytes: several fit into a stream's window, so that one is under way while another one is
/// read.
const CHUNK_BYTES: usize = 120 * 1024;

/// Tells what the file is, and then its content.
pub(super) fn run(place: &Place, names: &Names, caller: &Caller) -> Result<(), FsError> {
    // Looked at before it is opened: opening a device may do something.
    let found = stat(&place.raw).map_err(failed("read", &place.shown))?;
    check(place, entry::kind(&found))?;
    // Something else may be there meanwhile; without this, opening a pipe waits for somebody to write into it.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = open(&place.raw, flags, Mode::empty()).map_err(failed("read", &place.shown))?;
    let opened = fstat(&file).map_err(failed("read", &place.shown))?;
    check(place, entry::kind(&opened))?;
    caller.tell(Event::Entry(entry::entry(names, &place.shown, &opened, CWD, &place.raw)))?;
    // Files of the kernel have no size and yet something in them, so only their end ends them.
    let expected = usize::try_from(opened.st_size).unwrap_or(usize::MAX);
    let mut capacity = if expected == 0 { CHUNK_BYTES } else { expected.saturating_add(1).min(CHUNK_BYTES) };
    loop {
        let mut chunk = Vec::with_capacity(capacity);
        let is_end = fill(&file, &mut chunk).map_err(failed("read", &place.shown))?;
        if !chunk.is_empty() {
            caller.tell(Event::Data(Bytes::from(chunk)))?;
        }
        if is_end {
            return Ok(());
        }
        capacity = CHUNK_BYTES;
    }
}

/// Reads until the chunk is full or the file ends; whether it has ended.
fn fill(file: &impl rustix::fd::AsFd, chunk: &mut Vec<u8>) -> Result<bool, Errno> {
    while chunk.len() < chunk.capacity() {
        match read(file, spare_capacity(chunk)) {
            // The second is what a file of the kernel says that would wait for more to happen.
            Ok(0) | Err(Errno::AGAIN) => return Ok(true),
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

fn check(place: &Place, kind: FileKind) -> Result<(), FsError> {
    match kind {
        FileKind::File => Ok(()),
        FileKind::Directory => Err(FsError::IsDirectory(place.shown.clone())),
        kind => Err(FsError::NotRegular { path: place.shown.clone(), kind }),
    }
}
