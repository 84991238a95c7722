//! What the server is told when it starts.

use std::{net::TcpListener, sync::Arc, time::Duration};

use wrenn_actors::{FaultInjection, NotifyConfig, RetentionConfig, objects::ObjectsLocation};
use wrenn_control::{
    agent_authority::CERTIFICATE_TTL, mail::MailConfig, provider::ProvidersConfig, public_url::PublicUrl,
};
use wrenn_domain::user::SignUpPolicy;

use crate::{preview::PreviewUrl, tls::TlsConfig};

/// Configuration of `wrenn server`.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Postgres, as `postgres://…`; may name a unix socket with `?host=`.
    pub database_url: String,
    /// Redis, as `redis://…` or `redis+unix:///path`.
    pub redis_url: String,
    /// Address of REST and dashboard, as `host:port`; a leading `http://` or `https://` is accepted.
    pub http_addr: String,
    /// Listening socket to use instead of that address.
    pub http_socket: Option<Arc<TcpListener>>,
    /// Certificates, if REST and dashboard are served over TLS.
    pub tls: Option<TlsConfig>,
    /// Address at which plain HTTP is redirected to TLS.
    pub http_redirect_addr: Option<String>,
    /// Listening socket to use instead of that address.
    pub http_redirect_socket: Option<Arc<TcpListener>>,
    /// Address on which agents are served, as `host:port` or `unix:/path`.
    pub grpc_addr: String,
    /// Address at which hosts reach the server, as `host:port`, for registration tokens; by default that of `grpc_addr`.
    pub grpc_public_addr: Option<String>,
    /// Life of the certificates that hosts get; they renew them when a third is left.
    pub agent_certificate_ttl: Duration,
    /// Threads that serve HTTP.
    pub http_workers: usize,
    /// Connections to Postgres, at most.
    pub database_connections: u32,
    /// Where the ports of capsules are reached from outside; below `.localhost` at the server's own port if none is said.
    pub preview_url: Option<PreviewUrl>,
    /// Address at which browsers reach the dashboard; that of REST by default.
    pub public_url: Option<PublicUrl>,
    /// Rule for sign-up; by default open if REST listens on loopback only, else closed.
    pub signup: Option<SignUpPolicy>,
    /// Server and sender of mail. Without it every address counts as proved.
    pub mail: Option<MailConfig>,
    /// Identity providers by which users can sign in.
    pub providers: ProvidersConfig,
    /// Rules for notifications.
    pub notify: NotifyConfig,
    /// How many builds are worked on at once.
    pub build_workers: usize,
    /// What the kept disks of builds' steps may occupy, in bytes.
    pub build_cache_bytes: u64,
    /// Ages at which rows are removed.
    pub retention: RetentionConfig,
    /// Where objects are kept, such as the archives of builds.
    pub objects: ObjectsLocation,
    /// How often an attached host is asked what it has.
    pub inventory_interval: Duration,
    /// Whether the routes that make actors panic exist; for tests of supervision.
    pub fault_injection: FaultInjection,
}

impl Default for ServerConfig {
    /// Loopback addresses and a size that fits a small machine.
    fn default() -> Self {
        Self {
            database_url: String::new(),
            redis_url: String::new(),
            http_addr: "127.0.0.1:8000".to_owned(),
            http_socket: None,
            tls: None,
            http_redirect_addr: None,
            http_redirect_socket: None,
            grpc_addr: "127.0.0.1:8001".to_owned(),
            grpc_public_addr: None,
            agent_certificate_ttl: CERTIFICATE_TTL,
            http_workers: 2,
            database_connections: 10,
            preview_url: None,
            public_url: None,
            signup: None,
            mail: None,
            providers: ProvidersConfig::default(),
            notify: NotifyConfig::default(),
            build_workers: wrenn_actors::BuildConfig::default().workers,
            build_cache_bytes: wrenn_actors::BuildConfig::default().cache_bytes,
            retention: RetentionConfig::default(),
            objects: ObjectsLocation::Memory,
            inventory_interval: wrenn_actors::Config::default().inventory_interval,
            fault_injection: FaultInjection::Off,
        }
    }
}
