//! Start, run and end of the server.

use std::{
    future::Future,
    net::{IpAddr, SocketAddr, TcpListener},
    pin::pin,
    time::Duration,
};

use actix_web::{
    App as WebApp, HttpServer,
    dev::Server as HttpRunner,
    http::header,
    middleware,
    web::{self, Data},
};
use tokio::net::{TcpSocket, lookup_host};
use tokio_util::sync::CancellationToken;
use wrenn_actors::{BuildConfig, ControlPlane, StartError};
use wrenn_base::{Chain, Clock, Rng};
use wrenn_control::{
    AccountsConfig, Control, ControlError, FirstAdmin,
    agent_authority::{AgentsAccess, AuthorityError},
    public_url::{PublicUrl, PublicUrlError},
    server_metrics, setup, token_key_rotate,
};
use wrenn_domain::user::SignUpPolicy;
use wrenn_store::{OpenError, Store, StoreError};
use wrenn_supervision::{ChildHandle, Root};

use crate::{
    agents::{AgentListener, ListenError, ServeError},
    app::App,
    auth::token::{KeysError, TokenSigner},
    config::ServerConfig,
    http::observe::observe,
    memory,
    metrics::Metrics,
    preview::{self, PreviewUrl, Previews},
    routes,
    tls::{Tls, TlsError, redirect},
};

/// How long requests may take to end after the server was told to stop.
const SHUTDOWN_SEC: u64 = 10;
/// How long a client may take to send the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections that wait to be accepted, so that those of a burst need not be sent twice.
const BACKLOG: u32 = 4096;
/// TLS handshakes at a time, per thread. Whoever holds many of them open keeps others from connecting.
const HANDSHAKES: usize = 4096;
/// Browsers that have seen the dashboard over TLS keep to it for a year.
const STRICT_TRANSPORT: &str = "max-age=31536000";
/// How long an idle connection is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Why the server did not start, or ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The database could not be opened.
    #[error(transparent)]
    Database(#[from] OpenError),
    /// The keys that sign tokens could not be read or made.
    #[error("cannot sign tokens")]
    TokenKeys(#[from] KeysError),
    /// The set-up link could not be made.
    #[error("cannot make the set-up link")]
    SetUpLink(#[source] StoreError),
    /// The address at which the server listens makes no link.
    #[error("cannot make links to the dashboard; set WRENN_PUBLIC_URL")]
    PublicUrl(#[from] PublicUrlError),
    /// There is no authority that certifies hosts.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The address at which hosts reach the server is not known.
    #[error(
        "WRENN_GRPC_PUBLIC_ADDR: is missing; agents are served on all addresses of this machine, and new hosts must be \
         told one of them, as wrenn.example.com:8001"
    )]
    NoAgentsAddress,
    /// The use cases cannot be carried out on this machine.
    #[error(transparent)]
    Control(#[from] ControlError),
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
    /// The certificates cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// There is an address that redirects to TLS, but no TLS.
    #[error(
        "WRENN_HTTP_REDIRECT_ADDR: redirects to https, which needs certificates; set WRENN_TLS_CERT and WRENN_TLS_KEY"
    )]
    RedirectWithoutTls,
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
    redirect: Option<HttpRunner>,
    redirect_addr: Option<SocketAddr>,
    watches: Vec<ChildHandle>,
    agents: AgentListener,
    control: Control,
    setup_link: Option<String>,
    clock: Clock,
    stopping: CancellationToken,
}

