//! Saving and loading a machine's device state, over QMP.
//!
//! QEMU calls it a migration. The guest's memory is a file that is mapped shared, and with `x-ignore-shared` it is left
//! out: what goes through the descriptor is the state of processors and devices, some ten KiB. A descriptor, because the
//! process has given up the right to open files of the agent.
//!
//! ```text
//!   save:  stop ─▶ paused ── migrate ─▶ finish-migrate ─▶ postmigrate ── cont ─▶ running
//!   load:  inmigrate (-incoming defer) ── migrate-incoming ─▶ paused ── cont ─▶ running
//! ```

use std::{fs::File, os::fd::AsFd, time::Duration};

use serde_json::{Value, json};
use tokio::time::sleep;

use super::{args::DISK_NODE, watch::status};
use crate::vmm::qmp::{Qmp, QmpError};

/// How long a command that does something may take; a stop writes out what the disk has not written yet.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(60);
/// How long the device state may take to be written or read.
const TRANSFER_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a transfer that is called off may take to end.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(10);
/// First and longest pause between two looks at a transfer, which usually takes some milliseconds.
const POLL_MIN: Duration = Duration::from_millis(1);
const POLL_MAX: Duration = Duration::from_millis(50);
/// Class of the error with which QEMU refuses a command that its version does not have.
const UNKNOWN_COMMAND: &str = "CommandNotFound";
/// Name under which QEMU knows the descriptor that it writes to or reads from.
const DESCRIPTOR: &str = "state";

/// Why state was not saved or loaded, or a machine does not run.
#[derive(Debug, thiserror::Error)]
pub(super) enum StateError {
    /// A command was refused, or not answered.
    #[error("{action}")]
    Command {
        /// What was being done.
        action: &'static str,
        /// Why it failed.
        #[source]
        source: QmpError,
    },
    /// All commands were carried out, and the outcome is wrong.
    #[error("{action}: {problem}")]
    Outcome {
        /// What was being done.
        action: &'static str,
        /// What is wrong.
        problem: String,
    },
}

fn failed(action: &'static str) -> impl Fn(QmpError) -> StateError {
    move |source| StateError::Command { action, source }
}

fn wrong(action: &'static str, problem: impl Into<String>) -> StateError {
    StateError::Outcome { action, problem: problem.into() }
}

/// Stops the machine and writes its device state into `file`. After an error it is stopped, or still runs; [`run`] lets
/// it go on in either case.
pub(super) async fn save(qmp: &Qmp, file: &File) -> Result<(), StateError> {
    // Before the stop, so that the guest is not held up by it.
    prepare(qmp).await?;
    let parameters = json!({ "max-bandwidth": i64::MAX });
    execute(qmp, "migrate-set-parameters", parameters).await.map_err(failed("set the parameters"))?;
    qmp.give_descriptor(DESCRIPTOR, file.as_fd(), COMMAND_TIMEOUT)
        .await
        .map_err(failed("hand over the file"))?;
    execute(qmp, "stop", json!({})).await.map_err(failed("stop"))?;
    // A guest that ended meanwhile has no future; one that was saved before has its state elsewhere.
    match status(qmp, COMMAND_TIMEOUT).await.map_err(failed("ask for the status"))?.as_str() {
        "paused" => {}
        other => return Err(wrong("stop", format!("its status is {other}"))),
    }
    let transfer = async {
        let uri = json!({ "uri": format!("fd:{DESCRIPTOR}") });
        execute(qmp, "migrate", uri).await.map_err(failed("begin to save"))?;
        let mut poll = Poll::new(TRANSFER_TIMEOUT);
        loop {
            let progress = progress(qmp).await?;
            match progress["status"].as_str() {
                Some("completed") => break,
                Some("failed" | "cancelled") => {
                    let why = progress["error-desc"].as_str().unwrap_or("the vmm does not say why");
                    return Err(wrong("save", why));
                }
                _ => poll.wait("save").await?,
            }
        }
        // The machine can go on only when QEMU is done with the transfer.
        while status(qmp, COMMAND_TIMEOUT).await.map_err(failed("ask for the status"))? != "postmigrate" {
            poll.wait("finish saving").await?;
        }
        Ok(())
    };
    let outcome = transfer.await;
    if outcome.is_err()
        && let Err(error) = settle(qmp).await
    {
        tracing::debug!(%error, "a transfer could not be called off");
    }
    outcome
}

