//! What the machine itself offers.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use nix::sys::{
    statfs::{BTRFS_SUPER_MAGIC, XFS_SUPER_MAGIC, statfs},
    statvfs::statvfs,
};
use wrenn_agent::vmm::{
    accel::Acceleration,
    qemu::{FAST_EMULATION, Qemu, emulates_fast},
};
use wrenn_base::{Chain, Clock};

use super::{
    checks::{QEMU, find, install},
    finding::Check,
};
use crate::up::AGENT_FOLDER;

const MB: u64 = 1024 * 1024;

pub(super) fn user() -> Check {
    if nix::unistd::geteuid().is_root() {
        Check::ok("user", "root")
    } else {
        Check::fail("user", "not root: capsules need network namespaces and mounts", "sudo wrenn doctor")
    }
}

/// Acceleration of machines here, and the speed of QEMU where it has to emulate them. A probe guest is started only where
/// the processor gives hope.
pub(super) async fn acceleration(data: &Path, clock: &Clock) -> Vec<Check> {
    const NAME: &str = "acceleration";
    let install = || install("qemu-system-x86");
    let Some(program) = find(QEMU) else {
        return vec![Check::fail(NAME, "unknown without QEMU", install())];
    };
    let agent = data.join(AGENT_FOLDER);
    let cache = if agent.is_dir() { agent } else { std::env::temp_dir() };
    let qemu = match Qemu::detect(Some(&program), &cache, clock).await {
        Ok(qemu) => qemu,
        Err(error) => return vec![Check::fail(NAME, Chain(&error).to_string(), install())],
    };
    match qemu.acceleration() {
        Acceleration::Kvm => vec![Check::ok(NAME, Acceleration::Kvm.to_string())],
        tcg @ Acceleration::Tcg { .. } => vec![
            Check::warn(
                NAME,
                tcg.to_string(),
                "run on a machine with VT-x or AMD-V, or switch nested virtualisation on for this one",
            ),
            emulation(qemu.version()),
        ],
    }
}

/// Speed of the emulation by a version of QEMU.
fn emulation(version: &str) -> Check {
    const NAME: &str = "emulation";
    if emulates_fast(version) {
        Check::ok(NAME, format!("QEMU {version}"))
    } else {
        Check::warn(
            NAME,
            format!(
                "QEMU {version}: a command takes twice as long as with QEMU {FAST_EMULATION} (36 ms, not 18 ms)"
            ),
            format!(
                "install QEMU {FAST_EMULATION}, which is in Debian 13, and in Debian 12's backports: \
                 apt-get install -t bookworm-backports qemu-system-x86"
            ),
        )
    }
}

/// What the kernel must be able to do.
pub(super) fn kernel() -> Vec<Check> {
    vec![
        device("tun", "/dev/net/tun", "modprobe tun"),
        device("loop devices", "/dev/loop-control", "modprobe loop"),
        filesystem("xfs"),
        // Both are gone when the command ends: so is its namespace.
        in_namespace(
            "network namespaces",
            &["ip", "link", "add", "probe0", "type", "veth", "peer", "name", "probe1"],
            "veth",
        ),
        in_namespace(
            "nat",
            &[
                "nft",
                "add table ip t; add chain ip t c { type nat hook postrouting priority 0; }; \
             add rule ip t c masquerade",
            ],
            "nft_masq",
        ),
        cgroups(),
    ]
}

fn device(name: &'static str, path: &str, fix: &str) -> Check {
    if Path::new(path).exists() {
        Check::ok(name, path)
    } else {
        Check::fail(name, format!("no {path}"), fix)
    }
}

fn filesystem(name: &'static str) -> Check {
    let known = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    let loaded = known.lines().any(|line| line.split_whitespace().last() == Some(name));
    let loadable = || quiet(Command::new("modprobe").args(["--dry-run", name]));
    if loaded || loadable() {
        Check::ok(name, "the kernel knows it")
    } else {
        Check::fail(name, "the kernel does not know it", format!("modprobe {name}"))
    }
}