impl Server {
    /// Opens the database, makes what is missing in it, and binds the addresses.
    ///
    /// Must be called on an actix system. Redis need not be there.
    pub async fn start(config: ServerConfig, clock: Clock, rng: Rng) -> Result<Self, RunError> {
        memory::limit();
        // Addresses first: of two servers with the same configuration the second must touch nothing.
        let http_listener = listener(config.http_socket.as_deref(), &config.http_addr).await?;
        let redirect = (config.http_redirect_socket.as_deref(), config.http_redirect_addr.as_deref());
        let redirect_listener = match redirect {
            (None, None) => None,
            _ if config.tls.is_none() => return Err(RunError::RedirectWithoutTls),
            (socket, addr) => Some(listener(socket, addr.unwrap_or("the inherited socket")).await?),
        };
        let tls = config.tls.clone().map(|tls| Tls::load(tls, &clock)).transpose()?;
        let agents = AgentListener::bind(&config.grpc_addr)?;

        let store = Store::open(&config.database_url, config.database_connections).await?;
        let tokens =
            TokenSigner::load(store.clone(), &token_key_rotate::new_token_key(&rng), clock.clone()).await?;
        let actors = wrenn_actors::Config {
            inventory_interval: config.inventory_interval,
            fault_injection: config.fault_injection,
            builds: BuildConfig {
                workers: config.build_workers,
                redis_url: Some(config.redis_url.clone()),
                cache_bytes: config.build_cache_bytes,
            },
            notify: config.notify.clone(),
            retention: config.retention,
            objects: config.objects.clone(),
            ..Default::default()
        };
        let root = Root::exit_process();
        let control_plane =
            ControlPlane::start(store.clone(), actors, clock.clone(), rng.clone(), &root).await?;
        if let Err(error) = control_plane.queue_ping().await {
            tracing::warn!(error = %Chain(&error), "redis does not answer, starting without it");
        }
        let listen_error = |source| RunError::ListenHttp { addr: config.http_addr.clone(), source };
        let http_addr = http_listener.local_addr().map_err(listen_error)?;
        let preview_url =
            config.preview_url.clone().unwrap_or_else(|| PreviewUrl::local(http_addr.port(), tls.is_some()));
        let preview_is_https = preview_url.is_https();
        let previews = Previews::new(preview_url, control_plane.clone());
        let accounts = accounts_config(&config, http_addr)?;
        let public_url = accounts.public_url.clone();
        let access = AgentsAccess::at(agents_address(&config, &agents)?, &store, &clock).await?;
        let access = AgentsAccess { certificate_ttl: config.agent_certificate_ttl, ..access };
        if tls.is_some() && !(public_url.is_https() && preview_is_https) {
            tracing::warn!(
                "WRENN_PUBLIC_URL or WRENN_PREVIEW_URL begins with http, but the server speaks TLS"
            );
        }
        let setup_link = setup::link(&store, &rng, accounts.first_admin, &accounts.public_url).await;
        let setup_link = setup_link.map_err(RunError::SetUpLink)?;
        let stopping = CancellationToken::new();
        let control = Control::new(
            control_plane.clone(),
            config.database_connections,
            accounts,
            access,
            clock.clone(),
            rng.clone(),
        )?;
        let app = App {
            control: control.clone(),
            tokens,
            output: routes::OutputBudget::default(),
            previews,
            public_url: public_url.clone(),
            clock: clock.clone(),
            rng: rng.clone(),
            stopping: stopping.clone(),
        };
        let tls_config = tls.as_ref().map(Tls::server_config).transpose()?;
        let http = serve_http(http_listener, app, &config, tls_config).map_err(listen_error)?;
        let redirect_addr = redirect_listener.as_ref().and_then(|listener| listener.local_addr().ok());
        let redirect = redirect_listener
            .map(|listener| redirect::serve(listener, &public_url, http_addr.port(), HEAD_TIMEOUT));
        let redirect = redirect.transpose().map_err(RunError::Http)?;
        let watches = tls.map(|tls| tls.watch(&store, &clock, &rng, &root)).unwrap_or_default();
        Ok(Self {
            http,
            http_addr,
            redirect,
            redirect_addr,
            watches,
            agents,
            control,
            setup_link,
            clock,
            stopping,
        })
    }

