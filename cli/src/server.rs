//! `wrenn server`: the control plane.

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::bail;
use wrenn_agent::config::{ServerAddr, ServerAddrError};
use wrenn_api::{
    FaultInjection, MailConfig, NotifyConfig, ObjectsLocation, PreviewUrl, PublicUrl, Receivers,
    RetentionConfig, ServerConfig, SignUpPolicy, TlsConfig,
    agent_authority::CERTIFICATE_TTL,
    tls::{AcmeConfig, LETS_ENCRYPT, PairFiles},
};
use wrenn_base::{Clock, Rng};

use crate::{process::EndSignal, providers::ProviderOptions, sockets::InheritedSockets};

const DAY_SEC: u64 = 86_400;

/// `wrenn server`: serves REST, dashboard and the hosts' agents.
#[derive(Debug, clap::Args)]
pub struct ServerCommand {
    /// Postgres, as postgres://… (a unix socket with ?host=/folder).
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: String,
    /// Redis, as redis://… or redis+unix:///path.
    #[arg(long, env = "REDIS_URL", hide_env_values = true)]
    redis_url: String,
    /// Address of REST interface and dashboard.
    #[arg(long, env = "WRENN_HTTP_ADDR", default_value = "127.0.0.1:8000")]
    http_addr: String,
    /// Certificate chain for TLS, as a PEM file; several with a comma between them, chosen by the name that a client asks
    /// for. Read again when it changes.
    #[arg(long, env = "WRENN_TLS_CERT")]
    tls_cert: Option<String>,
    /// Private key of the certificate, as a PEM file; several in the order of the certificates.
    #[arg(long, env = "WRENN_TLS_KEY")]
    tls_key: Option<String>,
    /// Names to have a certificate for from an ACME directory, with a comma between them; the first one is the dashboard's.
    /// Setting it accepts the directory's terms of service.
    #[arg(long, env = "WRENN_ACME_NAMES")]
    acme_names: Option<String>,
    /// Mail address of the account at the ACME directory.
    #[arg(long, env = "WRENN_ACME_EMAIL")]
    acme_email: Option<String>,
    /// Address of the ACME directory.
    #[arg(long, env = "WRENN_ACME_DIRECTORY", default_value = LETS_ENCRYPT)]
    acme_directory: String,
    /// Root certificate of the ACME directory itself, as a PEM file, if this machine does not trust it.
    #[arg(long, env = "WRENN_ACME_ROOT")]
    acme_root: Option<PathBuf>,
    /// Address that redirects plain HTTP to TLS, as HOST:PORT.
    #[arg(long, env = "WRENN_HTTP_REDIRECT_ADDR")]
    http_redirect_addr: Option<String>,
    /// Address on which agents are served, as HOST:PORT or unix:/PATH; always encrypted, so it may be public.
    #[arg(long, env = "WRENN_GRPC_ADDR", default_value = "127.0.0.1:8001")]
    grpc_addr: String,
    /// Address at which hosts reach this server, as HOST:PORT, for their registration tokens; if not given, that of
    /// WRENN_GRPC_ADDR, or the name in WRENN_PUBLIC_URL if that is all addresses.
    #[arg(long, env = "WRENN_GRPC_PUBLIC_ADDR", value_parser = agents_address)]
    grpc_public_addr: Option<String>,
    /// Life of the certificates of hosts, in seconds; they are renewed when a third is left.
    #[arg(long, env = "WRENN_HOST_CERTIFICATE_SEC", default_value_t = CERTIFICATE_TTL.as_secs(),
        value_parser = clap::value_parser!(u64).range(10..=31_536_000))]
    host_certificate_sec: u64,
    /// Where browsers reach the ports of capsules, like https://{port}-{capsule}.preview.example.com; below .localhost at
    /// the server's own port if not given. Names below .localhost work in any case.
    #[arg(long, env = "WRENN_PREVIEW_URL")]
    preview_url: Option<PreviewUrl>,
    /// Address at which browsers reach the dashboard, like https://wrenn.example.com, for links; that of REST if not given.
    #[arg(long, env = "WRENN_PUBLIC_URL")]
    public_url: Option<PublicUrl>,
    /// Rule for sign-up: everybody (open), people with an invitation to a team (invite), nobody (closed). If not given: open
    /// where REST listens on a loopback address, else closed.
    #[arg(long, env = "WRENN_SIGNUP", value_parser = sign_up_policy)]
    signup: Option<SignUpPolicy>,
    /// Server for mail, as smtps://user:password@mail.example.com, or smtp://…?tls=required. Without it no mail is sent, and
    /// every address counts as confirmed.
    #[arg(long, env = "WRENN_SMTP_URL", hide_env_values = true, requires = "mail_from")]
    smtp_url: Option<String>,
    /// Sender of mail, as "Wrenn <wrenn@example.com>".
    #[arg(long, env = "WRENN_MAIL_FROM")]
    mail_from: Option<String>,
    #[command(flatten)]
    providers: ProviderOptions,
    /// Networks and addresses besides the public internet to which notifications may be sent, like 10.1.0.0/16,192.168.5.7.
    #[arg(long, env = "WRENN_NOTIFY_ALLOW", default_value = "")]
    notify_allow: Receivers,
    /// Connections to Postgres, at most.
    #[arg(long, env = "WRENN_DATABASE_CONNECTIONS", default_value_t = 10)]
    database_connections: u32,
    /// Builds that are worked on at once.
    #[arg(long, env = "BUILD_WORKERS", default_value_t = 2, value_parser = clap::value_parser!(u32).range(0..=64))]
    build_workers: u32,
    /// What the kept disks of builds' steps may occupy on the hosts, in MiB; the ones not used for longest go first.
    #[arg(long, env = "WRENN_BUILD_CACHE_MB", default_value_t = 20_480)]
    build_cache_mb: u64,
    /// Time for which a capsule is still shown after its end, in days.
    #[arg(long, env = "WRENN_KEEP_CAPSULES_DAYS", default_value_t = days(RetentionConfig::default().capsules),
        value_parser = clap::value_parser!(u64).range(1..=3650))]
    keep_capsules_days: u64,
    /// Time for which the output of a build's steps is kept after its end, in days.
    #[arg(long, env = "WRENN_KEEP_BUILD_LOGS_DAYS", default_value_t = days(RetentionConfig::default().build_logs),
        value_parser = clap::value_parser!(u64).range(1..=3650))]
    keep_build_logs_days: u64,
    /// Folder for objects, such as the archives of builds; made if it is missing.
    #[arg(long, env = "WRENN_OBJECTS", default_value = "/var/lib/wrenn/objects")]
    objects: PathBuf,
    /// How often hosts are asked what they have, in milliseconds; for tests that want it all the time.
    #[arg(long, env = "WRENN_INVENTORY_INTERVAL_MS", hide = true, default_value_t = 60_000,
        value_parser = clap::value_parser!(u64).range(1..))]
    inventory_interval_ms: u64,
    /// Serve the routes that make actors panic; for tests of supervision.
    #[arg(long, env = "WRENN_FAULT_INJECTION", hide = true, action = clap::ArgAction::Set, default_value = "0",
        value_parser = clap::builder::BoolishValueParser::new())]
    fault_injection: bool,
}

