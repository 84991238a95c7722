//! Background processes, found by their tag.

use std::{collections::VecDeque, sync::Arc};

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
}

impl Registry {
    /// Finds the newest process with this tag.
    pub fn find(&self, tag: &str) -> Option<Arc<BackgroundProcess>> {
        self.processes.lock().iter().rev().find(|process| process.tag == tag).cloned()
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
