//! Why something about files could not be done.

use std::{io, path::PathBuf};

use rustix::io::Errno;
use wrenn_proto::guest::{FileFailed, FileFailure, FileKind};

use crate::accounts::LookupError;

/// Why something about files could not be done.
#[derive(Debug, thiserror::Error)]
pub enum FsError {
    /// The first message of the stream did not say what is wanted.
    #[error("the first input must say what is wanted")]
    NoStart,
    /// Something other than data or the end of it came.
    #[error("an input out of order: only data, and then the end of it, may follow")]
    OutOfOrder,
    /// The inputs ended before the end of the data was said.
    #[error("the data broke off before its end; nothing was written")]
    CutOff,
    /// The inputs of an archive ended before its end was said, or it has none.
    #[error("the archive broke off before its end; what was unpacked until then is there")]
    ArchiveCutOff,
    /// It is no archive, or is damaged.
    #[error("the archive cannot be read: {0}")]
    Archive(#[source] io::Error),
    /// An entry of an archive is not in the folder.
    #[error("the archive's entry {0:?} is not within the folder; names must be relative, and without `..`")]
    Leaves(String),
    /// A hard link of an archive to something else.
    #[error("the archive's hard link {} leads to {target:?}; it must lead to a file before it", link.display())]
    LinkLeaves {
        /// The link.
        link: PathBuf,
        /// Where it leads.
        target: String,
    },
    /// A device, pipe or the like in an archive.
    #[error("{} is neither a file nor a folder nor a link; an archive may hold nothing else", .0.display())]
    Unpackable(PathBuf),
    /// Nobody listens any more.
    #[error("the caller is gone")]
    CallerGone,
    /// A path of no length.
    #[error("{field}: must not be empty")]
    EmptyPath {
        /// Which path of the request.
        field: &'static str,
    },
    /// No path has a zero byte in it.
    #[error("{field}: must not contain a zero byte")]
    ZeroByte {
        /// Which path of the request.
        field: &'static str,
    },
    /// The user could not be looked up.
    #[error(transparent)]
    User(#[from] LookupError),
    /// The daemon cannot act for the user.
    #[error("cannot act with the rights of {user}: {source}")]
    Rights {
        /// Which user.
        user: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A folder where a file is expected.
    #[error("{} is a folder; a file is expected", .0.display())]
    IsDirectory(PathBuf),
    /// Something else where a folder is expected.
    #[error("{} is not a folder", .0.display())]
    NotDirectory(PathBuf),
    /// A device, pipe or socket where a file is expected.
    #[error("{} is a {}; a regular file is expected", path.display(), describe(*kind))]
    NotRegular {
        /// Where.
        path: PathBuf,
        /// What it is.
        kind: FileKind,
    },
    /// Something is in the way.
    #[error("{} exists already", .0.display())]
    Exists(PathBuf),
    /// A folder is in the way that is not empty.
    #[error("{} is a folder that is not empty", .0.display())]
    NotEmpty(PathBuf),
    /// The path has no last part that could be removed or moved.
    #[error("{} cannot be removed or moved; name what is in it", .0.display())]
    NoName(PathBuf),
    /// A folder cannot be in itself.
    #[error("{} cannot be moved into itself, to {}", from.display(), to.display())]
    IntoItself {
        /// The folder.
        from: PathBuf,
        /// A place in it.
        to: PathBuf,
    },
    /// Another filesystem is mounted in what was to be removed.
    #[error("another filesystem is mounted at {}; unmount it first", .0.display())]
    MountPoint(PathBuf),
    /// It was moved while it was being removed.
    #[error("{} was moved while it was being removed", .0.display())]
    Moved(PathBuf),
    /// More folders than can be watched.
    #[error("{} has more subfolders than can be watched ({limit}); watch some of them", path.display())]
    TooManyWatches {
        /// The folder.
        path: PathBuf,
        /// How many can be.
        limit: usize,
    },
    /// More watches are open than the kernel allows.
    #[error("too many folders are being watched in this capsule already")]
    NoWatchLeft,
    /// What was watched is not there any more.
    #[error("{} is gone, so nothing is watched any more", .0.display())]
    WatchedGone(PathBuf),
    /// The list was to be deeper than it can be.
    #[error("depth: must be at most {limit}")]
    TooDeep {
        /// How deep it can be.
        limit: u32,
    },
    /// The kernel refused it.
    #[error("cannot {doing} {}: {}", path.display(), explain(source))]
    Kernel {
        /// What was tried.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// Why it was refused.
        #[source]
        source: io::Error,
    },
    /// The thread that worked on it is gone.
    #[error("the work was lost: {0}")]
    Lost(#[source] io::Error),
}

/// Says what was tried with which path, in front of why it failed.
pub(super) fn failed<E: Into<io::Error>>(
    doing: &'static str,
    path: impl Into<PathBuf>,
) -> impl FnOnce(E) -> FsError {
    move |source| FsError::Kernel { doing, path: path.into(), source: source.into() }
}

impl FsError {
    /// Tells the kind of failure to the caller.
    pub fn kind(&self) -> FileFailure {
        match self {
            Self::NoStart
            | Self::OutOfOrder
            | Self::CutOff
            | Self::ArchiveCutOff
            | Self::Archive(_)
            | Self::Leaves(_)
            | Self::LinkLeaves { .. }
            | Self::Unpackable(_)
            | Self::EmptyPath { .. }
            | Self::ZeroByte { .. }
            | Self::NoName(_)
            | Self::IntoItself { .. }
            | Self::TooManyWatches { .. }
            | Self::NoWatchLeft
            | Self::TooDeep { .. } => FileFailure::Invalid,
            Self::User(LookupError::Unknown(_)) => FileFailure::UserUnknown,
            Self::Rights { .. } => FileFailure::NotPermitted,
            Self::IsDirectory(_) => FileFailure::IsDirectory,
            Self::NotDirectory(_) => FileFailure::NotDirectory,
            Self::NotRegular { .. } => FileFailure::NotRegular,
            Self::Exists(_) | Self::NotEmpty(_) => FileFailure::Exists,
            Self::WatchedGone(_) => FileFailure::NotFound,
            Self::MountPoint(_) => FileFailure::CrossDevice,
            Self::User(LookupError::Read { .. }) | Self::CallerGone | Self::Moved(_) | Self::Lost(_) => {
                FileFailure::Internal
            }
            Self::Kernel { source, .. } => {
                Errno::from_io_error(source).map_or(FileFailure::Internal, kind_of)
            }
        }
    }
}

fn kind_of(errno: Errno) -> FileFailure {
    match errno {
        Errno::NOENT => FileFailure::NotFound,
        Errno::ACCESS | Errno::PERM => FileFailure::NotPermitted,
        Errno::NOTDIR => FileFailure::NotDirectory,
        Errno::ISDIR => FileFailure::IsDirectory,
        Errno::EXIST | Errno::NOTEMPTY => FileFailure::Exists,
        Errno::NOSPC | Errno::DQUOT => FileFailure::NoSpace,
        Errno::LOOP => FileFailure::Loop,
        Errno::NAMETOOLONG => FileFailure::NameTooLong,
        Errno::XDEV => FileFailure::CrossDevice,
        Errno::ROFS => FileFailure::ReadOnly,
        Errno::INVAL | Errno::BUSY | Errno::FBIG => FileFailure::Invalid,
        _ => FileFailure::Internal,
    }
}

/// Says what the kernel means, and what would be right.
fn explain(error: &io::Error) -> String {
    let text = match Errno::from_io_error(error) {
        Some(Errno::NOENT) => "there is no such file or folder",
        Some(Errno::ACCESS | Errno::PERM) => "permission denied",
        Some(Errno::NOTDIR) => "a part of the path is not a folder",
        Some(Errno::EXIST) => "something is there already",
        Some(Errno::NOTEMPTY) => "the folder is not empty",
        Some(Errno::NOSPC) => "the disk is full",
        Some(Errno::DQUOT) => "the user's share of the disk is full",
        Some(Errno::FBIG) => "the file would be larger than the filesystem takes",
        Some(Errno::LOOP) => "links lead in a circle",
        Some(Errno::NAMETOOLONG) => "a name may have 255 bytes, and a path 4095",
        Some(Errno::XDEV) => "the two places are on different filesystems; copy it, and remove the original",
        Some(Errno::ROFS) => "the filesystem is read-only",
        Some(Errno::BUSY) => "it is in use, for example as a mount point",
        _ => return error.to_string(),
    };
    text.to_owned()
}

fn describe(kind: FileKind) -> &'static str {
    match kind {
        FileKind::Fifo => "pipe",
        FileKind::Socket => "socket",
        FileKind::CharDevice | FileKind::BlockDevice => "device",
        _ => "special file",
    }
}

impl From<FsError> for FileFailed {
    fn from(error: FsError) -> Self {
        Self { kind: error.kind().into(), message: error.to_string() }
    }
}