/// Loads device state into a machine that waits for it. Its virtual CPUs do not run then.
pub(super) async fn load(qmp: &Qmp, file: &File) -> Result<(), QmpError> {
    set_capabilities(qmp).await?;
    qmp.give_descriptor(DESCRIPTOR, file.as_fd(), COMMAND_TIMEOUT).await?;
    execute(qmp, "migrate-incoming", json!({ "uri": format!("fd:{DESCRIPTOR}") })).await?;
    let mut poll = Poll::new(TRANSFER_TIMEOUT);
    // State that it does not understand ends QEMU, and with it the connection.
    while status(qmp, COMMAND_TIMEOUT).await? == "inmigrate" {
        if !poll.wait_or_end().await {
            return Err(QmpError::Timeout { command: "migrate-incoming".into(), limit: TRANSFER_TIMEOUT });
        }
    }
    // From version 10 on, the disk of a machine that does not run yet is inactive and could not be resized.
    match execute(qmp, "blockdev-set-active", json!({ "active": true })).await {
        Err(QmpError::Refused { class, .. }) if class == UNKNOWN_COMMAND => Ok(()),
        activated => activated.map(drop),
    }
}

/// Lets the virtual CPUs run, whatever stopped them; one that runs already does so on.
pub(super) async fn run(qmp: &Qmp) -> Result<(), StateError> {
    let ask = || async { status(qmp, COMMAND_TIMEOUT).await.map_err(failed("ask for the status")) };
    if ask().await? == "running" {
        return Ok(());
    }
    // Of an agent that ended in the middle of it: the guest must not be stopped again by its end.
    settle(qmp).await?;
    execute(qmp, "cont", json!({})).await.map_err(failed("let it run"))?;
    match ask().await?.as_str() {
        "running" => Ok(()),
        "inmigrate" => Err(wrong("let it run", "its state was never loaded")),
        other => Err(wrong("let it run", format!("its status is {other}"))),
    }
}

/// Tells the guest that its disk has this many bytes, and makes it so.
pub(super) async fn resize_disk(qmp: &Qmp, bytes: u64) -> Result<(), StateError> {
    let arguments = json!({ "node-name": DISK_NODE, "size": bytes });
    execute(qmp, "block_resize", arguments).await.map(drop).map_err(failed("resize the disk"))
}

/// Calls off a transfer that is under way, and waits until it is over.
async fn settle(qmp: &Qmp) -> Result<(), StateError> {
    let is_over = |progress: &Value| {
        let status = progress["status"].as_str();
        matches!(status, None | Some("none" | "completed" | "failed" | "cancelled"))
    };
    let mut poll = Poll::new(CANCEL_TIMEOUT);
    if !is_over(&progress(qmp).await?) {
        execute(qmp, "migrate_cancel", json!({})).await.map_err(failed("call off a transfer"))?;
    }
    loop {
        let is_finishing =
            status(qmp, COMMAND_TIMEOUT).await.map_err(failed("ask for the status"))? == "finish-migrate";
        if is_over(&progress(qmp).await?) && !is_finishing {
            return Ok(());
        }
        poll.wait("call off a transfer").await?;
    }
}

async fn prepare(qmp: &Qmp) -> Result<(), StateError> {
    set_capabilities(qmp).await.map_err(failed("set the capabilities"))
}

async fn set_capabilities(qmp: &Qmp) -> Result<(), QmpError> {
    let capabilities = json!({ "capabilities": [{ "capability": "x-ignore-shared", "state": true }] });
    execute(qmp, "migrate-set-capabilities", capabilities).await.map(drop)
}

async fn progress(qmp: &Qmp) -> Result<Value, StateError> {
    execute(qmp, "query-migrate", json!({})).await.map_err(failed("ask for the progress"))
}

async fn execute(qmp: &Qmp, command: &str, arguments: Value) -> Result<Value, QmpError> {
    qmp.execute(command, arguments, COMMAND_TIMEOUT).await
}

/// Pauses that grow, up to a limit for all of them together.
struct Poll {
    left: Duration,
    pause: Duration,
}

impl Poll {
    fn new(limit: Duration) -> Self {
        Self { left: limit, pause: POLL_MIN }
    }

    /// Waits a little; `false` if the time is over.
    async fn wait_or_end(&mut self) -> bool {
        let Some(left) = self.left.checked_sub(self.pause) else { return false };
        self.left = left;
        sleep(self.pause).await;
        self.pause = (self.pause * 2).min(POLL_MAX);
        true
    }

    async fn wait(&mut self, action: &'static str) -> Result<(), StateError> {
        if self.wait_or_end().await { Ok(()) } else { Err(wrong(action, "it does not come to an end")) }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::HashMap,
        sync::{Arc, Mutex},
    };

    use tokio::{
        io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
        net::UnixListener,
    };

