//! One `wrenn up` in a data folder of its own, and what the tests do with it.

use std::{
    env, fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, Command},
    sync::{Mutex as AsyncMutex, OnceCell},
    time::timeout,
};
use wrenn_cli::{
    client::{Answer, Client},
    up::dev_env::DevEnv,
};

use crate::{
    traces::machines,
    wait::{BOOT, RECOVERY, until},
};

/// The binary under test.
pub(crate) const WRENN: &str = env!("CARGO_BIN_EXE_wrenn");

/// Time for the first start: database, volume, image, network slots.
const FIRST_START: Duration = Duration::from_secs(180);

static SHARED: OnceCell<Installation> = OnceCell::const_new();

/// An installation; call [`end`](Self::end) when done with it.
pub(crate) struct Installation {
    folder: tempfile::TempDir,
    /// Where `up` runs, and so whose `.env` it reads.
    working_directory: PathBuf,
    port: u16,
    /// Settings beside those that every test has.
    settings: Vec<(&'static str, String)>,
    up: AsyncMutex<Option<Running>>,
}

struct Running {
    child: Child,
    output: Output,
}

/// What a process has printed so far.
#[derive(Clone, Default)]
struct Output(Arc<Mutex<String>>);

impl Output {
    fn text(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Adds what comes out of a pipe until it ends.
    fn collect(&self, pipe: impl AsyncRead + Unpin + Send + 'static) {
        let Self(text) = self.clone();
        tokio::spawn(async move {
            let mut lines = BufReader::new(pipe).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                let mut text = text.lock().unwrap_or_else(PoisonError::into_inner);
                text.push_str(&line);
                text.push('\n');
            }
        });
    }
}

/// A command for `wrenn` with none of this process's settings.
pub(crate) fn wrenn(data: &Path) -> Command {
    let mut command = Command::new(WRENN);
    for (name, _) in env::vars_os() {
        let is_setting = name.to_string_lossy().starts_with("WRENN_") && name != "WRENN_IMAGES";
        if (is_setting && name != "WRENN_CACHE") || name == "DATABASE_URL" || name == "REDIS_URL" {
            command.env_remove(name);
        }
    }
    command.current_dir("/").env("WRENN_DATA", data).stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// A folder on a disk; `/tmp` may be memory.
pub(crate) fn temporary_folder() -> anyhow::Result<tempfile::TempDir> {
    let parent = env::var_os("WRENN_E2E_FOLDER").unwrap_or_else(|| "/var/tmp".into());
    tempfile::Builder::new().prefix("wrenn-e2e-").tempdir_in(parent).context("a temporary folder")
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

impl Installation {
    /// The installation that most tests share.
    pub(crate) async fn shared() -> anyhow::Result<&'static Self> {
        SHARED.get_or_try_init(Self::start_new).await
    }

    /// Takes the shared installation down, if a test has started it.
    pub(crate) async fn end_shared() -> anyhow::Result<()> {
        match SHARED.get() {
            Some(installation) => installation.end().await,
            None => Ok(()),
        }
    }

    /// Makes a data folder and starts `up` on it.
    pub(crate) async fn start_new() -> anyhow::Result<Self> {
        // Away from the checkout, whose .env must not matter here.
        Self::start_with(Path::new("/"), |_| Vec::new()).await
    }

    /// Like [`start_new`](Self::start_new), with settings that may name the folder of the installation.
    pub(crate) async fn start_with_settings(
        settings: impl FnOnce(&Path) -> Vec<(&'static str, String)>,
    ) -> anyhow::Result<Self> {
        Self::start_with(Path::new("/"), settings).await
    }

    /// Like [`start_new`](Self::start_new), from this working directory.
    pub(crate) async fn start_in(working_directory: &Path) -> anyhow::Result<Self> {
        Self::start_with(working_directory, |_| Vec::new()).await
    }

    async fn start_with(
        working_directory: &Path,
        settings: impl FnOnce(&Path) -> Vec<(&'static str, String)>,
    ) -> anyhow::Result<Self> {
        let folder = temporary_folder()?;
        let working_directory = working_directory.to_owned();
        let (settings, port) = (settings(folder.path()), free_port()?);
        let installation = Self { folder, working_directory, port, settings, up: AsyncMutex::new(None) };
        if let Err(error) = installation.start().await {
            let _ = installation.end().await;
            return Err(error);
        }
        Ok(installation)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Returns a setting with which `up` has started its server.
    pub(crate) fn server_setting(&self, name: &str) -> anyhow::Result<String> {
        let environment = fs::read(format!("/proc/{}/environ", self.pid("server")?))?;
        let variables = environment.split(|&byte| byte == 0).map(String::from_utf8_lossy);
        let mut values =
            variables.filter_map(|variable| Some(variable.strip_prefix(name)?.strip_prefix('=')?.to_owned()));
        values.next().with_context(|| format!("the server was started with {name}"))
    }

    /// A `wrenn` command for this installation.
    pub(crate) fn wrenn(&self) -> Command {
        let mut command = wrenn(&self.data());
        command
            .current_dir(&self.working_directory)
            .env("WRENN_HTTP_ADDR", format!("127.0.0.1:{}", self.port))
            .env("WRENN_FAULT_INJECTION", "1")
            .envs(self.settings.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Starts `up`, waits until it says ready, and tells how long that took.
    pub(crate) async fn start(&self) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        let mut child = self
            .wrenn()
            .arg("up")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("start wrenn up")?;
        let output = Output::default();
        output.collect(child.stdout.take().context("stdout")?);
        output.collect(child.stderr.take().context("stderr")?);
        *self.up.lock().await = Some(Running { child, output: output.clone() });
        let ready = until("`wrenn up` says that it is ready", FIRST_START, async || {
            let has_ended = match self.up.lock().await.as_mut() {
                Some(running) => running.child.try_wait()?.is_some(),
                None => true,
            };
            if output.text().contains("Wrenn is ready") {
                return Ok(Some(true));
            }
            Ok(has_ended.then_some(false))
        })
        .await;
        match ready {
            Ok(true) => Ok(begun.elapsed()),
            Ok(false) => bail!("`wrenn up` has ended:\n{}", output.text()),
            Err(error) => Err(error.context(format!("its output:\n{}", output.text()))),
        }
    }

    /// Sends `up` a signal, waits for its end and returns what it printed.
    pub(crate) async fn stop(&self, signal: Signal) -> anyhow::Result<String> {
        let Some(mut running) = self.up.lock().await.take() else { bail!("`wrenn up` does not run") };
        let pid = running.child.id().context("`wrenn up` has ended by itself")?;
        kill(Pid::from_raw(i32::try_from(pid)?), signal)?;
        let status = timeout(RECOVERY, running.child.wait()).await.context("`wrenn up` does not end")??;
        let output = running.output.text();
        ensure!(status.success(), "`wrenn up` ended with {status}:\n{output}");
        Ok(output)
    }

    /// Kills `up`, as the kernel does when memory is out.
    pub(crate) async fn kill_up(&self) -> anyhow::Result<()> {
        let Some(mut running) = self.up.lock().await.take() else { bail!("`wrenn up` does not run") };
        running.child.kill().await.context("kill `wrenn up`")
    }

    /// Removes everything; what is already gone is fine.
    pub(crate) async fn end(&self) -> anyhow::Result<()> {
        let output = self.wrenn().args(["down", "--purge"]).output().await?;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "`wrenn down --purge` failed: {text}");
        if let Some(mut running) = self.up.lock().await.take() {
            timeout(RECOVERY, running.child.wait()).await.context("`wrenn up` does not end")??;
        }
        // The shared installation is never dropped, and so neither is its folder.
        wrenn_cli::data::remove(self.folder.path()).context("remove the folder")
    }

    /// What `up` wrote for clients.
    pub(crate) fn env(&self) -> anyhow::Result<DevEnv> {
        DevEnv::read(&self.data().join("dev.env"))?.context("dev.env is there")
    }

    /// A client with the first team's API key.
    pub(crate) fn client(&self) -> anyhow::Result<Client> {
        Client::of(&self.env()?)
    }

    /// Pid of one of the processes that `up` runs.
    pub(crate) fn pid(&self, name: &str) -> anyhow::Result<i32> {
        let path = self.data().join("run").join(format!("{name}.pid"));
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        Ok(text.trim().parse()?)
    }

    /// Kills one of them, and waits until another has taken its place and all is well again.
    pub(crate) async fn kill(&self, name: &str) -> anyhow::Result<()> {
        let old = self.pid(name)?;
        kill(Pid::from_raw(old), Signal::SIGKILL)?;
        until(&format!("{name} is running again"), RECOVERY, async || {
            Ok(self.pid(name).ok().filter(|pid| *pid != old))
        })
        .await?;
        self.healthy().await
    }

    /// Waits until `/health` says ok.
    pub(crate) async fn healthy(&self) -> anyhow::Result<()> {
        let client = self.client()?;
        until("/health says ok", RECOVERY, async || {
            let answer = client.get("/health").await?;
            ensure!(answer.text("/status") == "ok", "{}", answer.body);
            Ok(Some(()))
        })
        .await
    }

    /// Creates a capsule and waits until it runs.
    pub(crate) async fn capsule(&self) -> anyhow::Result<Capsule<'_>> {
        self.capsule_of("minimal").await
    }

    /// Creates a capsule of a template and waits until it runs.
    pub(crate) async fn capsule_of(&self, template: &str) -> anyhow::Result<Capsule<'_>> {
        self.capsule_with(json!({ "template": template })).await
    }

    /// Creates a capsule as the request says and waits until it runs.
    pub(crate) async fn capsule_with(&self, body: Value) -> anyhow::Result<Capsule<'_>> {
        let created = self.client()?.post("/v1/capsules", &body).await?;
        ensure!(created.status == 201, "create: {created:?}");
        let capsule = Capsule { installation: self, id: created.text("/id").to_owned() };
        capsule.wait_for("running", BOOT).await?;
        Ok(capsule)
    }
}

/// A capsule of an installation.
pub(crate) struct Capsule<'a> {
    pub(crate) installation: &'a Installation,
    pub(crate) id: String,
}

impl Capsule<'_> {
    pub(crate) fn path(&self) -> String {
        format!("/v1/capsules/{}", self.id)
    }

