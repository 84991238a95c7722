//! Certificates from an ACME directory: Pebble, which validates each name at the server's own port.

use std::time::Duration;

use rustls::pki_types::CertificateDer;
use sqlx::PgPool;
use wrenn_api::{ServerConfig, TlsConfig, tls::AcmeConfig};
use wrenn_base::Clock;
use wrenn_testkit::wait::{eventually, eventually_within};

use crate::support::{
    As, TestServer, config,
    pebble::Directory,
    tls::{certificate_of, connect, unchecked},
};

const NAMES: [&str; 2] = ["wrenn.test", "api.wrenn.test"];
/// Lifetime of certificates that are not to be renewed within a test.
const LONG_SEC: u64 = 90 * 24 * 3600;
/// Time for an order, of which rustls-acme alone waits a second for each name.
const ORDER_PATIENCE: Duration = Duration::from_secs(60);

async fn server(pool: &PgPool, directory: &Directory) -> TestServer {
    let acme = AcmeConfig::new(
        &NAMES.join(","),
        Some("admin@wrenn.test"),
        Some(&directory.url()),
        Some(directory.root()),
    );
    let mut acme = acme.unwrap().unwrap();
    (acme.look_every, acme.retry_after) = (Duration::from_millis(50), Duration::from_millis(200));
    let tls = TlsConfig { acme: Some(acme), ..TlsConfig::default() };
    let config = ServerConfig { tls: Some(tls), ..config(pool) };
    TestServer::start_trusted(pool.clone(), config, Clock::process(), Some(unchecked())).await
}

/// Returns the certificate that a client sees that trusts the directory alone; `None` if it is not one of the directory.
async fn issued(
    server: &TestServer,
    trust: &rustls::ClientConfig,
    name: &str,
) -> Option<CertificateDer<'static>> {
    Some(certificate_of(&connect(server.addr, name, trust).await.ok()?))
}

async fn count(pool: &PgPool, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(pool).await.unwrap()
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_server_starts_without_the_directory_and_renews_in_time(pool: PgPool) {
    let directory = Directory::new();
    let server = server(&pool, &directory).await;
    // The directory is away: the server has a certificate of its own, and tries again.
    assert_eq!(server.get("/v1/me", &As::Nobody).await.status, 401);
    eventually("orders fail", || async {
        count(&pool, "SELECT coalesce(max(failures), 0)::int8 FROM acme_certificates").await >= 2
    })
    .await;
    assert_eq!(server.get("/v1/me", &As::Nobody).await.status, 401);

    let _pebble = directory.start(server.addr.port(), 20).await;
    let trust = directory.issued_by().await;
    eventually_within(ORDER_PATIENCE, "a certificate is issued", || async {
        issued(&server, &trust, NAMES[0]).await.is_some()
    })
    .await;
    let first = issued(&server, &trust, NAMES[0]).await.unwrap();
    assert_eq!(issued(&server, &trust, NAMES[1]).await.as_ref(), Some(&first));
    // Browsers never meet a certificate that has expired.
    eventually_within(ORDER_PATIENCE, "the certificate is renewed", || async {
        issued(&server, &trust, NAMES[0]).await.expect("a valid certificate") != first
    })
    .await;
    assert_eq!(count(&pool, "SELECT count(*) FROM acme_accounts").await, 1);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_certificate_is_shared_and_kept(pool: PgPool) {
    let directory = Directory::new();
    let one = server(&pool, &directory).await;
    let pebble = directory.start(one.addr.port(), LONG_SEC).await;
    let trust = directory.issued_by().await;
    eventually_within(ORDER_PATIENCE, "a certificate is issued", || async {
        issued(&one, &trust, NAMES[0]).await.is_some()
    })
    .await;
    let first = issued(&one, &trust, NAMES[0]).await.unwrap();

    // No server that is started later orders anything: there is no directory for it.
    drop(pebble);
    let two = server(&pool, &directory).await;
    eventually("the other server has it, too", || async {
        issued(&two, &trust, NAMES[0]).await.as_ref() == Some(&first)
    })
    .await;
    tokio::task::spawn_blocking(move || drop(one)).await.unwrap();
    assert_eq!(issued(&two, &trust, NAMES[1]).await, Some(first));
    assert_eq!(count(&pool, "SELECT sum(failures)::int8 FROM acme_certificates").await, 0);
    assert_eq!(count(&pool, "SELECT count(*) FROM acme_certificates").await, 1);
}
