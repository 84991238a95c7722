//! Finding, making and closing the volume.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, ErrorKind},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::{
    fs::{ioctl_ficlone, statvfs},
    mount::{MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_change, unmount},
};
use tokio::process::Command;
use wrenn_base::blocking;

use super::image::ImageError;

/// Tries, and rest between them, until a file system or a loop device has let go: 10 s in all.
const CLOSE_TRIES: u32 = 500;
const CLOSE_INTERVAL: Duration = Duration::from_millis(20);
/// The loopback file, in the data folder.
const FILE: &str = "volume.xfs";
const FILE_SYSTEM: &str = "xfs";
/// Smallest file that `mkfs.xfs` makes a file system in.
const MIN_SIZE: u64 = 512 << 20;

/// The volume that holds images, disks and memory files. Cheap to clone; all futures are `Send`.
#[derive(Debug, Clone)]
pub struct Volume {
    path: PathBuf,
    data_dir: PathBuf,
    loop_mounted: bool,
}

/// How large a loopback file that has to be made may be.
#[derive(Debug, Clone, Copy)]
pub struct VolumeSize {
    /// It is not larger than this, in bytes.
    pub max_bytes: u64,
    /// It leaves this much of what is free now to everybody else, in bytes: a full volume is then an error to its
    /// guests, before the host's own disk is full.
    pub reserve_bytes: u64,
}

/// Why there is no volume.
#[derive(Debug, thiserror::Error)]
#[error("{action} {path}")]
pub struct OpenVolumeError {
    /// What was being done.
    pub action: &'static str,
    /// To which path.
    pub path: PathBuf,
    /// Why it failed.
    #[source]
    pub source: io::Error,
}

/// Why the volume is still there.
#[derive(Debug, thiserror::Error)]
#[error("{action} {path}")]
pub struct CloseVolumeError {
    /// What was being done.
    pub action: &'static str,
    /// To which path.
    pub path: PathBuf,
    /// Why it failed.
    #[source]
    pub source: io::Error,
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> OpenVolumeError + use<> {
    let path = path.to_owned();
    move |source| OpenVolumeError { action, path, source }
}

impl Volume {
    /// Opens the volume of a data folder, or makes it. `size` is for a loopback file that must be made; it is
    /// sparse, and occupies what is used.
    ///
    /// # Errors
    /// [`OpenVolumeError`], also if there is no room for 512 MiB; a second call continues where the first one failed.
    pub async fn open_or_create(data_dir: &Path, size: VolumeSize) -> Result<Self, OpenVolumeError> {
        let data_dir = data_dir.canonicalize().map_err(failed("resolve", data_dir))?;
        let path = data_dir.join("volume");
        fs::create_dir_all(&path).map_err(failed("make", &path))?;
        let file = data_dir.join(FILE);
        let loop_mounted =
            if file.exists() || !can_clone(&path).map_err(failed("try to clone a file in", &path))? {
                open_loopback(&path, &file, size).await?;
                true
            } else {
                false
            };
        // A VMM opens its files before it gives up being root; it must not open those of others afterwards.
        fs::set_permissions(&path, Permissions::from_mode(0o700)).map_err(failed("restrict", &path))?;
        Ok(Self { path, data_dir, loop_mounted })
    }

    /// Folder in which the volume's files live.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the volume is a loopback file system of ours.
    pub fn is_loop_mounted(&self) -> bool {
        self.loop_mounted
    }

    /// Bytes that can still be written: what the volume has free, and what the file system has that its file is on.
    ///
    /// # Errors
    /// [`ImageError`] if the volume cannot be asked.
    pub fn free_bytes(&self) -> Result<u64, ImageError> {
        Ok(self.ask(&self.path)?.free.min(self.ask(&self.data_dir)?.free))
    }

    /// Bytes that it can hold in all: its size, but not more than it holds now and what its file system has left.
    ///
    /// # Errors
    /// [`ImageError`] if the volume cannot be asked.
    pub fn capacity_bytes(&self) -> Result<u64, ImageError> {
        let volume = self.ask(&self.path)?;
        let used = volume.total.saturating_sub(volume.free);
        Ok(volume.total.min(used.saturating_add(self.ask(&self.data_dir)?.free)))
    }

    fn ask(&self, path: &Path) -> Result<Space, ImageError> {
        Space::at(path).map_err(|source| ImageError {
            action: "ask for the free space of",
            path: path.to_owned(),
            source,
        })
    }

