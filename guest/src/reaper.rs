//! Reaps children: the daemon's own, whose exit status somebody waits for, and, as PID 1, every orphan.
//!
//! ```text
//!  SIGCHLD ──▶ reaper task ──waitpid──▶ registered? ── yes ──▶ status to the one who waits
//!                                                  └── no ───▶ an orphan, forgotten
//! ```
//!
//! A child is created and registered under the lock that reaping takes, so its status can never be
//! taken for an orphan's, however quickly it exits.

use std::{
    collections::HashMap,
    io,
    os::unix::process::ExitStatusExt,
    process::{Child, ExitStatus},
    sync::Arc,
};

use nix::unistd::Pid;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};

use crate::{lock::Lock, sys};

/// How a process ended, as a shell would report it: its exit code, or 128 + the signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitCode(pub i32);

/// Whose children are reaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReapScope {
    /// Every child, as PID 1 must.
    Everyone,
    /// Only those spawned through this reaper: for a process that has other children too.
    Registered,
}

/// Spawns children and delivers their exit status.
#[derive(Debug, Clone)]
pub struct Reaper {
    waiting: Arc<Lock<HashMap<Pid, oneshot::Sender<ExitCode>>>>,
}

/// A child that was spawned through a [`Reaper`].
#[derive(Debug)]
pub struct SpawnedChild {
    /// Its process id.
    pub pid: Pid,
    /// Resolves when it has exited and was reaped.
    pub exit: oneshot::Receiver<ExitCode>,
}

impl Reaper {
    /// Starts the reaper task on the current runtime.
    ///
    /// # Errors
    /// When the handler for SIGCHLD cannot be installed.
    pub fn start(scope: ReapScope) -> io::Result<Self> {
        let mut child_exited = signal(SignalKind::child())?;
        let reaper = Self { waiting: Arc::default() };
        let task = reaper.clone();
        tokio::spawn(async move {
            loop {
                match scope {
                    ReapScope::Everyone => task.reap_everyone(),
                    ReapScope::Registered => task.reap_registered(),
                }
                if child_exited.recv().await.is_none() {
                    break;
                }
            }
        });
        Ok(reaper)
    }

    /// Runs `spawn` and registers the child it returns.
    ///
    /// # Errors
    /// Whatever `spawn` returns; then nothing is registered.
    pub fn spawn(&self, spawn: impl FnOnce() -> io::Result<Child>) -> io::Result<SpawnedChild> {
        let mut waiting = self.waiting.lock();
        let child = spawn()?;
        let pid = Pid::from_raw(child.id().cast_signed());
        let (sender, exit) = oneshot::channel();
        waiting.insert(pid, sender);
        Ok(SpawnedChild { pid, exit })
    }

    fn reap_everyone(&self) {
        let mut waiting = self.waiting.lock();
        while let Some((pid, status)) = sys::reap(None) {
            if let Some(sender) = waiting.remove(&pid) {
                // The one who waited may have gone.
                let _ = sender.send(exit_code(status));
            }
        }
    }

    fn reap_registered(&self) {
        let mut waiting = self.waiting.lock();
        let exited: Vec<(Pid, ExitStatus)> = waiting.keys().filter_map(|&pid| sys::reap(Some(pid))).collect();
        for (pid, status) in exited {
            if let Some(sender) = waiting.remove(&pid) {
                let _ = sender.send(exit_code(status));
            }
        }
    }
}

fn exit_code(status: ExitStatus) -> ExitCode {
    // A reaped child has either exited or was killed by a signal.
    ExitCode(status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    async fn exit_of(script: &str) -> ExitCode {
        let reaper = Reaper::start(ReapScope::Registered).unwrap();
        let child = reaper.spawn(|| Command::new("/bin/sh").args(["-c", script]).spawn()).unwrap();
        child.exit.await.unwrap()
    }

    #[tokio::test]
    async fn an_exit_code_is_delivered() {
        assert_eq!(exit_of("exit 7").await, ExitCode(7));
    }

    #[tokio::test]
    async fn a_signal_counts_from_128() {
        assert_eq!(exit_of("kill -9 $$").await, ExitCode(137));
    }

    #[tokio::test]
    async fn a_failed_spawn_registers_nobody() {
        let reaper = Reaper::start(ReapScope::Registered).unwrap();
        assert!(reaper.spawn(|| Command::new("/nowhere").spawn()).is_err());
        assert!(reaper.waiting.lock().is_empty());
    }
}
