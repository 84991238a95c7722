//! The processes that run, and the last ones that ended, found by pid or tag.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use nix::unistd::Pid;
use wrenn_proto::guest::{ProcessSelector, process_selector::By};

use super::{ExecError, Lifetime, process::Process};
use crate::lock::Lock;

/// Processes that may run at the same time.
pub(super) const MAX_RUNNING: usize = 512;
/// Ended processes whose output is still kept.
const KEPT_ENDED: usize = 64;

/// The processes that run, and the last ones that ended.
#[derive(Debug, Default)]
pub(super) struct Registry {
    state: Lock<State>,
}

#[derive(Debug, Default)]
struct State {
    running: BTreeMap<Pid, Arc<Process>>,
    /// Oldest first.
    ended: VecDeque<Arc<Process>>,
    /// Processes that are being started.
    starting: usize,
    /// Their tags.
    claimed: BTreeSet<String>,
}

impl State {
    fn is_taken(&self, tag: &str) -> bool {
        self.claimed.contains(tag) || self.running.values().any(|process| process.description.tag == tag)
    }
}

/// The right to start a process with a tag; given up when dropped.
#[derive(Debug)]
pub(super) struct Reservation<'a> {
    registry: &'a Registry,
    tag: String,
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        let mut state = self.registry.state.lock();
        state.starting -= 1;
        state.claimed.remove(&self.tag);
    }
}

