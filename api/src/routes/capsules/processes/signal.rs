//! Signals by their names.

use serde::Deserialize;
use utoipa::ToSchema;

/// A signal that may be sent to a process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
pub(crate) enum SignalName {
    #[serde(rename = "SIGHUP")]
    Hangup,
    #[serde(rename = "SIGINT")]
    Interrupt,
    #[serde(rename = "SIGQUIT")]
    Quit,
    #[default]
    #[serde(rename = "SIGKILL")]
    Kill,
    #[serde(rename = "SIGUSR1")]
    User1,
    #[serde(rename = "SIGUSR2")]
    User2,
    #[serde(rename = "SIGTERM")]
    Terminate,
    #[serde(rename = "SIGCONT")]
    Continue,
    #[serde(rename = "SIGSTOP")]
    Stop,
    #[serde(rename = "SIGWINCH")]
    Window,
}

impl SignalName {
    /// Returns the signal's number in the capsules' kernel.
    pub(crate) fn number(self) -> i32 {
        match self {
            Self::Hangup => libc::SIGHUP,
            Self::Interrupt => libc::SIGINT,
            Self::Quit => libc::SIGQUIT,
            Self::Kill => libc::SIGKILL,
            Self::User1 => libc::SIGUSR1,
            Self::User2 => libc::SIGUSR2,
            Self::Terminate => libc::SIGTERM,
            Self::Continue => libc::SIGCONT,
            Self::Stop => libc::SIGSTOP,
            Self::Window => libc::SIGWINCH,
        }
    }
}
