//! What code in a capsule must not reach.

use std::net::{IpAddr, TcpListener, UdpSocket};

use anyhow::{Context, ensure};
use serde_json::json;

use crate::installation::Installation;

/// Where every guest's daemon listens, and the host's side of its tap.
const GUEST: &str = "172.30.0.2:49983";
const GATEWAY: &str = "172.30.0.1";

pub(crate) async fn guest_is_fenced_in(installation: &Installation) -> anyhow::Result<()> {
    let capsule = installation.capsule().await?;
    let other = installation.capsule().await?;
    // On every address of the host, and open to whoever gets through to it.
    let listener = TcpListener::bind("0.0.0.0:0")?;
    let port = listener.local_addr()?.port();

    let mut targets = vec![
        format!("{GATEWAY}:{port}"),
        format!("{GATEWAY}:{}", installation.port()),
        format!("{GUEST}"),
        "127.0.0.1:49983".to_owned(),
        "169.254.169.254:80".to_owned(),
    ];
    targets.extend(address_of_host().map(|address| format!("{address}:{port}")));
    for shown in [capsule.show().await?, other.show().await?] {
        let host_ip = shown["host_ip"].as_str().context("host_ip")?.to_owned();
        targets.extend([format!("{host_ip}:{port}"), format!("{host_ip}:49983")]);
    }
    for target in targets {
        // --http0.9 takes any answer at all: what counts is whether somebody is there.
        let cmd = format!("curl --silent --output /dev/null --http0.9 --max-time 3 http://{target}/");
        let result = capsule.exec(json!({ "cmd": cmd, "timeout_sec": 30 })).await?;
        // 7: refused or no route; 28: no answer. Anything else, and there was a connection.
        let code = result["exit_code"].as_i64().context("exit_code")?;
        ensure!(code == 7 || code == 28, "the guest reaches {target}: curl ends with {result}");
    }
    listener.set_nonblocking(true)?;
    ensure!(listener.accept().is_err(), "a guest has connected to a port of the host");
    other.delete().await?;
    capsule.delete().await
}

/// The address that this machine uses towards others, if it has one; nothing is sent.
fn address_of_host() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_unspecified()).then_some(address)
}