fn in_namespace(name: &'static str, command: &[&str], module: &str) -> Check {
    if quiet(Command::new("unshare").arg("--net").args(command)) {
        Check::ok(name, format!("{module} works"))
    } else {
        Check::fail(
            name,
            format!("`unshare --net {}` fails", command.join(" ")),
            format!("modprobe {module}"),
        )
    }
}

fn quiet(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn cgroups() -> Check {
    const NAME: &str = "cgroups";
    let root = Path::new("/sys/fs/cgroup");
    let unified = fs::read_to_string(root.join("cgroup.controllers")).unwrap_or_default();
    let has = |controller: &str| {
        unified.split_whitespace().any(|name| name == controller) || root.join(controller).is_dir()
    };
    let layout = match (root.join("cgroup.controllers").exists(), root.join("unified").exists()) {
        (true, _) => "v2",
        (false, true) => "hybrid",
        (false, false) => "v1",
    };
    let missing: Vec<&str> =
        ["cpu", "memory", "pids"].into_iter().filter(|controller| !has(controller)).collect();
    if missing.is_empty() {
        Check::ok(NAME, format!("{layout}, with cpu, memory and pids"))
    } else {
        Check::warn(
            NAME,
            format!("{layout}, without {}: capsules are not bounded by it", missing.join(", ")),
            "boot with systemd.unified_cgroup_hierarchy=1",
        )
    }
}

/// Disk and memory.
pub(super) fn room(data: &Path) -> Vec<Check> {
    vec![disk(data), reflinks(data), memory()]
}

/// The nearest folder that exists: the data folder may be still to be made.
fn existing(data: &Path) -> PathBuf {
    let absolute = std::path::absolute(data).unwrap_or_else(|_| data.to_owned());
    absolute.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new("/")).to_owned()
}

fn disk(data: &Path) -> Check {
    const NAME: &str = "free disk";
    const FIX: &str = "free some space, or set WRENN_DATA to a folder on another disk";
    let folder = existing(data);
    let Ok(stat) = statvfs(&folder) else {
        return Check::fail(NAME, format!("cannot look at {}", folder.display()), FIX);
    };
    let free_mb = stat.blocks_available() * stat.fragment_size() / MB;
    let found = format!("{free_mb} MB at {}", folder.display());
    match free_mb {
        0..3_000 => Check::fail(NAME, found, FIX),
        3_000..10_000 => Check::warn(NAME, found, FIX),
        _ => Check::ok(NAME, found),
    }
}

fn reflinks(data: &Path) -> Check {
    let kind = statfs(&existing(data)).map(|stat| stat.filesystem_type());
    let found = match kind {
        Ok(BTRFS_SUPER_MAGIC) => "btrfs: images are cloned in place",
        Ok(XFS_SUPER_MAGIC) => "xfs: images are cloned in place, if it was made with reflinks",
        _ => "this filesystem has none: the agent makes an XFS volume in a file",
    };
    Check::ok("reflinks", found)
}

fn memory() -> Check {
    const NAME: &str = "free memory";
    const FIX: &str = "end other programs, or add memory: a capsule takes 512 MB unless told otherwise";
    let info = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let available_mb = info
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:")?.split_whitespace().next()?.parse::<u64>().ok())
        .map_or(0, |kb| kb / 1024);
    let found = format!("{available_mb} MB");
    match available_mb {
        0..1_000 => Check::fail(NAME, found, FIX),
        1_000..2_000 => Check::warn(NAME, found, FIX),
        _ => Check::ok(NAME, found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Status;

    #[test]
    fn old_emulators_are_warned_of() {
        assert_eq!(emulation("10.0.13").status, Status::Ok);
        let old = emulation("7.2.22");
        assert_eq!(old.status, Status::Warn);
        assert!(old.found.contains("QEMU 7.2.22") && old.found.contains("twice as long"), "{}", old.found);
        let fix = old.fix.unwrap_or_default();
        assert!(fix.contains("Debian 13") && fix.contains("bookworm-backports"), "{fix}");
    }
}