    use super::*;

    /// Plays QEMU: what it answers to which command, the last answer for ever; and what it was told.
    struct Fake {
        qmp: Qmp,
        told: Arc<Mutex<Vec<String>>>,
        _folder: tempfile::TempDir,
    }

    impl Fake {
        async fn new(answers: &[(&str, &[Value])]) -> Self {
            let folder = tempfile::tempdir().expect("temporary folder");
            let path = folder.path().join("qmp");
            let listener = UnixListener::bind(&path).expect("bind");
            let answers = answers.iter().map(|(name, answers)| ((*name).to_owned(), answers.to_vec()));
            let mut answers: HashMap<_, _> = answers.collect();
            let told = Arc::new(Mutex::new(Vec::new()));
            let heard = told.clone();
            tokio::spawn(async move {
                let (stream, _) = listener.accept().await.expect("accept");
                let (read, mut write) = stream.into_split();
                let mut lines = BufReader::new(read).lines();
                write.write_all(b"{\"QMP\":{}}\n").await.expect("greet");
                while let Ok(Some(line)) = lines.next_line().await {
                    let command: Value = serde_json::from_str(&line).expect("a command");
                    let name = command["execute"].as_str().expect("a name");
                    heard.lock().expect("lock").push(name.to_owned());
                    let answer = match answers.get_mut(name) {
                        Some(answers) if answers.len() > 1 => answers.remove(0),
                        Some(answers) => answers[0].clone(),
                        None => json!({}),
                    };
                    let text = json!({ "return": answer, "id": command["id"] }).to_string() + "\n";
                    write.write_all(text.as_bytes()).await.expect("answer");
                }
            });
            let (qmp, _) = Qmp::connect(&path, &[], COMMAND_TIMEOUT).await.expect("connect");
            Self { qmp, told, _folder: folder }
        }

        fn was_told(&self, command: &str) -> bool {
            self.told.lock().expect("lock").iter().any(|told| told == command)
        }
    }

    fn states(states: &[&str]) -> Vec<Value> {
        states.iter().map(|state| json!({ "status": state })).collect()
    }

    #[tokio::test]
    async fn state_is_saved_when_qemu_is_done_with_it() {
        let file = tempfile::tempfile().expect("temporary file");
        let fake = Fake::new(&[
            ("query-status", &states(&["paused", "finish-migrate", "postmigrate"])),
            ("query-migrate", &states(&["setup", "device", "completed"])),
        ])
        .await;
        save(&fake.qmp, &file).await.expect("save");
        assert!(!fake.was_told("migrate_cancel"));
    }

    #[tokio::test]
    async fn a_guest_that_has_ended_is_not_saved() {
        let file = tempfile::tempfile().expect("temporary file");
        let fake = Fake::new(&[("query-status", &states(&["guest-panicked"]))]).await;
        let error = save(&fake.qmp, &file).await.expect_err("nothing to save");
        assert_eq!(error.to_string(), "stop: its status is guest-panicked");
        assert!(!fake.was_told("migrate"));
    }

    #[tokio::test]
    async fn a_save_that_fails_says_why() {
        let file = tempfile::tempfile().expect("temporary file");
        let failed = json!({ "status": "failed", "error-desc": "disk full" });
        let fake = Fake::new(&[("query-status", &states(&["paused"])), ("query-migrate", &[failed])]).await;
        let error = save(&fake.qmp, &file).await.expect_err("a failure");
        assert_eq!(error.to_string(), "save: disk full");
    }

    #[tokio::test]
    async fn a_machine_runs_only_when_what_an_agent_left_half_done_is_over() {
        let fake = Fake::new(&[
            ("query-status", &states(&["paused", "finish-migrate", "postmigrate", "running"])),
            ("query-migrate", &states(&["active", "cancelling", "cancelled"])),
        ])
        .await;
        run(&fake.qmp).await.expect("run");
        let told = fake.told.lock().expect("lock").clone();
        let at = |command| told.iter().position(|told| told == command).expect(command);
        assert!(at("migrate_cancel") < at("cont"), "{told:?}");
    }

    #[tokio::test]
    async fn a_machine_that_runs_is_left_alone_and_one_without_state_does_not_run() {
        let fake = Fake::new(&[("query-status", &states(&["running"]))]).await;
        run(&fake.qmp).await.expect("it runs");
        assert!(!fake.was_told("cont"));
        let fake = Fake::new(&[("query-status", &states(&["inmigrate"]))]).await;
        let error = run(&fake.qmp).await.expect_err("nothing to run");
        assert_eq!(error.to_string(), "let it run: its state was never loaded");
    }
}