    pub(crate) async fn show(&self) -> anyhow::Result<Value> {
        self.installation.client()?.get(&self.path()).await?.success()
    }

    /// Waits until the capsule has settled in this status.
    pub(crate) async fn wait_for(&self, status: &str, limit: Duration) -> anyhow::Result<Value> {
        until(&format!("{} is {status}", self.id), limit, async || {
            let capsule = self.show().await?;
            ensure!(
                capsule["status"] == "error" || capsule["status"] == status && capsule["operation"].is_null(),
                "{capsule}"
            );
            Ok(Some(capsule))
        })
        .await
        .and_then(|capsule| {
            ensure!(capsule["status"] == status, "the capsule failed: {capsule}");
            Ok(capsule)
        })
    }

    /// Runs a command; the body is that of the exec request.
    pub(crate) async fn exec(&self, body: Value) -> anyhow::Result<Value> {
        self.installation.client()?.post(&format!("{}/exec", self.path()), &body).await?.success()
    }

    /// Runs a shell command that must succeed, and returns what it printed.
    pub(crate) async fn shell(&self, command: &str) -> anyhow::Result<String> {
        let result = self.exec(json!({ "cmd": command, "timeout_sec": 60 })).await?;
        ensure!(result["exit_code"] == 0, "`{command}`: {result}");
        Ok(result["stdout"].as_str().context("stdout is text")?.to_owned())
    }

