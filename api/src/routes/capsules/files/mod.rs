//! Files of a capsule: one session with its guest for each request.
//!
//! ```text
//!   client ─ form, piece by piece ─▶ upload   ─▶ session ─▶ guest      stops when the guest does not write
//!          ◀──── body, piece by piece ─ download ◀─ session ◀─ guest   stops when the client does not read
//! ```
//!
//! Content is streamed; only the entries of a list are collected, of which there is a bounded number. A side that makes
//! no progress for [`STALLED`] is given up.

pub(crate) mod exists;
mod failure;
pub(crate) mod list;
pub(crate) mod mkdir;
pub(crate) mod read;
pub(crate) mod remove;
pub(crate) mod rename;
mod session;
pub(crate) mod stat;
mod upload;
pub(crate) mod watch;
pub(crate) mod write;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wrenn_proto::guest::{self, FileKind};

pub(crate) use failure::FileError;

use crate::http::form::STALLED;

/// A path in the capsule.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PathRequest {
    /// A relative path starts at the user's home.
    #[schema(example = "/etc/hostname")]
    path: String,
    /// User whose rights apply; by default the capsule's `default_user`.
    #[schema(nullable = false, required = false)]
    user: Option<String>,
}

/// Type of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum FileType {
    File,
    Directory,
    Symlink,
}

/// Kind of a special file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SpecialFile {
    Fifo,
    Socket,
    CharDevice,
    BlockDevice,
}

/// Metadata of a file, folder or link; for a link, the link's own.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FileEntry {
    /// Bytes that are not UTF-8 are replaced.
    name: String,
    path: String,
    r#type: FileType,
    /// For a `file` that is a pipe, socket or device.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, required = false)]
    special: Option<SpecialFile>,
    /// In bytes.
    size: u64,
    /// Permission bits, with set-uid, set-gid and sticky.
    #[schema(example = 420)]
    mode: u32,
    /// As `ls -l` shows it.
    #[schema(example = "-rw-r--r--")]
    permissions: String,
    /// By name, or by number where there is none.
    owner: String,
    group: String,
    /// Seconds since 1970.
    modified_at: i64,
    /// Null unless it is a link.
    #[schema(required = true)]
    symlink_target: Option<String>,
}

/// Entry at a path.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EntryResponse {
    entry: FileEntry,
}

impl From<guest::FileEntry> for FileEntry {
    fn from(entry: guest::FileEntry) -> Self {
        let kind = entry.kind();
        let (r#type, special) = types(kind);
        Self {
            r#type,
            special,
            size: entry.size,
            mode: entry.mode & 0o7777,
            permissions: permissions(kind, entry.mode),
            modified_at: entry.modified_at,
            symlink_target: (kind == FileKind::Symlink).then_some(entry.symlink_target),
            name: entry.name,
            path: entry.path,
            owner: entry.owner,
            group: entry.group,
        }
    }
}

/// Returns the type of an entry in the API: everything but folders and links is a file.
fn types(kind: FileKind) -> (FileType, Option<SpecialFile>) {
    match kind {
        FileKind::Directory => (FileType::Directory, None),
        FileKind::Symlink => (FileType::Symlink, None),
        FileKind::Fifo => (FileType::File, Some(SpecialFile::Fifo)),
        FileKind::Socket => (FileType::File, Some(SpecialFile::Socket)),
        FileKind::CharDevice => (FileType::File, Some(SpecialFile::CharDevice)),
        FileKind::BlockDevice => (FileType::File, Some(SpecialFile::BlockDevice)),
        FileKind::File | FileKind::Unspecified => (FileType::File, None),
    }
}

fn permissions(kind: FileKind, mode: u32) -> String {
    let first = match kind {
        FileKind::Directory => 'd',
        FileKind::Symlink => 'l',
        FileKind::Fifo => 'p',
        FileKind::Socket => 's',
        FileKind::CharDevice => 'c',
        FileKind::BlockDevice => 'b',
        FileKind::File | FileKind::Unspecified => '-',
    };
    let mut text = String::from(first);
    // For each class: its bits, and the special bit that replaces `x`.
    for (shift, special_bit, special) in [(6, 0o4000, 's'), (3, 0o2000, 's'), (0, 0o1000, 't')] {
        let bits = mode >> shift;
        text.push(if bits & 4 == 0 { '-' } else { 'r' });
        text.push(if bits & 2 == 0 { '-' } else { 'w' });
        text.push(match (bits & 1 != 0, mode & special_bit != 0) {
            (false, false) => '-',
            (true, false) => 'x',
            (true, true) => special,
            (false, true) => special.to_ascii_uppercase(),
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_shown_as_by_ls() {
        for (kind, mode, shown) in [
            (FileKind::File, 0o644, "-rw-r--r--"),
            (FileKind::Directory, 0o1777, "drwxrwxrwt"),
            (FileKind::File, 0o4755, "-rwsr-xr-x"),
            (FileKind::File, 0o2640, "-rw-r-S---"),
            (FileKind::File, 0o7000, "---S--S--T"),
            (FileKind::Symlink, 0o777, "lrwxrwxrwx"),
            (FileKind::Fifo, 0o600, "prw-------"),
            (FileKind::BlockDevice, 0o660, "brw-rw----"),
        ] {
            assert_eq!(permissions(kind, mode), shown);
        }
    }

    #[test]
    fn what_the_contract_has_no_word_for_is_a_special_file() {
        let entry = guest::FileEntry { kind: FileKind::Fifo.into(), ..Default::default() };
        let json = serde_json::to_value(FileEntry::from(entry)).unwrap();
        assert_eq!((&json["type"], &json["special"]), (&"file".into(), &"fifo".into()));
        assert!(json["symlink_target"].is_null());
        let link = guest::FileEntry {
            kind: FileKind::Symlink.into(),
            symlink_target: "there".into(),
            ..Default::default()
        };
        let json = serde_json::to_value(FileEntry::from(link)).unwrap();
        assert_eq!(json["symlink_target"], "there");
        assert!(json.get("special").is_none());
    }
}