impl Registry {
    /// Claims room, and a tag unless it is empty, for a process to be started.
    ///
    /// # Errors
    /// [`ExecError::TooMany`] and [`ExecError::TagTaken`].
    pub(super) fn reserve(&self, tag: &str) -> Result<Reservation<'_>, ExecError> {
        let mut state = self.state.lock();
        if state.running.len() + state.starting >= MAX_RUNNING {
            return Err(ExecError::TooMany);
        }
        if !tag.is_empty() {
            if state.is_taken(tag) {
                return Err(ExecError::TagTaken(tag.to_owned()));
            }
            state.claimed.insert(tag.to_owned());
        }
        state.starting += 1;
        Ok(Reservation { registry: self, tag: tag.to_owned() })
    }

    /// Adds a process that was started, under the tag that was claimed or one that is made up; `make` gets it.
    pub(super) fn insert(
        &self,
        reservation: Reservation<'_>,
        pid: Pid,
        make: impl FnOnce(String) -> Process,
    ) -> Arc<Process> {
        let mut state = self.state.lock();
        let tag = if reservation.tag.is_empty() {
            let mut tag = format!("process-{pid}");
            // Somebody may have given another one this name.
            while state.is_taken(&tag) {
                tag.push('+');
            }
            tag
        } else {
            reservation.tag.clone()
        };
        let process = Arc::new(make(tag));
        state.running.insert(pid, Arc::clone(&process));
        drop(state);
        drop(reservation);
        process
    }

    /// Moves a process to the ended ones, and forgets the oldest of them above the limit. One that was its caller's
    /// only is forgotten at once.
    pub(super) fn ended(&self, process: &Arc<Process>) {
        let mut state = self.state.lock();
        state.running.remove(&process.pid());
        if process.description.lifetime == Lifetime::Attached {
            return;
        }
        state.ended.push_back(Arc::clone(process));
        if state.ended.len() > KEPT_ENDED {
            state.ended.pop_front();
        }
    }

    /// All that run.
    pub(super) fn running(&self) -> Vec<Arc<Process>> {
        self.state.lock().running.values().cloned().collect()
    }

    /// Finds a process: the one that runs, or the newest that has ended.
    ///
    /// # Errors
    /// [`ExecError::NoProcess`] and [`ExecError::NoSelector`].
    pub(super) fn find(&self, selector: Option<ProcessSelector>) -> Result<Arc<Process>, ExecError> {
        let by = selector.and_then(|selector| selector.by).ok_or(ExecError::NoSelector)?;
        let is_meant = |process: &&Arc<Process>| match &by {
            By::Pid(pid) => process.pid().as_raw().cast_unsigned() == *pid,
            By::Tag(tag) => process.description.tag == *tag,
        };
        let state = self.state.lock();
        let running = state.running.values().find(is_meant);
        let found = running.or_else(|| state.ended.iter().rev().find(is_meant)).cloned();
        drop(state);
        found.ok_or_else(|| match by {
            By::Pid(pid) => ExecError::NoProcess(pid.to_string()),
            By::Tag(tag) => ExecError::NoProcess(format!("{tag:?}")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::{
        plan::RequestedCommand,
        process::{Description, ProcessGroup, Running},
    };

    fn start(registry: &Registry, pid: i32, tag: &str, lifetime: Lifetime) -> Arc<Process> {
        let pid = Pid::from_raw(pid);
        registry.insert(registry.reserve(tag).unwrap(), pid, |tag| {
            let command = RequestedCommand { cmd: "true".into(), args: Vec::new() };
            let user = "root".to_owned();
            let description = Description { pid, tag, command, user, lifetime, started_at_unix: 0 };
            let group = ProcessGroup::new(pid, None);
            Process::new(description, Running { group, feed: None, terminal: None })
        })
    }

    fn find(registry: &Registry, by: By) -> Option<Arc<Process>> {
        registry.find(Some(ProcessSelector { by: Some(by) })).ok()
    }

    #[test]
    fn processes_are_found_by_pid_and_tag_and_the_running_one_first() {
        let registry = Registry::default();
        let first = start(&registry, 7, "a", Lifetime::Kept);
        registry.ended(&first);
        let second = start(&registry, 7, "a", Lifetime::Kept);
        assert!(Arc::ptr_eq(&find(&registry, By::Pid(7)).unwrap(), &second));
        assert!(Arc::ptr_eq(&find(&registry, By::Tag("a".into())).unwrap(), &second));
        registry.ended(&second);
        assert!(Arc::ptr_eq(&find(&registry, By::Tag("a".into())).unwrap(), &second));
        assert!(find(&registry, By::Tag("b".into())).is_none() && registry.find(None).is_err());
    }

    #[test]
    fn a_tag_is_taken_until_its_process_has_ended() {
        let registry = Registry::default();
        let claim = registry.reserve("a").unwrap();
        assert!(matches!(registry.reserve("a"), Err(ExecError::TagTaken(_))));
        assert!(registry.reserve("b").is_ok());
        drop(claim);
        let running = start(&registry, 1, "a", Lifetime::Attached);
        assert!(registry.reserve("a").is_err());
        registry.ended(&running);
        assert!(registry.reserve("a").is_ok());
    }

    #[test]
    fn a_tag_that_is_made_up_is_nobody_elses() {
        let registry = Registry::default();
        start(&registry, 1, "process-2", Lifetime::Kept);
        assert_ne!(start(&registry, 2, "", Lifetime::Kept).description.tag, "process-2");
        assert_eq!(start(&registry, 3, "", Lifetime::Kept).description.tag, "process-3");
    }

    #[test]
    fn only_so_many_run() {
        let registry = Registry::default();
        let number = |number: usize| i32::try_from(number).unwrap();
        for pid in 1..MAX_RUNNING {
            start(&registry, number(pid), "", Lifetime::Attached);
        }
        let starting = registry.reserve("").unwrap();
        assert!(matches!(registry.reserve(""), Err(ExecError::TooMany)));
        drop(starting);
        let last = start(&registry, number(MAX_RUNNING), "", Lifetime::Attached);
        assert!(registry.reserve("").is_err());
        registry.ended(&last);
        assert!(registry.reserve("").is_ok());
    }

    #[test]
    fn only_the_last_kept_ones_are_remembered() {
        let registry = Registry::default();
        start(&registry, 1000, "runs", Lifetime::Kept);
        registry.ended(&start(&registry, 1001, "attached", Lifetime::Attached));
        for pid in 1..=KEPT_ENDED + 1 {
            let pid = i32::try_from(pid).unwrap();
            registry.ended(&start(&registry, pid, "", Lifetime::Background));
        }
        assert!(find(&registry, By::Tag("runs".into())).is_some());
        assert!(find(&registry, By::Tag("attached".into())).is_none());
        assert!(find(&registry, By::Pid(1)).is_none() && find(&registry, By::Pid(2)).is_some());
        assert_eq!(registry.running().len(), 1);
    }
}