impl ServerCommand {
    /// Serves until SIGINT or SIGTERM. Must run on an actix system.
    pub async fn run(self, clock: Clock, rng: Rng) -> anyhow::Result<()> {
        let InheritedSockets { http, https } = InheritedSockets::take()?;
        wrenn_agent::raise_open_files_limit();
        let mut end = EndSignal::listen()?;
        let mail = match (&self.smtp_url, &self.mail_from) {
            (Some(url), Some(from)) if !url.is_empty() => {
                if self.public_url.is_none() {
                    bail!(
                        "WRENN_PUBLIC_URL: is missing; links in mail need it, as https://wrenn.example.com"
                    );
                }
                Some(MailConfig::new(url, from)?)
            }
            _ => None,
        };
        let files = PairFiles::list(self.tls_cert.as_deref(), self.tls_key.as_deref())?;
        let acme = AcmeConfig::new(
            self.acme_names.as_deref().unwrap_or_default(),
            self.acme_email.as_deref(),
            Some(&self.acme_directory),
            self.acme_root,
        )?;
        let has_tls = acme.is_some() || !files.is_empty();
        let tls = has_tls.then(|| TlsConfig { files, acme, ..TlsConfig::default() });
        let (http_socket, http_redirect_socket) = match (has_tls, https) {
            (true, https) => (https, http),
            (false, None) => (http, None),
            (false, Some(_)) => bail!(
                "LISTEN_FDNAMES: https needs certificates; set WRENN_TLS_CERT and WRENN_TLS_KEY, or WRENN_ACME_NAMES"
            ),
        };
        let config = ServerConfig {
            database_url: self.database_url,
            redis_url: self.redis_url,
            http_addr: self.http_addr,
            http_socket: http_socket.map(Arc::new),
            tls,
            http_redirect_addr: self.http_redirect_addr.filter(|addr| !addr.is_empty()),
            http_redirect_socket: http_redirect_socket.map(Arc::new),
            grpc_addr: self.grpc_addr,
            grpc_public_addr: self.grpc_public_addr,
            agent_certificate_ttl: Duration::from_secs(self.host_certificate_sec),
            preview_url: self.preview_url,
            public_url: self.public_url,
            signup: self.signup,
            mail,
            providers: self.providers.into_config()?,
            notify: NotifyConfig { receivers: self.notify_allow, ..NotifyConfig::default() },
            database_connections: self.database_connections,
            build_workers: self.build_workers as usize,
            build_cache_bytes: self.build_cache_mb.saturating_mul(1024 * 1024),
            retention: RetentionConfig {
                capsules: Duration::from_secs(self.keep_capsules_days * DAY_SEC),
                build_logs: Duration::from_secs(self.keep_build_logs_days * DAY_SEC),
            },
            objects: ObjectsLocation::Folder(self.objects),
            inventory_interval: Duration::from_millis(self.inventory_interval_ms),
            fault_injection: if self.fault_injection { FaultInjection::On } else { FaultInjection::Off },
            ..ServerConfig::default()
        };
        Ok(wrenn_api::run(config, clock, rng, async move { end.received().await }).await?)
    }
}

fn days(time: Duration) -> u64 {
    time.as_secs() / DAY_SEC
}

fn agents_address(text: &str) -> Result<String, ServerAddrError> {
    text.parse().map(|address: ServerAddr| address.to_string())
}

fn sign_up_policy(text: &str) -> Result<SignUpPolicy, String> {
    text.parse().map_err(|_| "must be open, invite or closed".to_owned())
}
