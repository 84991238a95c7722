//! Reaps children: the daemon's own, whose exit status somebody waits for, and, as PID 1, every orphan.
//!
//! ```text
//!  SIGCHLD ──▶ reaper task ──waitpid──▶ registered? ── yes ──▶ status to the one who waits
//!                                                  └── no ───▶ an orphan, forgotten
//! ```
//!
//! While a child is being created only registered ones are reaped, so its status can never be taken for an orphan's,
//! however quickly it exits. No lock is held meanwhile: a child that hangs before it runs its program (its directory
//! is on a filesystem that hangs) holds up nobody else.

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
    sync::{Notify, oneshot},
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
    children: Arc<Lock<Children>>,
    /// Signalled when a child was registered, which may have exited before.
    registered: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Children {
    /// Children that are being created, and not yet registered.
    spawning: usize,
    waiting: HashMap<Pid, oneshot::Sender<ExitCode>>,
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
        let reaper = Self { children: Arc::default(), registered: Arc::default() };
        let task = reaper.clone();
        tokio::spawn(async move {
            loop {
                task.children.lock().reap(scope);
                tokio::select! {
                    signal = child_exited.recv() => if signal.is_none() { break },
                    () = task.registered.notified() => {}
                }
            }
        });
        Ok(reaper)
    }

    /// Runs `spawn` and registers the child it returns. Blocks for as long as `spawn` does.
    ///
    /// # Errors
    /// Whatever `spawn` returns; then nothing is registered.
    pub fn spawn(&self, spawn: impl FnOnce() -> io::Result<Child>) -> io::Result<SpawnedChild> {
        self.children.lock().spawning += 1;
        let spawned = spawn();
        let mut children = self.children.lock();
        children.spawning -= 1;
        let registered = spawned.map(|child| {
            let pid = Pid::from_raw(child.id().cast_signed());
            let (sender, exit) = oneshot::channel();
            children.waiting.insert(pid, sender);
            SpawnedChild { pid, exit }
        });
        drop(children);
        self.registered.notify_one();
        registered
    }
}

impl Children {
    fn reap(&mut self, scope: ReapScope) {
        if scope == ReapScope::Everyone && self.spawning == 0 {
            while let Some((pid, status)) = sys::reap(None) {
                self.deliver(pid, status);
            }
        } else {
            let exited: Vec<_> = self.waiting.keys().filter_map(|&pid| sys::reap(Some(pid))).collect();
            for (pid, status) in exited {
                self.deliver(pid, status);
            }
        }
    }

    fn deliver(&mut self, pid: Pid, status: ExitStatus) {
        if let Some(sender) = self.waiting.remove(&pid) {
            // The one who waited may have gone.
            let _ = sender.send(exit_code(status));
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
        let children = reaper.children.lock();
        assert!(children.waiting.is_empty() && children.spawning == 0);
    }

    #[tokio::test]
    async fn a_child_that_takes_long_to_be_created_holds_up_no_other() {
        let reaper = Reaper::start(ReapScope::Registered).unwrap();
        let (go_on, waits) = std::sync::mpsc::channel();
        let slow = reaper.clone();
        let slow = tokio::task::spawn_blocking(move || {
            slow.spawn(|| {
                let child = Command::new("/bin/true").spawn();
                waits.recv().unwrap();
                child
            })
        });
        let quick = reaper.spawn(|| Command::new("/bin/false").spawn()).unwrap();
        assert_eq!(quick.exit.await.unwrap(), ExitCode(1));
        go_on.send(()).unwrap();
        // It has most likely exited long before it was registered.
        assert_eq!(slow.await.unwrap().unwrap().exit.await.unwrap(), ExitCode(0));
    }
}
