//! `wrenn up`: a whole installation on one machine.
//!
//! ```text
//!   wrenn up ─┬─ postgres ┐ unless DATABASE_URL and REDIS_URL are set
//!             ├─ redis    ┘
//!             ├─ wrenn server ◀─ unix socket ─┐
//!             └─ wrenn agent ─────────────────┘ ─▶ capsules, which survive all of the above
//! ```
//!
//! Started in this order, stopped in the opposite one; what dies in between is started again. The first admin
//! and the local host are made in the database before the server listens, so there is no moment in which
//! somebody else could sign up as the first account. Two installations share nothing but the machine: their
//! sockets stand under a folder named after the data folder.

pub mod dev_env;
mod images;
mod login;
pub mod ready;

use std::{
    env,
    net::{TcpListener, ToSocketAddrs},
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use nix::sys::signal::Signal;
use wrenn_agent::leftovers::Leftovers;

use self::{dev_env::DevEnv, login::FirstLogin};
use crate::{
    client::{Client, Credentials},
    data::{self, DataFolder},
    process::{EndSignal, Launch, ProcessSpec, ProcessStack},
    progress::{self, Step},
    services::{self, Durability, ServiceUrls},
};

/// `wrenn up`: runs server, agent, Postgres and Redis until it is told to end.
#[derive(Debug, clap::Args)]
pub struct UpCommand {
    /// Data folder.
    #[arg(long, env = "WRENN_DATA", default_value = ".wrenn")]
    data: PathBuf,
    /// Address of REST interface and dashboard.
    #[arg(long, env = "WRENN_HTTP_ADDR", default_value = "127.0.0.1:8000")]
    http_addr: String,
    /// Address that agents dial, as HOST:PORT or unix:/PATH; a socket of this installation unless set.
    #[arg(long, env = "WRENN_GRPC_ADDR")]
    grpc_addr: Option<String>,
    /// Postgres to use instead of a private one; needs REDIS_URL too.
    #[arg(long, env = "DATABASE_URL", requires = "redis_url", hide_env_values = true)]
    database_url: Option<String>,
    /// Redis to use instead of a private one; needs DATABASE_URL too.
    #[arg(long, env = "REDIS_URL", requires = "database_url", hide_env_values = true)]
    redis_url: Option<String>,
    /// Folder with kernel, initramfs and base images; made by scripts/image.
    #[arg(long, env = "WRENN_IMAGES", default_value_os_t = default_images())]
    images: PathBuf,
}

/// Where scripts/image leaves its results unless told otherwise.
pub fn default_images() -> PathBuf {
    let cache = env::var_os("WRENN_CACHE").map(PathBuf::from).unwrap_or_else(|| {
        PathBuf::from(env::var_os("HOME").unwrap_or_else(|| "/root".into())).join(".cache/wrenn")
    });
    cache.join("images")
}

/// Folder in the data folder that belongs to the agent.
pub const AGENT_FOLDER: &str = "agent";

impl UpCommand {
    /// Runs until SIGINT or SIGTERM.
    pub async fn run(self) -> anyhow::Result<()> {
        if !nix::unistd::geteuid().is_root() {
            bail!("must be root: capsules need network namespaces and mounts");
        }
        let data = DataFolder::create(&self.data)?;
        let _lock = data.lock()?;
        let mut end = EndSignal::listen()?;
        let mut stack = ProcessStack::default();
        let result = tokio::select! {
            result = self.run_on(&data, &mut stack) => result,
            () = end.received() => Ok(()),
        };
        stack.stop_all().await;
        data::remove(data.runtime()).context("cannot remove the sockets' folder")?;
        say_what_stays(&data);
        result
    }

    async fn run_on(&self, data: &DataFolder, stack: &mut ProcessStack) -> anyhow::Result<()> {
        let begun = Instant::now();
        progress::note(format_args!("Starting Wrenn on {}", data.root().display()));
        let http_addr = self.http_addr.trim_start_matches("http://").trim_end_matches('/');
        let port = refuse_taken_port(http_addr)?;
        data::make_folder(data.runtime(), 0o700)?;

        let urls = self.services(data, stack).await?;
        let base_url = base_url(http_addr, port);
        let file = data.path(dev_env::FILE_NAME);
        let FirstLogin { env, registration_token } = login::prepare(&urls.database, &file, base_url).await?;
        self.start_server(data, &urls, http_addr, stack)?;
        self.start_agent(data, registration_token, stack)?;
        let client = Client::new(&env.base_url, Credentials::None)?;
        ready::wait(&client, stack).await?;

        let DevEnv { base_url, admin_email, admin_password, .. } = &env;
        progress::note(format_args!(
            "\nWrenn is ready: {base_url} ({:.1} s)\n  login     {admin_email}  {admin_password}\n  \
             shell     set -a; . {}; set +a\n  Ctrl-C stops everything but the capsules.",
            begun.elapsed().as_secs_f64(),
            file.display(),
        ));
        std::future::pending().await
    }

    async fn services(&self, data: &DataFolder, stack: &mut ProcessStack) -> anyhow::Result<ServiceUrls> {
        if let (Some(database), Some(redis)) = (&self.database_url, &self.redis_url) {
            progress::note("  Postgres and Redis: those of DATABASE_URL and REDIS_URL");
            return Ok(ServiceUrls { database: database.clone(), redis: redis.clone() });
        }
        let step = Step::begin("Postgres and Redis");
        let urls = services::start(data, Durability::Durable, stack).await?;
        step.done();
        Ok(urls)
    }

    fn grpc_addr(&self, data: &DataFolder) -> String {
        self.grpc_addr
            .clone()
            .unwrap_or_else(|| format!("unix:{}", data.runtime().join("agents.sock").display()))
    }

    fn start_server(
        &self,
        data: &DataFolder,
        urls: &ServiceUrls,
        http_addr: &str,
        stack: &mut ProcessStack,
    ) -> anyhow::Result<()> {
        let spec = ProcessSpec {
            name: "server",
            launch: Launch::new("/proc/self/exe", ["server"]),
            envs: vec![
                ("DATABASE_URL", urls.database.clone()),
                ("REDIS_URL", urls.redis.clone()),
                ("WRENN_HTTP_ADDR", http_addr.to_owned()),
                ("WRENN_GRPC_ADDR", self.grpc_addr(data)),
                ("WRENN_OBJECTS", data.path("objects").display().to_string()),
            ],
            stop_signal: Signal::SIGTERM,
            stop_limit: Duration::from_secs(15),
        };
        stack.start(data, spec).map(drop)
    }

    fn start_agent(
        &self,
        data: &DataFolder,
        registration_token: String,
        stack: &mut ProcessStack,
    ) -> anyhow::Result<()> {
        let built = std::path::absolute(&self.images).context("cannot tell the images' folder")?;
        let images = data.path("images");
        images::install(&built, &images)?;
        let grpc_addr = self.grpc_addr(data);
        let server = if grpc_addr.starts_with("unix:") { grpc_addr } else { format!("http://{grpc_addr}") };
        let spec = ProcessSpec {
            name: "agent",
            launch: Launch::new("/proc/self/exe", ["agent"]),
            envs: vec![
                ("WRENN_SERVER", server),
                ("WRENN_REGISTRATION_TOKEN", registration_token),
                ("WRENN_AGENT_DATA", data.path(AGENT_FOLDER).display().to_string()),
                ("WRENN_IMAGES", images.display().to_string()),
            ],
            stop_signal: Signal::SIGTERM,
            stop_limit: Duration::from_secs(15),
        };
        stack.start(data, spec).map(drop)
    }
}

/// Whoever has the port would answer in our place, and a server that cannot listen only says so in its log.
fn refuse_taken_port(http_addr: &str) -> anyhow::Result<u16> {
    let address = http_addr
        .to_socket_addrs()
        .ok()
        .and_then(|mut found| found.next())
        .with_context(|| format!("WRENN_HTTP_ADDR is {http_addr:?}, which is not a HOST:PORT"))?;
    TcpListener::bind(address).with_context(|| {
        format!("cannot listen on {http_addr}; choose another address with WRENN_HTTP_ADDR=HOST:PORT")
    })?;
    Ok(address.port())
}

/// What a client on this machine calls; a wildcard is an address to listen on only.
fn base_url(http_addr: &str, port: u16) -> String {
    match http_addr.rsplit_once(':') {
        Some(("0.0.0.0" | "[::]", _)) => format!("http://127.0.0.1:{port}"),
        _ => format!("http://{http_addr}"),
    }
}

/// Capsules survive on purpose; whoever wants them gone is told how.
fn say_what_stays(data: &DataFolder) {
    let machines = Leftovers::scan(&data.path(AGENT_FOLDER)).processes.len();
    if machines > 0 {
        let program = env::current_exe().unwrap_or_else(|_| "wrenn".into());
        progress::note(format_args!(
            "{machines} capsule(s) keep running and are taken up again at the next start. To remove them:\n  \
             {} down --data {}",
            program.display(),
            data.root().display()
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_refused_with_the_setting_that_changes_it() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listener");
        let address = listener.local_addr().expect("address").to_string();
        let message = format!("{:#}", refuse_taken_port(&address).expect_err("taken"));
        assert!(message.contains("WRENN_HTTP_ADDR") && message.contains(&address), "{message}");
    }

    #[test]
    fn clients_are_never_told_to_call_a_wildcard() {
        assert_eq!(base_url("0.0.0.0:8000", 8000), "http://127.0.0.1:8000");
        assert_eq!(base_url("[::]:8000", 8000), "http://127.0.0.1:8000");
        assert_eq!(base_url("localhost:80", 80), "http://localhost:80");
    }
}
