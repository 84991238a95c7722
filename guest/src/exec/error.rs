//! Why a command could not be started.

use std::{io, path::PathBuf};

use wrenn_proto::guest::{ExecFailed, ExecFailure};

use crate::{accounts::LookupError, environment::BadVariable};

/// Why a command could not be started. Nothing runs when one of these is returned.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    /// The first message of the stream was not `start`.
    #[error("the first input must be the start of a command")]
    NoStart,
    /// The command is empty.
    #[error("the command is empty")]
    NoCommand,
    /// Something that becomes a C string has a zero byte in it.
    #[error("{what} contains a zero byte")]
    ZeroByte {
        /// Which part of the request.
        what: &'static str,
    },
    /// A variable that no process can be given.
    #[error(transparent)]
    Variable(#[from] BadVariable),
    /// A running background process has this tag.
    #[error("a running process has the tag {0:?}")]
    TagTaken(String),
    /// Arguments and environment are larger than the kernel takes.
    #[error("arguments and environment are too large")]
    TooLarge,
    /// The user could not be looked up.
    #[error(transparent)]
    User(#[from] LookupError),
    /// The requested working directory is not there.
    #[error("no such working directory: {}", .0.display())]
    NoWorkingDirectory(PathBuf),
    /// No such program, or the interpreter in its first line is not there.
    #[error("no such program: {0}")]
    NotFound(String),
    /// The user may not run the program or enter the directory.
    #[error("{user} may not run {program} in {}", cwd.display())]
    NotPermitted {
        /// What was to be run.
        program: String,
        /// As whom.
        user: String,
        /// Where.
        cwd: PathBuf,
    },
    /// The kernel would not start a process.
    #[error("cannot start a process: {0}")]
    Start(#[source] io::Error),
}

impl ExecError {
    /// Tells the kind of failure to the caller.
    pub fn kind(&self) -> ExecFailure {
        match self {
            Self::NoStart
            | Self::NoCommand
            | Self::ZeroByte { .. }
            | Self::Variable(_)
            | Self::TagTaken(_)
            | Self::TooLarge => ExecFailure::Invalid,
            Self::User(LookupError::Unknown(_)) => ExecFailure::UserUnknown,
            Self::NoWorkingDirectory(_) => ExecFailure::CwdMissing,
            Self::NotFound(_) => ExecFailure::NotFound,
            Self::NotPermitted { .. } => ExecFailure::NotPermitted,
            Self::User(LookupError::Read { .. }) | Self::Start(_) => ExecFailure::Internal,
        }
    }
}

impl From<ExecError> for ExecFailed {
    fn from(error: ExecError) -> Self {
        Self { kind: error.kind().into(), message: error.to_string() }
    }
}
