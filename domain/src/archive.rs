//! The content of an archive that was accepted; `wrenn-actors` checks and reads archives.

/// Digest of an entry of an archive: of its content, kind and mode.
pub type EntryDigest = [u8; 32];

/// How an archive is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Plain tar.
    Tar,
    /// Tar within gzip.
    TarGz,
    /// Zip.
    Zip,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File {
        /// How long it is, unpacked.
        size_bytes: u64,
        /// Whether its owner may execute it.
        is_executable: bool,
    },
    /// A folder.
    Directory,
    /// A symbolic link.
    Symlink {
        /// Relative to its own folder, and within the archive.
        target: String,
    },
    /// Another name of a regular file that came before.
    Hardlink {
        /// That file's path.
        target: String,
    },
}

/// One entry; its path is relative, without `.`, `..` or double slashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it belongs.
    pub path: String,
    /// What it is.
    pub kind: Kind,
}

/// What is in an archive that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// How it is packed.
    pub format: Format,
    /// In the order of the archive.
    pub entries: Vec<Entry>,
    /// What its files take, unpacked.
    pub unpacked_bytes: u64,
}
