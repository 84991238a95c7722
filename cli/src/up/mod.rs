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
    net::{SocketAddr, TcpListener, ToSocketAddrs},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context, bail};
use nix::sys::signal::Signal;
use wrenn_agent::leftovers::Leftovers;
use wrenn_base::{Clock, Rng};

use self::{dev_env::DevEnv, login::FirstLogin};
use crate::{
    client::Client,
    data::{self, DataFolder},
    process::{EndSignal, Launch, ProcessSpec, ProcessStack},
    progress::{self, Step},
    services::{self, Durability, ServiceUrls},
    stopwatch::Stopwatch,
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
    // The server takes these three from the environment, too, which it inherits.
    /// Certificates of the server, if it has some.
    #[arg(long, env = "WRENN_TLS_CERT", hide = true)]
    tls_cert: Option<String>,
    /// Names for which the server has a certificate from an ACME directory.
    #[arg(long, env = "WRENN_ACME_NAMES", hide = true)]
    acme_names: Option<String>,
    /// Address at which browsers reach the dashboard.
    #[arg(long, env = "WRENN_PUBLIC_URL", hide = true)]
    public_url: Option<String>,
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
    pub async fn run(self, clock: Clock, rng: Rng) -> anyhow::Result<()> {
        if !nix::unistd::geteuid().is_root() {
            bail!("must be root: capsules need network namespaces and mounts");
        }
        let data = DataFolder::create(&self.data)?;
        let _lock = data.lock()?;
        let mut end = EndSignal::listen()?;
        let mut stack = ProcessStack::new(clock, rng.clone());
        let result = tokio::select! {
            result = self.run_on(&data, &mut stack, &rng) => result,
            () = end.received() => Ok(()),
        };
        stack.stop_all().await;
        data::remove(data.runtime()).context("cannot remove the sockets' folder")?;
        say_what_stays(&data);
        result
    }

    async fn run_on(&self, data: &DataFolder, stack: &mut ProcessStack, rng: &Rng) -> anyhow::Result<()> {
        let begun = Stopwatch::start(stack.clock());
        progress::note(format_args!("Starting Wrenn on {}", data.root().display()));
        let http_addr = self.http_addr.trim_start_matches("http://").trim_start_matches("https://");
        let http_addr = http_addr.trim_end_matches('/');
        let port = refuse_taken_port(http_addr)?;
        data::make_folder(data.runtime(), 0o700)?;

        let urls = self.services(data, stack).await?;
        let local_url = local_url(self.scheme(), http_addr, port);
        let base_url = self.base_url(&local_url, port);
        let file = data.path(dev_env::FILE_NAME);
        let FirstLogin { env, registration_token } =
            login::prepare(&urls.database, stack.clock(), rng, &file, base_url).await?;
        self.start_server(data, &urls, http_addr, stack)?;
        self.start_agent(data, registration_token, stack)?;
        // The server may have no certificate yet, and its name may lead here from outside only.
        let client = Client::local(&local_url)?;
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
        let step = Step::begin(stack.clock(), "Postgres and Redis");
        let urls = services::start(data, Durability::Durable, stack).await?;
        step.done();
        Ok(urls)
    }

    fn scheme(&self) -> &'static str {
        let is_set = |value: &Option<String>| value.as_ref().is_some_and(|value| !value.is_empty());
        if is_set(&self.tls_cert) || is_set(&self.acme_names) { "https" } else { "http" }
    }

    /// Returns the address for clients. With TLS it has a name, because certificates do.
    fn base_url(&self, local_url: &str, port: u16) -> String {
        if self.scheme() == "http" {
            return local_url.to_owned();
        }
        if let Some(url) = self.public_url.as_ref().filter(|url| !url.is_empty()) {
            return url.trim_end_matches('/').to_owned();
        }
        let names = self.acme_names.as_deref().unwrap_or_default();
        let name = names.split(',').map(str::trim).find(|name| !name.is_empty()).unwrap_or("localhost");
        if port == 443 { format!("https://{name}") } else { format!("https://{name}:{port}") }
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
        let spec = ProcessSpec {
            name: "agent",
            launch: Launch::new("/proc/self/exe", ["agent"]),
            envs: vec![
                ("WRENN_SERVER", dialled(self.grpc_addr(data))),
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

/// The address that the agent of this machine dials, if the server listens on all of them.
fn dialled(grpc_addr: String) -> String {
    match grpc_addr.parse::<SocketAddr>() {
        Ok(addr) if addr.ip().is_unspecified() => format!("localhost:{}", addr.port()),
        _ => grpc_addr,
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

/// Returns what a client on this machine calls; a wildcard is an address to listen on only.
fn local_url(scheme: &str, http_addr: &str, port: u16) -> String {
    match http_addr.rsplit_once(':') {
        Some(("0.0.0.0" | "[::]", _)) => format!("{scheme}://127.0.0.1:{port}"),
        _ => format!("{scheme}://{http_addr}"),
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
        assert_eq!(local_url("http", "0.0.0.0:8000", 8000), "http://127.0.0.1:8000");
        assert_eq!(local_url("https", "[::]:8000", 8000), "https://127.0.0.1:8000");
        assert_eq!(local_url("http", "localhost:80", 80), "http://localhost:80");
    }
}