    /// Unmounts the volume of a data folder and detaches its loop device; its files stay. Idempotent, and needs
    /// no open volume, so that `wrenn down` can do it.
    ///
    /// # Errors
    /// [`CloseVolumeError`], as long as something uses the volume.
    pub async fn unmount(data_dir: &Path) -> Result<(), CloseVolumeError> {
        let failed = |action, path: &Path| {
            let path = path.to_owned();
            move |source| CloseVolumeError { action, path, source }
        };
        let data_dir = match data_dir.canonicalize() {
            Ok(data_dir) => data_dir,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(failed("resolve", data_dir)(error)),
        };
        if !is_loopback(&data_dir) {
            return Ok(());
        }
        let path = data_dir.join("volume");
        while !mounts_at(&path).is_empty() {
            Self::unmount_path(&path).await.map_err(failed("unmount", &path))?;
        }
        for device in loops_over(&data_dir) {
            Self::detach(&device).await.map_err(failed("detach", &device))?;
        }
        for _ in 0..CLOSE_TRIES {
            if loops_over(&data_dir).is_empty() {
                return Ok(());
            }
            tokio::time::sleep(CLOSE_INTERVAL).await;
        }
        let busy = |device: &PathBuf| Err(failed("detach", device)(ErrorKind::ResourceBusy.into()));
        loops_over(&data_dir).first().map_or(Ok(()), busy)
    }

