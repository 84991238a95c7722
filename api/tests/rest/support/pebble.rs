//! Pebble, the ACME directory for tests, and its DNS server, which resolves every name to this machine.
//!
//! Both are in Debian's package `pebble`. Validations are real: Pebble connects to the server's port.

use std::{net::TcpListener, process::Stdio};

use rustls::{ClientConfig, RootCertStore, pki_types::CertificateDer, pki_types::pem::PemObject as _};
use serde_json::json;
use tokio::process::{Child, Command};
use wrenn_testkit::wait::found;

use super::{
    client,
    tls::{Authority, Files, client_config},
};

/// Ports of a directory that may not run yet.
pub(crate) struct Directory {
    authority: Authority,
    files: Files,
    port: u16,
    management_port: u16,
}

/// A directory that runs until this is dropped.
pub(crate) struct Pebble {
    _processes: [Child; 2],
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

impl Directory {
    pub(crate) fn new() -> Self {
        let authority = Authority::new();
        let files = Files::new(&authority.pair(&["127.0.0.1"]));
        std::fs::write(files.path("root.pem"), authority.root_pem()).expect("the root can be written");
        Self { authority, files, port: free_port(), management_port: free_port() }
    }

    pub(crate) fn url(&self) -> String {
        format!("https://127.0.0.1:{}/dir", self.port)
    }

    /// The file with the root of the directory's own certificate.
    pub(crate) fn root(&self) -> std::path::PathBuf {
        self.files.path("root.pem")
    }

    /// Starts the directory, which validates names at `tls_port`.
    pub(crate) async fn start(&self, tls_port: u16, validity_sec: u64) -> Pebble {
        let (dns_port, config) = (free_port(), self.files.path("pebble.json"));
        let content = json!({"pebble": {
            "listenAddress": format!("127.0.0.1:{}", self.port),
            "managementListenAddress": format!("127.0.0.1:{}", self.management_port),
            "certificate": self.files.chain(),
            "privateKey": self.files.key(),
            "httpPort": 1,
            "tlsPort": tls_port,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": false,
            "certificateValidityPeriod": validity_sec,
        }});
        std::fs::write(&config, content.to_string()).expect("the configuration can be written");
        let mut dns = Command::new("pebble-challtestsrv");
        dns.args([
            "-http01",
            "",
            "-https01",
            "",
            "-tlsalpn01",
            "",
            "-defaultIPv4",
            "127.0.0.1",
            "-defaultIPv6",
            "",
        ]);
        dns.args(["-dns01", &format!("127.0.0.1:{dns_port}")]);
        dns.args(["-management", &format!("127.0.0.1:{}", free_port())]);
        let mut pebble = Command::new("pebble");
        pebble.arg("-config").arg(&config).args(["-dnsserver", &format!("127.0.0.1:{dns_port}")]);
        // No artificial delays and failures; each order validates anew.
        pebble.envs([
            ("PEBBLE_VA_NOSLEEP", "1"),
            ("PEBBLE_WFE_NONCEREJECT", "0"),
            ("PEBBLE_AUTHZREUSE", "0"),
        ]);
        let start = |command: &mut Command| {
            let command = command.stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
            command.spawn().expect("pebble starts; it is in Debian's package `pebble`")
        };
        let pebble = Pebble { _processes: [start(&mut dns), start(&mut pebble)] };
        self.issued_by().await;
        pebble
    }

    /// Waits for the directory, and returns the configuration of a client that trusts what it issues, and nothing else.
    pub(crate) async fn issued_by(&self) -> ClientConfig {
        let client = client(Some(&self.authority.client())).build().expect("a client");
        let url = format!("https://127.0.0.1:{}/roots/0", self.management_port);
        let pem = found("the directory answers", async || {
            let answer = client.get(&url).send().await.ok()?.error_for_status().ok()?;
            answer.bytes().await.ok()
        })
        .await;
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&pem).expect("a certificate")).expect("a root");
        client_config(roots)
    }
}
