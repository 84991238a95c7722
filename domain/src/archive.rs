//! The content of an archive that was accepted; `wrenn-actors` checks and reads archives.

/// Digest of an entry of an archive: of its content, kind and mode.
pub type EntryDigest = [u8; 32];

/// Packing of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Plain tar.
    Tar,
    /// Tar within gzip.
    TarGz,
    /// Zip.
    Zip,
}

/// Kind of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File {
        /// Unpacked size.
        size_bytes: u64,
        /// True if its owner may execute the file.
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

/// Entry of an archive; its path is relative, without `.`, `..` or double slashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Path in the archive.
    pub path: String,
    /// Kind of the entry.
    pub kind: Kind,
}

/// Content of an archive that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// Packing of the archive.
    pub format: Format,
    /// In the order of the archive.
    pub entries: Vec<Entry>,
    /// Unpacked size of its files.
    pub unpacked_bytes: u64,
}