    /// Unmounts one mount point; waits a while for those who are just leaving it.
    pub(crate) async fn unmount_path(path: &Path) -> io::Result<()> {
        let mut tries = CLOSE_TRIES;
        loop {
            let target = path.to_owned();
            let outcome = blocking(move || io::Result::Ok(unmount(target, UnmountFlags::NOFOLLOW))).await?;
            match outcome {
                // INVAL: not a mount point (any more).
                Ok(()) | Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOENT) => return Ok(()),
                Err(rustix::io::Errno::BUSY) if tries > 0 => {
                    tries -= 1;
                    tokio::time::sleep(CLOSE_INTERVAL).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Detaches a loop device; one in use goes when its last user does.
    pub(crate) async fn detach(device: &Path) -> io::Result<()> {
        match tool("losetup", [Path::new("--detach"), device]).await {
            Err(_) if !is_attached(device) => Ok(()),
            other => other,
        }
    }
}

/// What a file system has, in bytes.
struct Space {
    total: u64,
    free: u64,
}

impl Space {
    fn at(path: &Path) -> io::Result<Self> {
        let stat = statvfs(path)?;
        let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
        Ok(Self { total: bytes(stat.f_blocks), free: bytes(stat.f_bavail) })
    }
}

/// Chooses the size of a loopback file on a file system that has `free_bytes` left.
fn choose_size(size: VolumeSize, free_bytes: u64) -> io::Result<u64> {
    let VolumeSize { max_bytes, reserve_bytes } = size;
    let room = free_bytes.saturating_sub(reserve_bytes);
    if room < MIN_SIZE {
        let said = format!("{free_bytes} bytes are free, of which {reserve_bytes} are kept in reserve");
        return Err(io::Error::new(ErrorKind::StorageFull, said));
    }
    Ok(max_bytes.clamp(MIN_SIZE, room))
}

/// Makes the loopback file if there is none, and mounts it if it is not.
async fn open_loopback(path: &Path, file: &Path, size: VolumeSize) -> Result<(), OpenVolumeError> {
    if !file.exists() {
        // The mount point is still a folder of the file system below.
        let space = Space::at(path).map_err(failed("ask for the free space of", path))?;
        let size_bytes = choose_size(size, space.free).map_err(failed("find room for", file))?;
        make_file_system(file, size_bytes).await.map_err(failed("make a file system in", file))?;
    }
    if mounts_at(path).iter().any(|kind| kind == FILE_SYSTEM) {
        return Ok(());
    }
    let device = attach(file).await.map_err(failed("attach a loop device to", file))?;
    let (source, target) = (device.clone(), path.to_owned());
    let mounted = blocking(move || mount_volume(&source, &target)).await;
    // From now on the device goes with the mount; and if that failed, it goes now.
    let detached = Volume::detach(&device).await;
    mounted.map_err(failed("mount", path))?;
    detached.map_err(failed("release the loop device of", file))?;
    tracing::info!(path = %path.display(), device = %device.display(), "volume mounted");
    Ok(())
}

/// Runs a program to its end; the error holds what it said.
pub(super) async fn tool<A: AsRef<std::ffi::OsStr>>(
    program: &str,
    args: impl IntoIterator<Item = A>,
) -> io::Result<()> {
    tool_output(program, args).await.map(drop)
}

async fn tool_output<A: AsRef<std::ffi::OsStr>>(
    program: &str,
    args: impl IntoIterator<Item = A>,
) -> io::Result<String> {
    let mut command = Command::new(program);
    command.args(args).stdin(std::process::Stdio::null());
    let output = command
        .output()
        .await
        .map_err(|error| io::Error::new(error.kind(), format!("{program}: {error}")))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("{program} failed ({}): {}", output.status, said.trim())))
}

/// Tries whether files of a folder can be cloned.
fn can_clone(folder: &Path) -> io::Result<bool> {
    let (from, to) = (folder.join(".clone-probe-1"), folder.join(".clone-probe-2"));
    let attempt = || {
        fs::write(&from, [1; 4096])?;
        let cloned = ioctl_ficlone(File::create(&to)?, File::open(&from)?);
        Ok(cloned.is_ok())
    };
    let outcome = attempt();
    for probe in [from, to] {
        let _ = fs::remove_file(probe);
    }
    outcome
}

/// Makes the loopback file; it gets its name only when it is complete.
async fn make_file_system(file: &Path, size_bytes: u64) -> io::Result<()> {
    let unfinished = file.with_extension("xfs.new");
    let make = async {
        let mut options = OpenOptions::new();
        let sparse = options.write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
        sparse.set_len(size_bytes)?;
        let options = ["-q", "-f", "-m", "reflink=1"].map(Path::new);
        tool("mkfs.xfs", options.into_iter().chain([unfinished.as_path()])).await?;
        sparse.sync_all()?;
        fs::rename(&unfinished, file)
    };
    let outcome = make.await;
    if outcome.is_err() {
        let _ = fs::remove_file(&unfinished);
    }
    outcome
}

/// Attaches a loop device to a file, or finds the one that is attached already.
async fn attach(file: &Path) -> io::Result<PathBuf> {
    if let Some(device) = loops_over(file).into_iter().next() {
        return Ok(device);
    }
    let args = ["--find", "--show", "--nooverlap"].map(Path::new);
    let device = tool_output("losetup", args.into_iter().chain([file])).await?;
    let device = PathBuf::from(device.trim());
    // Saves caching everything twice; not every file system below can do it.
    if let Err(error) = tool("losetup", [Path::new("--direct-io=on"), &device]).await {
        tracing::info!(%error, "loop device without direct i/o");
    }
    Ok(device)
}

/// Mounts the volume on top of a shared bind mount of its own mount point.
///
/// `ip netns exec` and containers copy all mounts into a namespace of their own. An unmount reaches such copies
/// only if the mount *below* is shared, which the root of many hosts is not; then a copy that nobody uses would
/// keep the file system and its loop device busy.
fn mount_volume(device: &Path, target: &Path) -> io::Result<()> {
    if mounts_at(target).is_empty() {
        mount_bind(target, target)?;
    }
    mount_change(target, MountPropagationFlags::SHARED)?;
    let flags = MountFlags::NOATIME | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    // Deleted files shrink the sparse file; and a copy of a data folder mounts beside the original.
    mount(device, target, FILE_SYSTEM, flags, c"discard,nouuid").map_err(io::Error::from)
}

/// Whether a data folder has a loopback volume; else what is mounted in it is the operator's.
pub(crate) fn is_loopback(data_dir: &Path) -> bool {
    data_dir.join(FILE).exists()
}

/// Kinds of the file systems mounted at a path, the top one last.
fn mounts_at(path: &Path) -> Vec<String> {
    let mountinfo = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    mountinfo
        .lines()
        .filter(|line| line.split(' ').nth(4).is_some_and(|mount| unescape_mount(mount) == path))
        .filter_map(|line| line.split_once(" - ")?.1.split(' ').next().map(str::to_owned))
        .collect()
}

/// A path as the kernel writes it into `mountinfo`, with blanks and backslashes as octal numbers.
pub(crate) fn unescape_mount(text: &str) -> PathBuf {
    let path =
        text.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\");
    PathBuf::from(path)
}

fn is_attached(device: &Path) -> bool {
    let name = device.file_name().unwrap_or_default();
    Path::new("/sys/block").join(name).join("loop/backing_file").exists()
}

/// Loop devices over a file, or over files in a folder.
pub(crate) fn loops_over(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir("/sys/block").into_iter().flatten().flatten();
    let is_over = |backing: &str| {
        let backing = backing.trim_end_matches('\n');
        Path::new(backing.strip_suffix(" (deleted)").unwrap_or(backing)).starts_with(path)
    };
    entries
        .filter(|entry| {
            fs::read_to_string(entry.path().join("loop/backing_file")).is_ok_and(|it| is_over(&it))
        })
        .map(|entry| Path::new("/dev").join(entry.file_name()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_leaves_the_reserve_free() {
        const GIB: u64 = 1 << 30;
        let size = VolumeSize { max_bytes: 64 * GIB, reserve_bytes: GIB };
        assert_eq!(choose_size(size, 1000 * GIB).expect("size"), 64 * GIB);
        assert_eq!(choose_size(size, 10 * GIB).expect("size"), 9 * GIB);
        assert_eq!(choose_size(VolumeSize { max_bytes: 0, ..size }, 10 * GIB).expect("size"), MIN_SIZE);
        let error = choose_size(size, GIB + MIN_SIZE - 1).expect_err("no room");
        assert_eq!(error.kind(), ErrorKind::StorageFull);
    }

    #[test]
    fn mount_points_with_blanks_are_read() {
        assert_eq!(unescape_mount("/a\\040b/\\134040"), Path::new("/a b/\\040"));
    }
}