    /// Where REST and dashboard are served; tells the port when the configuration left it open (`:0`).
    pub fn http_addr(&self) -> SocketAddr {
        self.http_addr
    }

    /// Address at which plain HTTP is redirected to TLS, if there is one.
    pub fn redirect_addr(&self) -> Option<SocketAddr> {
        self.redirect_addr
    }

    /// Returns the link that makes the first administrator, if there is none. It is for the operator's eyes, and for no log.
    pub fn setup_link(&self) -> Option<&str> {
        self.setup_link.as_deref()
    }

    /// Serves until `shutdown` completes, then closes WebSockets and lets open requests end, for a bounded time.
    ///
    /// Agents stay attached until the requests have ended, because they carry them out.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), RunError> {
        let Self { http, http_addr, redirect, watches, agents, control, clock, stopping, .. } = self;
        tracing::info!(%http_addr, "server is up");
        let handle = http.handle();
        let redirect_handle = redirect.as_ref().map(HttpRunner::handle);
        let requests_ended = CancellationToken::new();
        let mut http = pin!(http);
        let mut redirect = pin!(async {
            match redirect {
                Some(redirect) => redirect.await,
                None => std::future::pending().await,
            }
        });
        let mut agents = pin!(agents.serve(control.clone(), clock, requests_ended.cancelled()));
        tokio::select! {
            ended = &mut http => return ended.map_err(RunError::Http),
            ended = &mut redirect => return ended.map_err(RunError::Http),
            ended = &mut agents => return Ok(ended?),
            () = shutdown => {}
        }
        tracing::info!("server is stopping");
        stopping.cancel();
        watches.iter().for_each(ChildHandle::kill);
        let end_redirect = async {
            if let Some(handle) = redirect_handle {
                // Its answers are sent at once, so there is nothing to wait for.
                let (_, ()) = tokio::join!(redirect, handle.stop(false));
            }
        };
        let end_requests = async {
            let (ended, (), ()) = tokio::join!(http, handle.stop(true), end_redirect);
            requests_ended.cancel();
            ended
        };
        let (http_ended, agents_ended) = tokio::join!(end_requests, agents);
        control.actors().shutdown().await;
        http_ended.map_err(RunError::Http)?;
        Ok(agents_ended?)
    }
}

/// Returns a listening socket: the one that is there already, else one bound to the address.
async fn listener(socket: Option<&TcpListener>, addr: &str) -> Result<TcpListener, RunError> {
    match socket {
        Some(socket) => {
            socket.try_clone().map_err(|source| RunError::ListenHttp { addr: addr.to_owned(), source })
        }
        None => bind_http(addr).await,
    }
}