    /// Asks for an operation, which is the last part of the path.
    pub(crate) async fn ask(&self, operation: &str) -> anyhow::Result<Answer> {
        self.installation.client()?.post(&format!("{}/{operation}", self.path()), &json!({})).await
    }

    pub(crate) async fn pause(&self) -> anyhow::Result<Value> {
        let paused = self.ask("pause").await?.success()?;
        ensure!(paused["status"] == "paused" && paused["operation"].is_null(), "{paused}");
        Ok(paused)
    }

    pub(crate) async fn resume(&self) -> anyhow::Result<Value> {
        let running = self.ask("resume").await?.success()?;
        ensure!(running["status"] == "running" && running["operation"].is_null(), "{running}");
        Ok(running)
    }

    /// Makes a template of it.
    pub(crate) async fn snapshot(&self, name: &str, kind: &str) -> anyhow::Result<Answer> {
        let body = json!({ "sandbox_id": self.id, "name": name, "type": kind });
        self.installation.client()?.post("/v1/snapshots", &body).await
    }

    /// Pid of its virtual machine.
    pub(crate) fn machine(&self) -> anyhow::Result<i32> {
        let machines = machines(&self.installation.data())?;
        let found = machines.into_iter().find(|(_, arguments)| arguments.contains(&self.id));
        found.map(|(pid, _)| pid).context("it has a virtual machine")
    }

    pub(crate) async fn delete(&self) -> anyhow::Result<()> {
        let answer = self.installation.client()?.delete(&self.path()).await?;
        ensure!(answer.status == 204, "delete: {answer:?}");
        Ok(())
    }
}
