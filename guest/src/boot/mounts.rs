//! Mounts: devices first, then the root disk, then everything a running system has.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use nix::{
    mount::{MsFlags, mount},
    unistd::{chdir, chroot},
};

use super::BootError;

const ROOT_DISK: &str = "/dev/vda";
const NEW_ROOT: &str = "/newroot";
/// Devices of the VMM are there as soon as their module is loaded; this is for a VMM that is late, by 10 s at most.
const DISK_TRIES: u32 = 2000;
const DISK_POLL: Duration = Duration::from_millis(5);

/// Freed blocks go back to the host's sparse file; no thread spends the capsule's time on zeroing what is zero.
const ROOT_OPTIONS: &str = "discard,noinit_itable";

/// Folder in which the cgroups of commands are made.
pub const EXEC_CGROUPS: &str = "/sys/fs/cgroup/exec";

/// One line of the table of mounts.
struct Mount {
    kind: &'static str,
    path: &'static str,
    flags: MsFlags,
    options: &'static str,
}

const NO_PROGRAMS: MsFlags = MsFlags::MS_NOSUID.union(MsFlags::MS_NODEV).union(MsFlags::MS_NOEXEC);
const NO_DEVICES: MsFlags = MsFlags::MS_NOSUID.union(MsFlags::MS_NODEV);
const NO_SETUID: MsFlags = MsFlags::MS_NOSUID;

/// In this order. `/tmp` stays on the disk: memory is scarcer.
const SYSTEM: [Mount; 6] = [
    Mount { kind: "proc", path: "/proc", flags: NO_PROGRAMS, options: "" },
    Mount { kind: "sysfs", path: "/sys", flags: NO_PROGRAMS, options: "" },
    Mount { kind: "devpts", path: "/dev/pts", flags: NO_SETUID, options: "gid=5,mode=620,ptmxmode=666" },
    Mount { kind: "tmpfs", path: "/dev/shm", flags: NO_DEVICES, options: "mode=1777" },
    Mount { kind: "tmpfs", path: "/run", flags: NO_DEVICES, options: "mode=755" },
    Mount { kind: "cgroup2", path: "/sys/fs/cgroup", flags: NO_PROGRAMS, options: "" },
];

/// Names that programs expect beside the kernel's own devices.
const DEVICE_LINKS: [(&str, &str); 4] = [
    ("/proc/self/fd", "/dev/fd"),
    ("/proc/self/fd/0", "/dev/stdin"),
    ("/proc/self/fd/1", "/dev/stdout"),
    ("/proc/self/fd/2", "/dev/stderr"),
];

/// Mounts `/dev` in the initramfs, so that the disk can be seen.
pub(super) fn mount_devices() -> Result<(), BootError> {
    mount_one("devtmpfs", Path::new("/dev"), NO_SETUID, "")
}

/// Mounts the disk and makes it the root. The initramfs stays beneath, with nothing but this program.
pub(super) fn enter_root() -> Result<(), BootError> {
    let disk = Path::new(ROOT_DISK);
    wait_for(disk)?;
    let new_root = Path::new(NEW_ROOT);
    make_folder(new_root)?;
    mount(Some(disk), new_root, Some("ext4"), MsFlags::MS_NOATIME, Some(ROOT_OPTIONS))
        .map_err(|error| BootError::Mount { what: ROOT_DISK, path: new_root.into(), source: error.into() })?;

    let devices = new_root.join("dev");
    make_folder(&devices)?;
    mount(Some("/dev"), &devices, None::<&str>, MsFlags::MS_MOVE, None::<&str>)
        .map_err(|error| BootError::Mount { what: "/dev", path: devices, source: error.into() })?;

    // The initramfs cannot be unmounted or pivoted away from: the new root is moved on top of it.
    chdir(new_root)
        .and_then(|()| mount(Some("."), "/", None::<&str>, MsFlags::MS_MOVE, None::<&str>))
        .and_then(|()| chroot("."))
        .and_then(|()| chdir("/"))
        .map_err(|error| BootError::SwitchRoot(error.into()))
}

/// Mounts what a running system has, and makes the mount points that the image lacks.
pub(super) fn mount_system() -> Result<(), BootError> {
    for Mount { kind, path, flags, options } in &SYSTEM {
        mount_one(kind, Path::new(path), *flags, options)?;
    }
    for (target, link) in DEVICE_LINKS {
        // Already there, or a program will miss it: no reason to refuse the machine.
        let _ = symlink(target, link);
    }
    Ok(())
}

fn mount_one(kind: &'static str, path: &Path, flags: MsFlags, options: &str) -> Result<(), BootError> {
    make_folder(path)?;
    mount(Some(kind), path, Some(kind), flags, Some(options)).map_err(|error| BootError::Mount {
        what: kind,
        path: path.to_owned(),
        source: error.into(),
    })
}

fn make_folder(path: &Path) -> Result<(), BootError> {
    fs::create_dir_all(path).map_err(|source| BootError::File { what: "make", path: path.to_owned(), source })
}

fn wait_for(disk: &Path) -> Result<(), BootError> {
    for _ in 0..DISK_TRIES {
        if disk.exists() {
            return Ok(());
        }
        thread::sleep(DISK_POLL);
    }
    Err(BootError::NoDisk { path: PathBuf::from(disk), waited_ms: (DISK_POLL * DISK_TRIES).as_millis() })
}
