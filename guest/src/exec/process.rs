//! One process that was started here, from its start until nobody asks for it any more.

use std::sync::Arc;

use bytes::Bytes;
use nix::{sys::signal::Signal, unistd::Pid};
use wrenn_proto::guest::{self as wire, ProcessInfo};

use super::{
    Lifetime, WindowSize, cgroup::ExecCgroup, input::Feed, output::Output, plan::RequestedCommand,
    terminal::Terminal,
};
use crate::{lock::Lock, sys};

/// Longest command, and longest arguments together, that a list shows, in bytes: a list has to fit into one event.
const SHOWN_BYTES: usize = 256;
/// Longest user name that a list shows, in bytes.
const SHOWN_USER_BYTES: usize = 64;

/// A process, and all that descends from it as far as that can be reached.
#[derive(Debug)]
pub(super) struct ProcessGroup {
    leader: Pid,
    cgroup: Option<ExecCgroup>,
}

impl ProcessGroup {
    /// Makes the group of a leader that has just been started.
    pub(super) fn new(leader: Pid, cgroup: Option<ExecCgroup>) -> Self {
        Self { leader, cgroup }
    }

    /// Sends a signal to the process group; SIGKILL reaches everything.
    fn signal(&self, number: i32) {
        if number == Signal::SIGKILL as i32 {
            self.kill();
        } else {
            sys::signal_group(self.leader, number);
        }
    }

    /// Kills everything: the cgroup where there is one, and the process group in any case.
    fn kill(&self) {
        if let Some(Err(error)) = self.cgroup.as_ref().map(ExecCgroup::kill) {
            eprintln!("wrenn-guest: cannot kill a cgroup, killing its process group only: {error}");
        }
        sys::signal_group(self.leader, Signal::SIGKILL as i32);
    }
}

/// What can be told of a process.
#[derive(Debug)]
pub(super) struct Description {
    pub(super) pid: Pid,
    pub(super) tag: String,
    pub(super) command: RequestedCommand,
    pub(super) user: String,
    pub(super) lifetime: Lifetime,
    /// Seconds since the Unix epoch.
    pub(super) started_at_unix: i64,
}

/// What there is of a process only while it runs: once it has ended, its pid may be another one's.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) group: ProcessGroup,
    pub(super) feed: Option<Feed>,
    pub(super) terminal: Option<Arc<Terminal>>,
}

/// What became of a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivery {
    Sent,
    /// The process has ended.
    TooLate,
}

/// A process.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) description: Description,
    pub(super) output: Arc<Output>,
    pub(super) has_terminal: bool,
    running: Lock<Option<Running>>,
}

impl Process {
    /// Makes the record of a process that has just been started.
    pub(super) fn new(description: Description, running: Running) -> Self {
        let has_terminal = running.terminal.is_some();
        Self { description, output: Output::new(), has_terminal, running: Lock::new(Some(running)) }
    }

    pub(super) fn pid(&self) -> Pid {
        self.description.pid
    }

    /// Sends a signal to its group.
    pub(super) fn signal(&self, number: i32) -> Delivery {
        match &*self.running.lock() {
            Some(running) => {
                running.group.signal(number);
                Delivery::Sent
            }
            None => Delivery::TooLate,
        }
    }

    /// Kills it and its descendants.
    pub(super) fn kill(&self) {
        self.signal(Signal::SIGKILL as i32);
    }

    /// Sends bytes to its input; waits while it does not read.
    pub(super) async fn type_in(&self, bytes: Bytes) {
        let feed = self.running.lock().as_ref().and_then(|running| running.feed.clone());
        if let Some(feed) = feed {
            feed.send(bytes).await;
        }
    }

    /// Closes its input for good.
    pub(super) fn close_input(&self) {
        if let Some(Running { feed: Some(feed), .. }) = &*self.running.lock() {
            feed.close();
        }
    }

    /// Changes the size of its terminal, if it has one.
    pub(super) fn resize(&self, size: WindowSize) {
        if let Some(Running { terminal: Some(terminal), .. }) = &*self.running.lock() {
            // Fails only for a terminal that is hung up, whose size means nothing.
            let _ = terminal.resize(size);
        }
    }

    /// Notes that it has exited, and returns what there was of it.
    pub(super) fn exited(&self) -> Option<Running> {
        self.running.lock().take()
    }

    /// What a list says of it; long commands are cut.
    pub(super) fn info(&self) -> ProcessInfo {
        let Description { pid, tag, command, user, lifetime, started_at_unix } = &self.description;
        let mut left = SHOWN_BYTES;
        let mut args = Vec::new();
        for arg in &command.args {
            if left == 0 {
                break;
            }
            let shown = cut(arg, left);
            // An empty argument counts, too: there may be many.
            left = left.saturating_sub(shown.len().max(1));
            args.push(shown);
        }
        ProcessInfo {
            pid: pid.as_raw().cast_unsigned(),
            tag: tag.clone(),
            cmd: cut(&command.cmd, SHOWN_BYTES),
            args,
            terminal: self.has_terminal,
            lifetime: wire::Lifetime::from(*lifetime).into(),
            user: cut(user, SHOWN_USER_BYTES),
            started_at: *started_at_unix,
        }
    }
}

/// The beginning of a text, at most this many bytes and no half character.
fn cut(text: &str, bytes: usize) -> String {
    text[..text.floor_char_boundary(bytes)].to_owned()
}
