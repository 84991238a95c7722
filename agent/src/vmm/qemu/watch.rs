//! The task that watches one QEMU process: it learns why a guest ended, and confirms that it did.
//!
//! QEMU keeps a guest that has ended, stopped (`-action …=pause`). The watcher is told by an event, or finds it
//! so when it adopts; it reads the console, then kills the process. Whatever happens to the control socket, the
//! pidfd alone decides when the machine is dead.

use std::os::fd::{AsFd, OwnedFd};

use rustix::process::{WaitId, WaitIdOptions, waitid};
use tokio::sync::mpsc;

use super::console::ConsoleTail;
use crate::vmm::{
    ExitReason, VmExit, VmOwner, VmRecord,
    process::{ConsoleQuestion, send_kill},
    qmp::{Qmp, QmpEvent},
    spawn::VmmLog,
};

/// Events that a watcher must not miss. All others are dropped early, as a guest can cause some of them at will.
pub(super) const EVENTS: &[&str] = &["SHUTDOWN", "GUEST_PANICKED"];

pub(super) struct Watcher {
    pub(super) owner: VmOwner,
    pub(super) questions: mpsc::Receiver<ConsoleQuestion>,
    pub(super) qmp: Qmp,
    pub(super) events: mpsc::Receiver<QmpEvent>,
    pub(super) log: Option<VmmLog>,
    /// Why the guest ended, once that is known.
    pub(super) guest_end: Option<ExitReason>,
}

impl Watcher {
    /// Watches until the process is dead and reports it, or until nobody holds a handle any more.
    pub(super) async fn run(mut self) {
        let mut console = ConsoleTail::default();
        let mut connected = true;
        if self.guest_end.is_some() {
            self.finish_guest(&mut console).await;
        }
        loop {
            tokio::select! {
                biased;
                () = self.owner.process_exit() => break,
                event = self.events.recv(), if connected => match event {
                    Some(event) => {
                        self.guest_end.get_or_insert(end_told_by(&event));
                        self.finish_guest(&mut console).await;
                    }
                    // Usually the first sign of a dying process; the pidfd follows.
                    None => connected = false,
                },
                question = self.questions.recv() => match question {
                    Some(answer) => {
                        self.drain(&mut console).await;
                        // Whoever asked may have given up.
                        let _ = answer.send(console.text());
                    }
                    None => return,
                },
            }
        }
        let exit = self.exit(&console);
        let record = self.owner.record();
        tracing::info!(sandbox = %record.id, pid = record.process.pid, reason = %exit.reason, "machine ended");
        self.owner.report_exit(exit);
    }

    /// Reads the last words of a guest that has ended, and ends its process.
    async fn finish_guest(&mut self, console: &mut ConsoleTail) {
        self.drain(console).await;
        if console.shows_panic() {
            self.guest_end = Some(ExitReason::GuestPanic);
        }
        if let Some(pidfd) = self.owner.pidfd()
            && let Err(error) = send_kill(pidfd)
        {
            tracing::error!(sandbox = %self.owner.record().id, %error, "cannot end the process of a guest that has ended");
        }
    }

    async fn drain(&self, console: &mut ConsoleTail) {
        if let Err(error) = console.drain(&self.qmp).await {
            tracing::debug!(sandbox = %self.owner.record().id, %error, "console not readable");
        }
    }

    fn exit(&self, console: &ConsoleTail) -> VmExit {
        let process_end = match self.owner.pidfd() {
            Some(pidfd) => end_of_process(self.owner.record(), pidfd),
            None => ExitReason::Unknown,
        };
        let reason = match self.guest_end {
            Some(guest_end) => guest_end,
            None if self.owner.is_kill_requested() => ExitReason::Killed,
            None => process_end,
        };
        let log = self.log.as_ref().map(VmmLog::text).unwrap_or_default();
        VmExit { reason, console: console.text(), log }
    }
}

/// How an ended process ended, as far as the host knows. Takes its status, if it is a child of ours.
pub(super) fn end_of_process(record: &VmRecord, pidfd: &OwnedFd) -> ExitReason {
    let status = reap(pidfd);
    if record.cgroup.as_ref().is_some_and(|cgroup| cgroup.oom_kills() > 0) {
        return ExitReason::OutOfMemory;
    }
    status.unwrap_or(ExitReason::Unknown)
}

/// How a guest ended, from the event that says so.
fn end_told_by(event: &QmpEvent) -> ExitReason {
    match (event.name.as_str(), event.data["reason"].as_str()) {
        ("GUEST_PANICKED", _) | (_, Some("guest-panic")) => ExitReason::GuestPanic,
        (_, Some("guest-reset")) => ExitReason::GuestReset,
        (_, Some("guest-shutdown")) => ExitReason::GuestPowerOff,
        // `host-signal` and the like: somebody asked QEMU itself to end.
        _ => ExitReason::Unknown,
    }
}

/// Takes the status of an ended child; `None` if it is not ours, or was taken already.
fn reap(pidfd: &OwnedFd) -> Option<ExitReason> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
    let status = waitid(WaitId::PidFd(pidfd.as_fd()), options).ok()??;
    status.terminating_signal().map(ExitReason::Signal).or(status.exit_status().map(ExitReason::Status))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn events_tell_how_the_guest_ended() {
        let told = |name: &str, data| end_told_by(&QmpEvent { name: name.into(), data });
        let shutdown = |reason| told("SHUTDOWN", json!({ "guest": true, "reason": reason }));
        assert_eq!(shutdown("guest-shutdown"), ExitReason::GuestPowerOff);
        assert_eq!(shutdown("guest-reset"), ExitReason::GuestReset);
        assert_eq!(shutdown("guest-panic"), ExitReason::GuestPanic);
        assert_eq!(shutdown("host-signal"), ExitReason::Unknown);
        assert_eq!(told("GUEST_PANICKED", json!(null)), ExitReason::GuestPanic);
    }
}
