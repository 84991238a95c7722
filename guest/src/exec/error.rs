//! Why a wish that has to do with processes was not fulfilled.

use std::{io, path::PathBuf};

use nix::unistd::Pid;
use wrenn_proto::guest::{ExecFailed, ExecFailure};

use super::{plan::MAX_TAG_BYTES, registry::MAX_RUNNING};
use crate::{accounts::LookupError, environment::BadVariable};

/// Why a wish that has to do with processes was not fulfilled. Nothing was started or signalled then.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    /// The first message of the stream does not say what it is for.
    #[error("the first input must be a start, an attach, a list or a signal")]
    NoOpening,
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
    /// A tag that is too long, or has control characters in it.
    #[error("a tag has at most {MAX_TAG_BYTES} bytes and no control characters")]
    BadTag,
    /// A running process has this tag.
    #[error("a running process has the tag {0:?}")]
    TagTaken(String),
    /// A window without an area, or larger than any terminal's.
    #[error("a terminal has from 1 to 65535 columns and rows, not {cols} and {rows}")]
    BadWindow {
        /// Columns as requested.
        cols: u32,
        /// Rows as requested.
        rows: u32,
    },
    /// A background process in a terminal.
    #[error("a process without standard input cannot have a terminal")]
    NoInputForTerminal,
    /// As many processes run as may.
    #[error("{MAX_RUNNING} processes run already")]
    TooMany,
    /// A number that is no signal.
    #[error("there is no signal {0}")]
    BadSignal(i32),
    /// Neither a pid nor a tag was given.
    #[error("a process is selected by its pid or its tag")]
    NoSelector,
    /// Nothing that was started here and runs, or ended not long ago, is selected.
    #[error("there is no process {0}")]
    NoProcess(String),
    /// The process has no terminal.
    #[error("process {0} has no terminal")]
    NoTerminal(Pid),
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
            Self::NoOpening
            | Self::NoCommand
            | Self::ZeroByte { .. }
            | Self::Variable(_)
            | Self::BadTag
            | Self::BadWindow { .. }
            | Self::NoInputForTerminal
            | Self::BadSignal(_)
            | Self::NoSelector
            | Self::TooLarge => ExecFailure::Invalid,
            Self::TagTaken(_) => ExecFailure::TagTaken,
            Self::TooMany => ExecFailure::TooMany,
            Self::NoProcess(_) => ExecFailure::NoProcess,
            Self::NoTerminal(_) => ExecFailure::NoTerminal,
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
