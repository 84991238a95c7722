//! A child process that is started again whenever it ends without being asked to.
//!
//! A task owns the child: it spawns it, writes its pid file, copies its output into the log, waits. The
//! pause before a restart doubles up to a limit and starts over after the process has run for a while, so a
//! program that cannot start neither floods the log nor burns a processor.

use std::{
    fs,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};

use anyhow::Context;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    sync::watch,
    task::JoinHandle,
    time::timeout,
};
use wrenn_base::{Backoff, Clock, Rng};

use super::{
    Launch,
    log::{RotatedLog, last_lines},
};
use crate::{data::DataFolder, progress};

/// Pauses before restarts.
const PAUSES: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10));
/// A process that ran this long is taken for healthy: its next restart is quick again.
const HEALTHY_AFTER: Duration = Duration::from_secs(30);

/// What to keep running.
#[derive(Debug)]
pub struct ProcessSpec {
    /// Name in messages, of the pid file and of the log.
    pub name: &'static str,
    /// How it is started.
    pub launch: Launch,
    /// Its environment beside ours.
    pub envs: Vec<(&'static str, String)>,
    /// Signal that asks it to end.
    pub stop_signal: Signal,
    /// Time that it may take to end before it is killed.
    pub stop_limit: Duration,
}

/// A process that is kept running until [`stop`](Self::stop).
#[derive(Debug)]
pub struct Process {
    name: &'static str,
    log_path: PathBuf,
    stop: watch::Sender<bool>,
    starts: watch::Receiver<u32>,
    task: JoinHandle<()>,
}

impl Process {
    /// Starts it; its output goes to the data folder's log of that name.
    pub fn start(data: &DataFolder, spec: ProcessSpec, clock: Clock, rng: Rng) -> anyhow::Result<Self> {
        let log_path = data.log_file(spec.name);
        let log =
            RotatedLog::open(&log_path).with_context(|| format!("cannot open {}", log_path.display()))?;
        let (stop, stopped) = watch::channel(false);
        let (started, starts) = watch::channel(0);
        let name = spec.name;
        let runner = Runner { pid_file: data.pid_file(name), spec, log, clock, rng, stopped, started };
        Ok(Self { name, log_path, stop, starts, task: tokio::spawn(runner.run()) })
    }

    /// Name given to it.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// How often it has been started.
    pub fn starts(&self) -> u32 {
        *self.starts.borrow()
    }

    /// The end of its log, for a message about why it does not do what it should.
    pub fn last_output(&self) -> String {
        format!("{}:\n{}", self.log_path.display(), last_lines(&self.log_path, 15))
    }

    /// Asks it to end, kills it if it takes too long, and returns when it is gone.
    pub async fn stop(self) {
        // The task may have ended already, which is as good.
        let _ = self.stop.send(true);
        let _ = self.task.await;
    }
}

struct Runner {
    spec: ProcessSpec,
    pid_file: PathBuf,
    log: RotatedLog,
    clock: Clock,
    rng: Rng,
    stopped: watch::Receiver<bool>,
    started: watch::Sender<u32>,
}

impl Runner {
    async fn run(mut self) {
        let mut ends = 0;
        loop {
            let begun = self.clock.now();
            let how = match self.run_once().await {
                Ok(Ended::OnRequest) => break,
                Ok(Ended::ByItself(status)) => describe(status),
                Err(error) => format!("could not be started: {error:#}"),
            };
            if self.clock.since(begun) > HEALTHY_AFTER {
                ends = 0;
            }
            ends += 1;
            let pause = PAUSES.delay(ends, &mut self.rng);
            progress::note(format_args!(
                "{} {how}; starting it again in {:.1} s",
                self.spec.name,
                pause.as_secs_f64()
            ));
            tokio::select! {
                () = self.clock.sleep(pause) => {}
                () = requested(&mut self.stopped) => break,
            }
        }
        let _ = fs::remove_file(&self.pid_file);
    }

    async fn run_once(&mut self) -> anyhow::Result<Ended> {
        let mut command = tokio::process::Command::from(self.spec.launch.command());
        command
            .envs(self.spec.envs.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().context("cannot start a process")?;
        let pid = child.id().context("the process ended at once")?;
        write_pid(&self.pid_file, pid)?;
        self.started.send_modify(|starts| *starts += 1);

        let (mut stdout, mut stderr) = (child.stdout.take(), child.stderr.take());
        let clock = self.clock.clone();
        let (mut is_asked, mut kill_at) = (false, None);
        let status = loop {
            tokio::select! {
                bytes = read_some(&mut stdout) => self.record(&bytes),
                bytes = read_some(&mut stderr) => self.record(&bytes),
                status = child.wait() => break status.context("cannot wait for the process")?,
                () = requested(&mut self.stopped), if !is_asked => {
                    signal(pid, self.spec.stop_signal);
                    is_asked = true;
                    kill_at = Some(clock.now() + self.spec.stop_limit);
                }
                () = reached(&clock, kill_at) => {
                    progress::note(format_args!("{} does not end; killing it", self.spec.name));
                    signal(pid, Signal::SIGKILL);
                    kill_at = None;
                }
            }
        };
        // What it wrote last is still in the pipes. Its children may hold them open, hence the limit.
        for pipe in [&mut read_rest(&mut stdout).await, &mut read_rest(&mut stderr).await] {
            self.record(pipe);
        }
        Ok(if *self.stopped.borrow() { Ended::OnRequest } else { Ended::ByItself(status) })
    }

    /// A full disk must not end the process whose log it is, so errors are let go.
    fn record(&mut self, bytes: &[u8]) {
        let _ = self.log.append(bytes);
    }
}

enum Ended {
    OnRequest,
    ByItself(ExitStatus),
}

/// Resolves when the process was asked to stop; a dropped handle asks too.
async fn requested(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stop| *stop).await;
}

/// Resolves at an instant; never without one.
async fn reached(clock: &Clock, deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => clock.sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Next bytes of a pipe; waits for ever once it has ended.
async fn read_some(pipe: &mut Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    if let Some(open) = pipe {
        let mut buffer = vec![0; 16 * 1024];
        if let Ok(length @ 1..) = open.read(&mut buffer).await {
            buffer.truncate(length);
            return buffer;
        }
        *pipe = None;
    }
    std::future::pending().await
}

async fn read_rest(pipe: &mut Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let mut rest = Vec::new();
    if let Some(open) = pipe {
        let mut bounded = open.take(1024 * 1024);
        let _ = timeout(Duration::from_millis(200), bounded.read_to_end(&mut rest)).await;
    }
    rest
}

fn signal(pid: u32, signal: Signal) {
    // The child is not yet reaped, so the pid is still its own. It may have ended, which is as good.
    if let Ok(pid) = i32::try_from(pid) {
        let _ = kill(Pid::from_raw(pid), signal);
    }
}

fn write_pid(path: &Path, pid: u32) -> anyhow::Result<()> {
    crate::data::write_atomically(path, 0o644, format!("{pid}\n").as_bytes())
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}
