//! Background processes, found by their tag.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

use nix::unistd::Pid;

use super::Ring;
use crate::{lock::Lock, reaper::ExitCode};

/// Kept output of each stream of a background process, in bytes.
const KEPT_BYTES: usize = 256 * 1024;
/// Ended processes whose output is still kept.
const KEPT_ENDED: usize = 64;

/// A process that outlives the stream that started it.
#[derive(Debug)]
pub struct BackgroundProcess {
    /// Process id; another process may have it once this one has ended.
    pub pid: Pid,
    /// Name to find it by.
    pub tag: String,
    /// The end of its standard output.
    pub stdout: Arc<Lock<Ring>>,
    /// The end of its standard error.
    pub stderr: Arc<Lock<Ring>>,
    exit: Lock<Option<ExitCode>>,
}

impl BackgroundProcess {
    pub(super) fn new(pid: Pid, tag: String) -> Self {
        let ring = || Arc::new(Lock::new(Ring::new(KEPT_BYTES)));
        Self { pid, tag, stdout: ring(), stderr: ring(), exit: Lock::default() }
    }

    /// How it ended; none while it runs.
    pub fn exit_code(&self) -> Option<ExitCode> {
        *self.exit.lock()
    }

    pub(super) fn set_exit_code(&self, code: ExitCode) {
        *self.exit.lock() = Some(code);
    }
}

/// The background processes that run, and the last ones that ended.
#[derive(Debug, Default)]
pub struct Registry {
    processes: Lock<VecDeque<Arc<BackgroundProcess>>>,
    /// Tags of processes that are being started.
    claimed: Lock<BTreeSet<String>>,
}

/// The right to start a process with this tag; given up when dropped.
#[derive(Debug)]
pub(super) struct TagClaim<'a> {
    registry: &'a Registry,
    tag: String,
}

impl Drop for TagClaim<'_> {
    fn drop(&mut self) {
        self.registry.claimed.lock().remove(&self.tag);
    }
}

impl Registry {
    /// Finds the newest process with this tag.
    pub fn find(&self, tag: &str) -> Option<Arc<BackgroundProcess>> {
        self.processes.lock().iter().rev().find(|process| process.tag == tag).cloned()
    }

    /// Claims a tag for a process to be started; none if another one has it, or will.
    pub(super) fn claim(&self, tag: &str) -> Option<TagClaim<'_>> {
        let claim = self
            .claimed
            .lock()
            .insert(tag.to_owned())
            .then(|| TagClaim { registry: self, tag: tag.to_owned() })?;
        let is_taken = self.find(tag).is_some_and(|process| process.exit_code().is_none());
        (!is_taken).then_some(claim)
    }

    /// Adds a process, and forgets the oldest ended ones above the limit.
    pub(super) fn insert(&self, process: Arc<BackgroundProcess>) {
        let mut processes = self.processes.lock();
        processes.push_back(process);
        let ended = processes.iter().filter(|process| process.exit_code().is_some()).count();
        let mut surplus = ended.saturating_sub(KEPT_ENDED);
        processes.retain(|process| {
            let forget = surplus > 0 && process.exit_code().is_some();
            surplus -= usize::from(forget);
            !forget
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(tag: &str) -> Arc<BackgroundProcess> {
        Arc::new(BackgroundProcess::new(Pid::from_raw(1), tag.to_owned()))
    }

    #[test]
    fn the_newest_process_of_a_tag_is_found() {
        let registry = Registry::default();
        registry.insert(process("a"));
        let second = process("a");
        registry.insert(Arc::clone(&second));
        assert!(Arc::ptr_eq(&registry.find("a").unwrap(), &second));
        assert!(registry.find("b").is_none());
    }

    #[test]
    fn a_tag_is_claimed_once_until_its_process_has_ended() {
        let registry = Registry::default();
        let claim = registry.claim("a").unwrap();
        assert!(registry.claim("a").is_none() && registry.claim("b").is_some());
        let running = process("a");
        registry.insert(Arc::clone(&running));
        drop(claim);
        assert!(registry.claim("a").is_none());
        running.set_exit_code(ExitCode(0));
        assert!(registry.claim("a").is_some());
    }

    #[test]
    fn only_ended_processes_are_forgotten() {
        let registry = Registry::default();
        registry.insert(process("runs"));
        for number in 0..KEPT_ENDED + 2 {
            let ended = process(&number.to_string());
            ended.set_exit_code(ExitCode(0));
            registry.insert(ended);
        }
        assert!(registry.find("runs").is_some());
        assert!(registry.find("0").is_none());
        assert!(registry.find("1").is_none());
        assert!(registry.find("2").is_some());
    }
}
