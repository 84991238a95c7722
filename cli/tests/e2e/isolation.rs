//! What code in a capsule must not reach.

use std::net::{IpAddr, TcpListener, UdpSocket};

use anyhow::{Context, ensure};
use serde_json::json;

use wrenn_proto::GUEST_PORT;

use crate::installation::{Capsule, Installation};

/// Both sides of every tap.
const GUEST: &str = "172.30.0.2";
const GATEWAY: &str = "172.30.0.1";
/// curl's codes for a connection that was refused or never answered.
const NOBODY_THERE: [i64; 2] = [7, 28];
/// … and for one that was closed or reset before a single byte came.
const HANGS_UP: [i64; 2] = [52, 56];

pub(crate) async fn guest_is_fenced_in(installation: &Installation) -> anyhow::Result<()> {
    let capsule = installation.capsule().await?;
    let other = installation.capsule().await?;
    // On every address of the host, and open to whoever gets through to it.
    let listener = TcpListener::bind("0.0.0.0:0")?;
    let port = listener.local_addr()?.port();

    let mut targets = vec![
        format!("{GATEWAY}:{port}"),
        format!("{GATEWAY}:{}", installation.port()),
        "169.254.169.254:80".to_owned(),
    ];
    targets.extend(address_of_host().map(|address| format!("{address}:{port}")));
    for shown in [capsule.show().await?, other.show().await?] {
        let host_ip = shown["host_ip"].as_str().context("host_ip")?.to_owned();
        targets.extend([format!("{host_ip}:{port}"), format!("{host_ip}:{GUEST_PORT}")]);
    }
    for target in targets {
        let code = call(&capsule, &target).await?;
        ensure!(NOBODY_THERE.contains(&code), "the guest reaches {target}: curl ends with {code}");
    }
    // The guest daemon is there, but hangs up at once.
    for address in [GUEST, "127.0.0.1"] {
        let code = call(&capsule, &format!("{address}:{GUEST_PORT}")).await?;
        let is_refused = NOBODY_THERE.contains(&code) || HANGS_UP.contains(&code);
        ensure!(is_refused, "the guest daemon answers its own capsule at {address}: curl ends with {code}");
    }
    listener.set_nonblocking(true)?;
    ensure!(listener.accept().is_err(), "a guest has connected to a port of the host");
    other.delete().await?;
    capsule.delete().await
}

/// Exit code of curl for any answer at all, of whatever protocol: 0 and some others if there is one.
async fn call(capsule: &Capsule<'_>, target: &str) -> anyhow::Result<i64> {
    let cmd = format!("curl --silent --output /dev/null --http0.9 --max-time 5 http://{target}/");
    let result = capsule.exec(json!({ "cmd": cmd, "timeout_sec": 30 })).await?;
    result["exit_code"].as_i64().context("exit_code")
}

/// The address that this machine uses towards others, if it has one; nothing is sent.
fn address_of_host() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_unspecified()).then_some(address)
}
