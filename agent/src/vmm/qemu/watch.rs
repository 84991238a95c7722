//! The task that watches one QEMU process: it learns why a guest ended, confirms that it did, and carries out what is
//! asked of the machine, as it owns the control connection.
//!
//! QEMU keeps a guest that has ended, stopped (`-action …=pause`), and stops one that it cannot run on. The watcher
//! is told by an event, or finds it so when it adopts; it reads the console, then kills the process. A machine that
//! was stopped by a command is not at its end: QEMU's status tells the two apart. Whatever happens to the control
//! socket, the pidfd alone decides when the machine is dead.

use std::{
    fs::{self, OpenOptions},
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::OpenOptionsExt,
    },
    path::Path,
    time::Duration,
};

use rustix::process::{WaitId, WaitIdOptions, waitid};
use serde_json::json;
use tokio::{sync::mpsc, time::timeout};

use super::{
    console::ConsoleTail,
    state::{self, StateError},
};
use crate::vmm::{
    ControlError, ExitReason, VmExit, VmOwner, VmRecord, VmRequest,
    process::send_kill,
    qmp::{Qmp, QmpError, QmpEvent},
    spawn::VmmLog,
};

/// Events that a watcher must not miss. All others are dropped early, as a guest can cause some of them at will.
pub(super) const EVENTS: &[&str] = &["SHUTDOWN", "GUEST_PANICKED", STOPPED];
/// The event of a machine whose virtual CPUs do not run any more, whatever stopped them.
const STOPPED: &str = "STOP";
/// State holds what the guest's processors had in their registers, which is for nobody else.
const STATE_MODE: u32 = 0o600;
/// How long a process may outlive its control connection.
const END_GRACE: Duration = Duration::from_secs(1);
/// How long QEMU may take to say why it stopped.
const STATUS_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) struct Watcher {
    pub(super) owner: VmOwner,
    pub(super) requests: mpsc::Receiver<VmRequest>,
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
                        if let Some(end) = self.end_by(&event).await {
                            self.guest_end.get_or_insert(end);
                            self.finish_guest(&mut console).await;
                        }
                    }
                    // Usually the first sign of a dying process; the pidfd follows.
                    None => connected = false,
                },
                request = self.requests.recv() => match request {
                    Some(request) => self.carry_out(request, &mut console).await,
                    None => return,
                },
            }
        }
        let exit = self.exit(&console);
        let record = self.owner.record();
        tracing::info!(sandbox = %record.id, pid = record.process.pid, reason = %exit.reason, "machine ended");
        self.owner.report_exit(exit);
    }

    /// Carries a request out and answers it; whoever asked may have given up.
    async fn carry_out(&self, request: VmRequest, console: &mut ConsoleTail) {
        match request {
            VmRequest::Console { answer } => {
                self.drain(console).await;
                let _ = answer.send(console.text());
            }
            VmRequest::Suspend { state, answer } => {
                let _ = answer.send(self.suspend(&state).await);
            }
            VmRequest::Run { answer } => {
                let _ = answer.send(self.outcome(state::run(&self.qmp).await).await);
            }
            VmRequest::ResizeDisk { bytes, answer } => {
                let _ = answer.send(self.outcome(state::resize_disk(&self.qmp, bytes).await).await);
            }
        }
    }

    async fn suspend(&self, path: &Path) -> Result<(), ControlError> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(STATE_MODE);
        let file = options.open(path).map_err(|source| ControlError::StateFile {
            id: self.owner.record().id,
            path: path.to_owned(),
            source,
        })?;
        let saved = state::save(&self.qmp, &file).await;
        if saved.is_err() {
            // What is in it is of no use; if it stays it is removed with its folder.
            let _ = fs::remove_file(path);
        }
        self.outcome(saved).await
    }

    /// What to tell of a request. A connection that broke is usually that of a process that is ending.
    async fn outcome(&self, outcome: Result<(), StateError>) -> Result<(), ControlError> {
        let id = self.owner.record().id;
        match outcome {
            Ok(()) => Ok(()),
            Err(StateError::Command { source: QmpError::Closed | QmpError::Io { .. }, .. })
                if timeout(END_GRACE, self.owner.process_exit()).await.is_ok() =>
            {
                Err(ControlError::Ended { id })
            }
            Err(StateError::Command { action, source }) => Err(ControlError::Vmm { id, action, source }),
            Err(StateError::Outcome { action, problem }) => Err(ControlError::Failed { id, action, problem }),
        }
    }

    /// How the guest ended, if the event means that it did.
    async fn end_by(&self, event: &QmpEvent) -> Option<ExitReason> {
        if event.name != STOPPED {
            return Some(end_of_event(event));
        }
        match status(&self.qmp, STATUS_TIMEOUT).await {
            Ok(status) => end_told_by(&status),
            Err(error) => {
                tracing::warn!(sandbox = %self.owner.record().id, %error, "cannot tell why the machine stopped");
                None
            }
        }
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

/// Asks QEMU for its run state, such as `running`.
pub(super) async fn status(qmp: &Qmp, limit: Duration) -> Result<String, QmpError> {
    let answer = qmp.execute("query-status", json!({}), limit).await?;
    Ok(answer["status"].as_str().unwrap_or_default().to_owned())
}

/// How a guest ended, from QEMU's run state; `None` if it runs, or was stopped by a command and can go on.
pub(super) fn end_told_by(status: &str) -> Option<ExitReason> {
    match status {
        "shutdown" => Some(ExitReason::GuestStopped),
        "guest-panicked" => Some(ExitReason::GuestPanic),
        "io-error" => Some(ExitReason::DiskFailed),
        "internal-error" => Some(ExitReason::VmmFailed),
        _ => None,
    }
}

/// How a guest ended, from the event that says so.
fn end_of_event(event: &QmpEvent) -> ExitReason {
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
    use std::process::{Command, Stdio};

    use tokio::{
        io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
        net::UnixListener,
        time::timeout,
    };
    use wrenn_proto::ids::SandboxId;

    use super::*;
    use crate::vmm::{ProcessIdentity, VmProcess, VmmKind};

    #[test]
    fn events_tell_how_the_guest_ended() {
        let told = |name: &str, data| end_of_event(&QmpEvent { name: name.into(), data });
        let shutdown = |reason| told("SHUTDOWN", json!({ "guest": true, "reason": reason }));
        assert_eq!(shutdown("guest-shutdown"), ExitReason::GuestPowerOff);
        assert_eq!(shutdown("guest-reset"), ExitReason::GuestReset);
        assert_eq!(shutdown("guest-panic"), ExitReason::GuestPanic);
        assert_eq!(shutdown("host-signal"), ExitReason::Unknown);
        assert_eq!(told("GUEST_PANICKED", json!(null)), ExitReason::GuestPanic);
    }

    /// Plays QEMU: stops once with each of `states`, and says so when it is asked.
    async fn stop_with(listener: UnixListener, states: &'static [&'static str]) {
        let (stream, _) = listener.accept().await.expect("accept");
        let (read, mut write) = stream.into_split();
        let mut lines = BufReader::new(read).lines();
        let mut states = states.iter();
        write.write_all(b"{\"QMP\":{}}\n").await.expect("greet");
        while let Ok(Some(line)) = lines.next_line().await {
            let command: serde_json::Value = serde_json::from_str(&line).expect("a command");
            let (answer, stops) = match command["execute"].as_str() {
                Some("query-status") => (json!({ "status": states.next() }), states.len() > 0),
                Some("qmp_capabilities") => (json!({}), true),
                _ => (json!(""), false),
            };
            let mut text = json!({ "return": answer, "id": command["id"] }).to_string() + "\n";
            if stops {
                text += "{\"event\":\"STOP\"}\n";
            }
            write.write_all(text.as_bytes()).await.expect("answer");
        }
    }

    #[tokio::test]
    async fn a_machine_that_qemu_stopped_is_ended_and_one_that_was_paused_is_not() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let control_socket = folder.path().join("qmp");
        let listener = UnixListener::bind(&control_socket).expect("bind");
        tokio::spawn(stop_with(listener, &["paused", "running", "io-error"]));
        let (qmp, events) =
            Qmp::connect(&control_socket, EVENTS, Duration::from_secs(5)).await.expect("connect");

        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().expect("cat");
        let (process, pidfd) = ProcessIdentity::of_child(&child).expect("pidfd");
        let record = VmRecord {
            id: SandboxId::new(),
            vmm: VmmKind::Qemu,
            vmm_version: String::new(),
            fingerprint: None,
            process,
            control_socket,
            cgroup: None,
        };
        let (vm, owner, requests) = VmProcess::new(record, Some(pidfd));
        tokio::spawn(Watcher { owner, requests, qmp, events, log: None, guest_end: None }.run());
        let exit = timeout(Duration::from_secs(20), vm.exited()).await;
        let _ = child.kill().and_then(|()| child.wait());
        assert_eq!(exit.expect("an end").reason, ExitReason::DiskFailed);
    }
}
