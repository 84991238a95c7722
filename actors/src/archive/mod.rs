//! Archives that come with a build: what is accepted, and what is in them.
//!
//! ```text
//!   bytes ─ magic ─▶ tar | tar.gz | zip ─▶ entries ─▶ rules ─▶ Contents
//!                         (every byte is unpacked and counted, none is kept)
//! ```
//!
//! An archive is hostile until it was checked. It is read once to its end when it is uploaded: names, links and sizes are
//! judged, and sizes are those of what really comes out, not those that are announced. What is wrong is told with the
//! name of the entry. Whoever unpacks it later relies on this check, and on nothing that the archive says.

mod error;
pub mod pack;
mod read;
mod rules;

use std::io::{Read, Seek};

use wrenn_domain::archive::Contents;

pub use self::error::{ArchiveError, Fault};

/// Largest archive, as it is uploaded.
pub const MAX_BYTES: u64 = 100 * 1024 * 1024;
/// Entries of one archive.
pub const MAX_ENTRIES: usize = 100_000;
/// What may come out of one archive, in bytes.
pub const MAX_UNPACKED_BYTES: u64 = 2 * 1024 * 1024 * 1024;
/// How much more may come out than goes in; text compresses to a twentieth, zeros to a thousandth.
pub const MAX_RATIO: u64 = 100;
/// Below this, in bytes, the ratio does not matter.
pub const RATIO_FREE_BYTES: u64 = 16 * 1024 * 1024;
/// Longest path, in bytes.
pub const MAX_PATH_BYTES: usize = 1024;
/// Longest part of a path, in bytes (`NAME_MAX` of Linux).
pub const MAX_NAME_BYTES: usize = 255;

/// Checks an archive as a whole. Takes as long as unpacking it; not for a thread that serves others.
///
/// # Errors
/// See [`ArchiveError`].
pub fn check(mut archive: impl Read + Seek) -> Result<Contents, ArchiveError> {
    read::read(&mut archive)
}

#[cfg(test)]
mod tests;