/// Listens on `host:port`; a leading scheme is accepted.
async fn bind_http(addr: &str) -> Result<TcpListener, RunError> {
    let host_and_port =
        addr.strip_prefix("http://").or_else(|| addr.strip_prefix("https://")).unwrap_or(addr);
    let host_and_port = host_and_port.trim_end_matches('/');
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
fn serve_http(
    listener: TcpListener,
    app: App,
    config: &ServerConfig,
    tls: Option<rustls::ServerConfig>,
) -> std::io::Result<HttpRunner> {
    // A name for this machine alone is also that of other programs, which need not know TLS.
    let is_strict = tls.is_some() && app.public_url.is_https() && !is_local_name(app.public_url.host());
    let app = Data::new(app);
    let metrics = Data::new(Metrics::new(|registry| server_metrics::register(&app.control, registry)));
    let (clock, rng) = (Data::new(app.clock.clone()), Data::new(app.rng.clone()));
    let fault_injection = config.fault_injection;
    let server = HttpServer::new(move || {
        WebApp::new()
            .app_data(app.clone())
            .app_data(metrics.clone())
            .app_data(clock.clone())
            .app_data(rng.clone())
            .configure(|config| preview::configure(config, &app))
            .service(
                // Not around previews, which are the programs' own pages.
                web::scope("")
                    .wrap(middleware::Compress::default())
                    .wrap(middleware::from_fn(observe))
                    .wrap(middleware::Condition::new(
                        is_strict,
                        middleware::DefaultHeaders::new()
                            .add((header::STRICT_TRANSPORT_SECURITY, STRICT_TRANSPORT)),
                    ))
                    .configure(|config| routes::configure(config, fault_injection)),
            )
    });
    let server = server
        .workers(config.http_workers)
        .client_request_timeout(HEAD_TIMEOUT)
        .tls_handshake_timeout(HEAD_TIMEOUT)
        .max_connection_rate(HANDSHAKES)
        // Whoever closes the connection has left: the handler ends, and with it the command it waits for.
        .h1_allow_half_closed(false)
        .keep_alive(KEEP_ALIVE)
        .shutdown_timeout(SHUTDOWN_SEC)
        .disable_signals();
    let server = match tls {
        Some(tls) => server.listen_rustls_0_23(listener, tls)?,
        None => server.listen(listener)?,
    };
    Ok(server.run())
}

fn is_local_name(host: &str) -> bool {
    host == "localhost" || host.ends_with(".localhost") || host.parse::<IpAddr>().is_ok()
}

/// Starts a server and runs it until `shutdown` completes; see [`Server`].
pub async fn run(
    config: ServerConfig,
    clock: Clock,
    rng: Rng,
    shutdown: impl Future<Output = ()>,
) -> Result<(), RunError> {
    let server = Server::start(config, clock, rng).await?;
    if let Some(link) = server.setup_link() {
        // Not through the log, which others may read.
        eprintln!(
            "There is no administrator yet. Open this link to make the first account; it is valid once:\n  {link}"
        );
    }
    server.run(shutdown).await
}

/// Returns the address that registration tokens name.
fn agents_address(config: &ServerConfig, listener: &AgentListener) -> Result<String, RunError> {
    match (&config.grpc_public_addr, &config.public_url, listener.port()) {
        (Some(address), ..) => Ok(address.clone()),
        (None, ..) if !listener.is_unspecified() => Ok(listener.to_string()),
        (None, Some(url), Some(port)) if url.host().contains(':') => Ok(format!("[{}]:{port}", url.host())),
        (None, Some(url), Some(port)) => Ok(format!("{}:{port}", url.host())),
        (None, ..) => Err(RunError::NoAgentsAddress),
    }
}

/// Returns the rules for accounts: what is not configured depends on whether strangers can reach the server.
fn accounts_config(config: &ServerConfig, http_addr: SocketAddr) -> Result<AccountsConfig, RunError> {
    let is_local = http_addr.ip().is_loopback();
    let by_default = if is_local { SignUpPolicy::Open } else { SignUpPolicy::Closed };
    let signup = config.signup.unwrap_or(by_default);
    let is_open = is_local && signup == SignUpPolicy::Open;
    let public_url = match &config.public_url {
        Some(url) => url.clone(),
        None => default_public_url(config, http_addr)?,
    };
    Ok(AccountsConfig {
        signup,
        first_admin: if is_open { FirstAdmin::FirstAccount } else { FirstAdmin::SetUpLink },
        mail: config.mail.clone(),
        public_url,
        providers: config.providers.clone(),
    })
}

/// Returns the address of REST as browsers reach it, as far as the configuration tells.
fn default_public_url(config: &ServerConfig, http_addr: SocketAddr) -> Result<PublicUrl, PublicUrlError> {
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    let port = http_addr.port();
    let acme = config.tls.as_ref().and_then(|tls| tls.acme.as_ref());
    match acme {
        Some(acme) => format!("{scheme}://{}:{port}", acme.first_name()).parse(),
        // A browser on this machine reaches a server that listens on all addresses.
        None if http_addr.ip().is_unspecified() => format!("{scheme}://localhost:{port}").parse(),
        None => format!("{scheme}://{http_addr}").parse(),
    }
}
