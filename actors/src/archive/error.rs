//! Why an archive is not accepted.

use std::{fmt, io};

use super::{MAX_BYTES, MAX_ENTRIES, MAX_NAME_BYTES, MAX_PATH_BYTES, MAX_RATIO, MAX_UNPACKED_BYTES};

/// Longest name that is repeated in a message, in characters.
const SHOWN_CHARS: usize = 200;

/// Why an archive is not accepted, and which of its entries is to blame.
#[derive(Debug, thiserror::Error)]
pub struct ArchiveError {
    /// The entry's name, as far as it can be shown.
    pub entry: Option<String>,
    /// What is wrong.
    #[source]
    pub fault: Fault,
}

impl ArchiveError {
    pub(super) fn whole(fault: Fault) -> Self {
        Self { entry: None, fault }
    }

    pub(super) fn of(name: &[u8], fault: Fault) -> Self {
        let name = String::from_utf8_lossy(name);
        let shown = name.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).take(SHOWN_CHARS);
        Self { entry: Some(shown.collect()), fault }
    }
}

impl fmt::Display for ArchiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.entry {
            Some(entry) => write!(f, "entry `{entry}`: {}", self.fault),
            None => self.fault.fmt(f),
        }
    }
}

/// What is wrong with an archive.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// It is none of the formats.
    #[error("this is neither a tar, nor a tar.gz, nor a zip archive")]
    Format,
    /// It is too large as it is.
    #[error("the archive is larger than {} MB", MAX_BYTES >> 20)]
    TooLarge,
    /// It ends too early, or is damaged.
    #[error("the archive is damaged or cut off: {0}")]
    Damaged(#[source] io::Error),
    /// There are too many entries.
    #[error("there are more than {MAX_ENTRIES} entries")]
    TooMany,
    /// Too much comes out of it.
    #[error("more than {} MB come out of the archive", MAX_UNPACKED_BYTES >> 20)]
    Bomb,
    /// Too much comes out of little.
    #[error("more than {MAX_RATIO} times as much comes out as the archive is large")]
    Ratio,
    /// The name is empty, or nothing but dots and slashes where a file should be.
    #[error("it has no name")]
    NoName,
    /// The name is not text.
    #[error("its name is not UTF-8, or has a control character in it")]
    NotText,
    /// The name begins at the root.
    #[error("its name is absolute; pack relative names")]
    Absolute,
    /// The name leaves the archive.
    #[error("its name leaves the archive with `..`")]
    Traversal,
    /// The name has a backslash, which some unpackers take for a slash.
    #[error("its name has a backslash in it; use `/` between folders")]
    Backslash,
    /// The name is too long.
    #[error("its name is longer than {MAX_PATH_BYTES} bytes, or a part of it than {MAX_NAME_BYTES}")]
    LongName,
    /// There is another entry of that name.
    #[error("there are two entries of this name")]
    Duplicate,
    /// It lies below something that is no folder.
    #[error("`{0}` is a file or a link, so nothing can lie below it")]
    BelowFile(String),
    /// A link that leaves the archive.
    #[error("it is a link to `{0}`, which leaves the archive")]
    LinkLeaves(String),
    /// A hard link to something that is not there, or no file.
    #[error("it is a hard link to `{0}`, which is no file before it")]
    HardlinkTarget(String),
    /// A device, pipe or the like.
    #[error("it is {0}; only files, folders and links are accepted")]
    Special(&'static str),
    /// Entries share their bytes, as in a bomb.
    #[error("its entries overlap")]
    Overlap,
    /// An encrypted entry.
    #[error("it is encrypted")]
    Encrypted,
    /// Packed in a way that is not read.
    #[error("it is compressed in a way that is not supported; use deflate")]
    Compression,
}
