//! Start, run and end of the server.

use std::{future::Future, net::SocketAddr, time::Duration};

use actix_web::{App as WebApp, HttpServer, dev::Server as HttpRunner, middleware, web::Data};
use rand::RngExt as _;
use wrenn_actors::{ControlPlane, StartError};
use wrenn_store::{OpenError, Store, StoreError};
use wrenn_supervision::Root;

use crate::{
    app::App,
    auth::{
        password::{PasswordError, Passwords},
        throttle::LoginThrottle,
        token::{KEY_BYTES, TokenSigner},
    },
    config::ServerConfig,
    error::Chain,
    http::observe::observe,
    metrics::Metrics,
    redis::Redis,
    routes,
};

/// How long requests may take to end after the server was told to stop.
const SHUTDOWN_SEC: u64 = 10;
/// How long a client may take to send the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an idle connection is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Why the server did not start, or ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The database could not be opened.
    #[error(transparent)]
    Database(#[from] OpenError),
    /// REDIS_URL is not an address.
    #[error("REDIS_URL is not valid")]
    RedisUrl(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The key that signs tokens could not be read or made.
    #[error("cannot read the signing key from the database")]
    SigningKey(#[source] StoreError),
    /// The stored key that signs tokens is too short to be one.
    #[error("the signing key in the database is damaged; delete `jwt_key` from `settings` to make a new one")]
    DamagedSigningKey,
    /// Passwords cannot be hashed on this machine.
    #[error("cannot hash passwords")]
    Passwords(#[source] Box<dyn std::error::Error + Send + Sync>),
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
    /// The HTTP server ended with an error.
    #[error("the http server failed")]
    Http(#[source] std::io::Error),
}

impl From<PasswordError> for RunError {
    fn from(error: PasswordError) -> Self {
        Self::Passwords(Box::new(error))
    }
}

/// A server that listens but does not answer yet.
#[must_use = "a server does nothing until it runs"]
pub struct Server {
    http: HttpRunner,
    http_addr: SocketAddr,
    control_plane: ControlPlane,
}

impl Server {
    /// Opens the database, makes what is missing in it, and binds the addresses.
    ///
    /// Must be called on an actix system. Redis need not be there.
    pub async fn start(config: ServerConfig) -> Result<Self, RunError> {
        let store = Store::open(&config.database_url, config.database_connections).await?;
        let redis = Redis::new(&config.redis_url).map_err(|error| RunError::RedisUrl(Box::new(error)))?;
        if let Err(error) = redis.ping().await {
            tracing::warn!(error = %Chain(&error), "redis does not answer, starting without it");
        }
        let tokens = token_signer(&store).await?;
        let actors = wrenn_actors::Config { fault_injection: config.fault_injection, ..Default::default() };
        let control_plane = ControlPlane::start(store.clone(), actors, &Root::exit_process()).await?;
        let app = Data::new(App {
            store,
            control_plane: control_plane.clone(),
            redis,
            passwords: Passwords::new()?,
            tokens,
            login_throttle: LoginThrottle::default(),
        });
        let metrics = Data::new(Metrics::default());

        let addr = config.http_addr.strip_prefix("http://").unwrap_or(&config.http_addr);
        let addr = addr.trim_end_matches('/');
        let listen_error = |source| RunError::ListenHttp { addr: config.http_addr.clone(), source };
        let http = HttpServer::new(move || {
            WebApp::new()
                .app_data(app.clone())
                .app_data(metrics.clone())
                .configure(|app| routes::configure(app, config.fault_injection))
                .wrap(middleware::Compress::default())
                .wrap(middleware::from_fn(observe))
        })
        .workers(config.http_workers)
        .client_request_timeout(HEAD_TIMEOUT)
        .keep_alive(KEEP_ALIVE)
        .shutdown_timeout(SHUTDOWN_SEC)
        .disable_signals()
        .bind(addr)
        .map_err(listen_error)?;
        let http_addr = http
            .addrs()
            .first()
            .copied()
            .ok_or_else(|| listen_error(std::io::Error::from(std::io::ErrorKind::AddrNotAvailable)))?;
        Ok(Self { http: http.run(), http_addr, control_plane })
    }

    /// Where REST and dashboard are served; tells the port when the configuration left it open (`:0`).
    pub fn http_addr(&self) -> SocketAddr {
        self.http_addr
    }

    /// Serves until `shutdown` completes, then lets open requests end, for a bounded time.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), RunError> {
        tracing::info!(http_addr = %self.http_addr, "server is up");
        let handle = self.http.handle();
        let mut http = std::pin::pin!(self.http);
        tokio::select! {
            ended = &mut http => return ended.map_err(RunError::Http),
            () = shutdown => {}
        }
        tracing::info!("server is stopping");
        let (ended, ()) = tokio::join!(http, handle.stop(true));
        self.control_plane.shutdown().await;
        ended.map_err(RunError::Http)
    }
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
