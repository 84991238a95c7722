//! Start, run and end of the server.

use std::{
    future::Future,
    net::{SocketAddr, TcpListener},
    pin::pin,
    time::Duration,
};

use actix_web::{
    App as WebApp, HttpServer,
    dev::Server as HttpRunner,
    middleware,
    web::{self, Data},
};
use rand::RngExt as _;
use tokio::net::{TcpSocket, lookup_host};
use tokio_util::sync::CancellationToken;
use wrenn_actors::{BuildConfig, ControlPlane, StartError};
use wrenn_control::{Control, PasswordError};
use wrenn_store::{OpenError, Store, StoreError};
use wrenn_supervision::Root;

use crate::{
    agents::{AgentListener, ListenError, ServeError},
    app::App,
    auth::token::{KEY_BYTES, TokenSigner},
    config::ServerConfig,
    error::Chain,
    http::observe::observe,
    memory,
    metrics::Metrics,
    preview::{self, PreviewUrl, Previews},
    routes,
};

/// How long requests may take to end after the server was told to stop.
const SHUTDOWN_SEC: u64 = 10;
/// How long a client may take to send the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections that wait to be accepted, so that those of a burst need not be sent twice.
const BACKLOG: u32 = 4096;
/// How long an idle connection is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Why the server did not start, or ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The database could not be opened.
    #[error(transparent)]
    Database(#[from] OpenError),
    /// The key that signs tokens could not be read or made.
    #[error("cannot read the signing key from the database")]
    SigningKey(#[source] StoreError),
    /// The stored key that signs tokens is too short to be one.
    #[error("the signing key in the database is damaged; delete `jwt_key` from `settings` to make a new one")]
    DamagedSigningKey,
    /// Passwords cannot be hashed on this machine.
    #[error("cannot hash passwords")]
    Passwords(#[from] PasswordError),
    /// The actors could not be started.
    #[error(transparent)]
    Actors(#[from] StartError),
    /// The address for REST and dashboard is taken or not valid.
    #[error("cannot listen on {addr} for http")]
    ListenHttp {
        /// The address as configured.
        addr: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The address for agents is taken or not valid.
    #[error("cannot listen for agents")]
    ListenAgents(#[from] ListenError),
    /// The agents' endpoint ended with an error.
    #[error("the agents' endpoint failed")]
    Agents(#[from] ServeError),
    /// The HTTP server ended with an error.
    #[error("the http server failed")]
    Http(#[source] std::io::Error),
}

/// A server that listens but does not answer yet.
#[must_use = "a server does nothing until it runs"]
pub struct Server {
    http: HttpRunner,
    http_addr: SocketAddr,
    agents: AgentListener,
    control_plane: ControlPlane,
    stopping: CancellationToken,
}

impl Server {
    /// Opens the database, makes what is missing in it, and binds the addresses.
    ///
    /// Must be called on an actix system. Redis need not be there.
    pub async fn start(config: ServerConfig) -> Result<Self, RunError> {
        memory::limit();
        // Addresses first: of two servers with the same configuration the second must touch nothing.
        let http_listener = bind_http(&config.http_addr).await?;
        let agents = AgentListener::bind(&config.grpc_addr)?;

        let store = Store::open(&config.database_url, config.database_connections).await?;
        let tokens = token_signer(&store).await?;
        let actors = wrenn_actors::Config {
            inventory_interval: config.inventory_interval,
            fault_injection: config.fault_injection,
            builds: BuildConfig {
                workers: config.build_workers,
                redis_url: Some(config.redis_url.clone()),
                cache_bytes: config.build_cache_bytes,
            },
            objects: config.objects.clone(),
            ..Default::default()
        };
        let control_plane = ControlPlane::start(store.clone(), actors, &Root::exit_process()).await?;
        if let Err(error) = control_plane.queue_ping().await {
            tracing::warn!(error = %Chain(&error), "redis does not answer, starting without it");
        }
        let listen_error = |source| RunError::ListenHttp { addr: config.http_addr.clone(), source };
        let http_addr = http_listener.local_addr().map_err(listen_error)?;
        let preview_url = config.preview_url.clone().unwrap_or_else(|| PreviewUrl::local(http_addr.port()));
        let previews = Previews::new(preview_url, control_plane.clone());
        let stopping = CancellationToken::new();
        let app = App {
            control: Control::new(control_plane.clone(), config.database_connections)?,
            tokens,
            output: routes::OutputBudget::default(),
            previews,
            stopping: stopping.clone(),
        };
        let http = serve_http(http_listener, app, &config).map_err(listen_error)?;
        Ok(Self { http, http_addr, agents, control_plane, stopping })
    }

    /// Where REST and dashboard are served; tells the port when the configuration left it open (`:0`).
    pub fn http_addr(&self) -> SocketAddr {
        self.http_addr
    }

    /// Serves until `shutdown` completes, then closes WebSockets and lets open requests end, for a bounded time.
    ///
    /// Agents stay attached until the requests have ended, because they carry them out.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), RunError> {
        let Self { http, http_addr, agents, control_plane, stopping } = self;
        tracing::info!(%http_addr, "server is up");
        let handle = http.handle();
        let requests_ended = CancellationToken::new();
        let mut http = pin!(http);
        let mut agents = pin!(agents.serve(control_plane.clone(), requests_ended.cancelled()));
        tokio::select! {
            ended = &mut http => return ended.map_err(RunError::Http),
            ended = &mut agents => return Ok(ended?),
            () = shutdown => {}
        }
        tracing::info!("server is stopping");
        stopping.cancel();
        let end_requests = async {
            let (ended, ()) = tokio::join!(http, handle.stop(true));
            requests_ended.cancel();
            ended
        };
        let (http_ended, agents_ended) = tokio::join!(end_requests, agents);
        control_plane.shutdown().await;
        http_ended.map_err(RunError::Http)?;
        Ok(agents_ended?)
    }
}

/// Listens on `host:port`; a leading `http://` is accepted.
async fn bind_http(addr: &str) -> Result<TcpListener, RunError> {
    let host_and_port = addr.strip_prefix("http://").unwrap_or(addr).trim_end_matches('/');
    let failed = |source| RunError::ListenHttp { addr: addr.to_owned(), source };
    let mut refused = std::io::Error::new(std::io::ErrorKind::NotFound, "the name has no address");
    for address in lookup_host(host_and_port).await.map_err(failed)? {
        match listen(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => refused = error,
        }
    }
    Err(failed(refused))
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A server that is started again must not wait for the connections of the one before.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}

/// The HTTP server; serves nothing until it is awaited.
fn serve_http(listener: TcpListener, app: App, config: &ServerConfig) -> std::io::Result<HttpRunner> {
    let app = Data::new(app);
    let metrics = Data::new(Metrics::default());
    let fault_injection = config.fault_injection;
    let server = HttpServer::new(move || {
        WebApp::new()
            .app_data(app.clone())
            .app_data(metrics.clone())
            .configure(|config| preview::configure(config, &app))
            .service(
                // Not around previews, which are the programs' own pages.
                web::scope("")
                    .wrap(middleware::Compress::default())
                    .wrap(middleware::from_fn(observe))
                    .configure(|config| routes::configure(config, fault_injection)),
            )
    });
    let server = server
        .workers(config.http_workers)
        .client_request_timeout(HEAD_TIMEOUT)
        // Whoever closes the connection has left: the handler ends, and with it the command it waits for.
        .h1_allow_half_closed(false)
        .keep_alive(KEEP_ALIVE)
        .shutdown_timeout(SHUTDOWN_SEC)
        .disable_signals()
        .listen(listener)?;
    Ok(server.run())
}

/// Starts a server and runs it until `shutdown` completes; see [`Server`].
pub async fn run(config: ServerConfig, shutdown: impl Future<Output = ()>) -> Result<(), RunError> {
    Server::start(config).await?.run(shutdown).await
}

/// The signer with the installation's key, which the first server makes.
async fn token_signer(store: &Store) -> Result<TokenSigner, RunError> {
    let proposal: [u8; KEY_BYTES] = rand::rng().random();
    let key = store.setting_get_or_insert("jwt_key", &proposal).await.map_err(RunError::SigningKey)?;
    TokenSigner::new(&key).ok_or(RunError::DamagedSigningKey)
}
