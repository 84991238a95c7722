//! Mounts: devices first, then the root disk, then everything a running system has.

use std::{
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use nix::{
    mount::{MsFlags, mount},
    sys::statvfs::{FsFlags, statvfs},
    unistd::{chdir, chroot},
};

use super::{BootError, Warnings};
use crate::run_folder::CoveredRun;

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
pub(super) fn enter_root(warnings: &mut Warnings) -> Result<(), BootError> {
    let disk = Path::new(ROOT_DISK);
    wait_for(disk)?;
    let new_root = Path::new(NEW_ROOT);
    make_folder(new_root)?;
    mount_root(disk, new_root, warnings)?;

    let devices = new_root.join("dev");
    let moved = make_folder(&devices).and_then(|()| {
        mount(Some("/dev"), &devices, None::<&str>, MsFlags::MS_MOVE, None::<&str>)
            .map_err(|error| BootError::Mount { what: "/dev", path: devices.clone(), source: error.into() })
    });
    warnings.note(moved);

    // The initramfs cannot be unmounted or pivoted away from: the new root is moved on top of it.
    chdir(new_root)
        .and_then(|()| mount(Some("."), "/", None::<&str>, MsFlags::MS_MOVE, None::<&str>))
        .and_then(|()| chroot("."))
        .and_then(|()| chdir("/"))
        .map_err(|error| BootError::SwitchRoot(error.into()))
}

/// Mounts the disk for writing, or else for reading: a filesystem that is damaged can still be looked into.
fn mount_root(disk: &Path, root: &Path, warnings: &mut Warnings) -> Result<(), BootError> {
    let tries = [(MsFlags::empty(), ROOT_OPTIONS), (MsFlags::MS_RDONLY, ""), (MsFlags::MS_RDONLY, "noload")];
    let mut first_error = None;
    for (flags, options) in tries {
        match mount(Some(disk), root, Some("ext4"), MsFlags::MS_NOATIME | flags, Some(options)) {
            Ok(()) => {
                // A filesystem that is marked so is mounted for reading without an error.
                let is_read_only =
                    statvfs(root).is_ok_and(|found| found.flags().contains(FsFlags::ST_RDONLY));
                match first_error {
                    Some(error) => warnings.add(format!("the disk can only be read: {error}")),
                    None if is_read_only => {
                        warnings.add("the disk can only be read: its filesystem is marked so");
                    }
                    None => {}
                }
                return Ok(());
            }
            Err(error) => first_error = first_error.or(Some(io::Error::from(error))),
        }
    }
    let source = first_error.unwrap_or_else(|| io::ErrorKind::Other.into());
    Err(BootError::Mount { what: ROOT_DISK, path: root.into(), source })
}

/// Mounts everything that a running system has, and makes the mount points that the image lacks. What the disk does not allow is left
/// out: a capsule that lacks something can still be looked into.
///
/// Returns the folder of the disk that `/run` covers, if there is one.
pub(super) fn mount_system(warnings: &mut Warnings) -> Option<CoveredRun> {
    warnings.note(make_folder(Path::new("/run")));
    let covered = CoveredRun::open().ok();
    for Mount { kind, path, flags, options } in &SYSTEM {
        warnings.note(mount_one(kind, Path::new(path), *flags, options));
    }
    if let Some(Err(error)) = covered.as_ref().map(CoveredRun::restore) {
        warnings.add(format!("a part of /run is not what the template kept: {error}"));
    }
    for (target, link) in DEVICE_LINKS {
        // Already there, or a program will miss it: no reason to refuse the machine.
        let _ = symlink(target, link);
    }
    delegate_controllers();
    covered
}

/// Makes every controller of the cgroup hierarchy available to the groups that programs make below its root.
fn delegate_controllers() {
    let root = Path::new("/sys/fs/cgroup");
    let available = fs::read_to_string(root.join("cgroup.controllers")).unwrap_or_default();
    for controller in available.split_ascii_whitespace() {
        // In a write of its own each: a controller that is refused must not keep the others away.
        let _ = fs::write(root.join("cgroup.subtree_control"), format!("+{controller}"));
    }
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
