//! The kernel of a capsule: what a program finds of it that is not built in.

use anyhow::{Context, ensure};
use serde_json::json;

use crate::installation::{Capsule, Installation};

/// Modules that container engines, VPNs, network filesystems and disks within files need.
const MODULES: &str = "overlay bridge veth macvlan vxlan nf_tables nft_chain_nat nft_masq ip_tables iptable_nat ip6table_nat \
    xt_MASQUERADE br_netfilter nf_conntrack fuse tun vsock loop dm_mod dm_crypt dm_snapshot squashfs nfs nfsv4 cifs zram wireguard \
    ip_vs xfs btrfs sctp";

/// Nodes whose modules are loaded when they are opened, and their permissions.
const DEVICES: &str =
    "/dev/fuse 666 /dev/net/tun 666 /dev/loop-control 600 /dev/mapper/control 600 /dev/kmsg 644";

pub(crate) async fn modules_are_at_hand(installation: &Installation) -> anyhow::Result<()> {
    let capsule = installation.capsule().await?;
    let missing = format!("for name in {MODULES}; do modprobe $name 2>&1 || echo $name; done");
    let missing = capsule.shell(&missing).await?;
    ensure!(missing.is_empty(), "missing: {missing}");
    let written = capsule.exec(json!({ "cmd": "touch /lib/modules/$(uname -r)/new" })).await?;
    ensure!(written["exit_code"] != 0, "the modules can be changed");
    let devices =
        format!("set -- {DEVICES}; while [ $# -gt 0 ]; do stat -c '%n %a' $1; shift 2; done | xargs");
    let devices = capsule.shell(&devices).await?;
    ensure!(devices.trim() == DEVICES, "{devices}");
    capsule.delete().await?;

    // The kernel loads them by itself, too.
    let capsule = installation.capsule().await?;
    let used = "mkdir -p /o/lower /o/upper /o/work /o/all && \
        mount -t overlay none -o lowerdir=/o/lower,upperdir=/o/upper,workdir=/o/work /o/all && \
        ip link add bridge0 type bridge && ip link add one type veth peer name other && ip link set one master bridge0 && \
        truncate -s 8M /file && mke2fs -q -t ext4 /file && mkdir /looped && mount -o loop /file /looped && \
        python3 -c 'import socket; socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM); open(\"/dev/fuse\", \"r+b\", 0)' && \
        setpriv --reuid nobody --clear-groups unshare --user --map-root-user id -u";
    let found = capsule.shell(used).await?;
    ensure!(found == "0\n", "{found}");
    capsule.delete().await
}

pub(crate) async fn modules_outlast_a_pause(installation: &Installation) -> anyhow::Result<()> {
    let capsule = installation.capsule().await?;
    capsule.shell("modprobe overlay; ls -R /lib/modules >/dev/null").await?;
    capsule.pause().await?;
    capsule.resume().await?;
    // From the disk, not from what the memory has of it.
    another(&capsule, "sctp").await.context("after a resume")?;
    capsule.snapshot("e2e-modules", "snapshot").await?.success()?;
    let copy = installation.capsule_of("e2e-modules").await?;
    another(&copy, "wireguard").await.context("in a copy")?;
    copy.delete().await?;
    another(&capsule, "btrfs").await.context("after a snapshot")?;
    capsule.delete().await?;
    installation.client()?.delete("/v1/snapshots/e2e-modules").await?.success().map(drop)
}

async fn another(capsule: &Capsule<'_>, module: &str) -> anyhow::Result<()> {
    let load =
        format!("echo 3 >/proc/sys/vm/drop_caches; modprobe {module} && grep -c '^{module} ' /proc/modules");
    let loaded = capsule.shell(&load).await?;
    ensure!(loaded == "1\n", "{module} cannot be loaded: {loaded}");
    Ok(())
}

pub(crate) async fn a_tunnel_is_used_by_policy(installation: &Installation) -> anyhow::Result<()> {
    let capsule = installation.capsule().await?;
    // TUNSETIFF with IFF_TUN and IFF_NO_PI; SO_MARK is 36.
    let program = "import fcntl, os, socket, struct, subprocess\n\
        tunnel = os.open('/dev/net/tun', os.O_RDWR)\n\
        fcntl.ioctl(tunnel, 0x400454ca, struct.pack('16sH', b'tun0', 0x1001))\n\
        def ip(*words): subprocess.run(('ip',) + words, check=True)\n\
        ip('address', 'add', '10.99.0.1/24', 'dev', 'tun0')\n\
        ip('link', 'set', 'tun0', 'up')\n\
        ip('route', 'add', 'default', 'dev', 'tun0', 'table', '99')\n\
        ip('rule', 'add', 'fwmark', '7', 'table', '99')\n\
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
        sender.setsockopt(socket.SOL_SOCKET, 36, 7)\n\
        sender.sendto(b'by policy', ('192.0.2.1', 9))\n\
        packet = b''\n\
        while not packet or packet[0] >> 4 != 4: packet = os.read(tunnel, 2000)\n\
        print(socket.inet_ntoa(packet[16:20]), packet[28:].decode())";
    let sent = capsule.exec(json!({ "cmd": "python3", "args": ["-c", program], "timeout_sec": 60 })).await?;
    ensure!(sent["stdout"] == "192.0.2.1 by policy\n", "{sent}");
    capsule.delete().await
}
