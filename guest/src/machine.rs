//! The machine as a whole: entropy, name, resolver, the root filesystem's freeze, power.

use std::{
    fs::{self, File},
    io::{self, Write},
    net::IpAddr,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use nix::{
    errno::Errno,
    mount::{MsFlags, mount},
    sys::{
        reboot::{RebootMode, reboot},
        signal::{Signal, kill},
        stat::{major, minor},
        statvfs::statvfs,
    },
    unistd::{Pid, sethostname, sync},
};
use tokio::{
    task::AbortHandle,
    time::{sleep, timeout},
};
use wrenn_base::{Clock, blocking};

use crate::{files::read_text, lock::Lock, sys};

pub use crate::sys::MAX_ENTROPY_BYTES;

/// Longest hostname that the kernel takes, in bytes.
pub const MAX_HOSTNAME_BYTES: usize = 64;
/// Freezes end by themselves after this time if the host names none, and never last longer than the other.
const DEFAULT_FREEZE: Duration = Duration::from_secs(30);
const LONGEST_FREEZE: Duration = Duration::from_secs(600);
/// How long processes have to end on SIGTERM before the machine goes down.
const TERM_GRACE: Duration = Duration::from_secs(2);
const TERM_POLL: Duration = Duration::from_millis(20);
/// Looks, and rest between them, until the root's device tells that it has grown: 5 s in all.
const DEVICE_LOOKS: u32 = 1000;
const DEVICE_POLL: Duration = Duration::from_millis(5);
/// Unit in which the kernel tells the size of a device.
const SECTOR_BYTES: u64 = 512;
/// The answer to `Shutdown` leaves the machine within this time.
const ANSWER_GRACE: Duration = Duration::from_millis(50);

/// Mixes fresh entropy into the kernel's pool; numbers drawn from now on depend on it.
///
/// # Errors
/// `InvalidInput` above [`MAX_ENTROPY_BYTES`]; otherwise what the kernel says.
pub fn add_entropy(bytes: &[u8]) -> io::Result<()> {
    sys::add_entropy(bytes)
}

/// Grows the root filesystem to the size of its device, once that has `at_least_bytes`. Blocks.
///
/// The device of a machine that has just been restored tells its new size a moment later.
///
/// # Errors
/// `TimedOut` if the device stays smaller; otherwise what the kernel says, for example `ENOTTY` for what is no ext4.
pub fn grow_root(at_least_bytes: u64) -> io::Result<()> {
    let root = File::open("/")?;
    let device = root.metadata()?.dev();
    let size = PathBuf::from(format!("/sys/dev/block/{}:{}/size", major(device), minor(device)));
    let mut looks = DEVICE_LOOKS;
    let device_bytes = loop {
        let sectors = fs::read_to_string(&size)?.trim().parse::<u64>().map_err(io::Error::other)?;
        let bytes = sectors.saturating_mul(SECTOR_BYTES);
        if bytes >= at_least_bytes {
            break bytes;
        }
        if looks == 0 {
            let problem = format!("the disk has {bytes} bytes, not {at_least_bytes}");
            return Err(io::Error::new(io::ErrorKind::TimedOut, problem));
        }
        looks -= 1;
        std::thread::sleep(DEVICE_POLL);
    };
    let block_bytes = statvfs("/")?.fragment_size();
    sys::grow_ext4(&root, device_bytes / block_bytes.max(1))
}

/// Names the machine, in the kernel and in `/etc/hostname` and `/etc/hosts`.
///
/// # Errors
/// The first step that failed, with what the kernel or the filesystem says; the steps before it are done.
pub fn set_hostname(hostname: &str) -> io::Result<()> {
    sethostname(hostname)?;
    let file = Path::new("/etc/hostname");
    let former = read_text(file)?;
    let hosts = Path::new("/etc/hosts");
    write_if_changed(hosts, &hosts_with(&read_text(hosts)?, hostname, former.trim()))?;
    // Last, since it says which entry of the hosts file is ours.
    write_if_changed(file, &format!("{hostname}\n"))
}

/// Names the machine as its image says, until `Init` says better; a machine without a name makes `sudo` complain.
pub fn take_hostname_from_image() {
    let text = read_text(Path::new("/etc/hostname")).unwrap_or_default();
    let name = Some(text.trim()).filter(|name| is_hostname(name)).unwrap_or("capsule");
    if let Err(error) = sethostname(name) {
        eprintln!("wrenn-guest: cannot set the hostname: {error}");
    }
}

/// Whether a machine can have this name: letters, digits, `-` and `.`, nothing else.
pub fn is_hostname(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= MAX_HOSTNAME_BYTES
        && !name.starts_with(['-', '.'])
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.')
}

/// The text of a hosts file in which `hostname` is this machine. The entry of the `former` name goes; all others are the user's.
fn hosts_with(hosts: &str, hostname: &str, former: &str) -> String {
    const OWN: &str = "127.0.1.1";
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let is_own = |line: &str| {
        let words = words(line);
        words.len() == 2 && words[0] == OWN && [hostname, former].contains(&words[1].as_str())
    };
    let mut text = String::new();
    if !hosts.lines().any(|line| words(line).first().is_some_and(|address| address == "127.0.0.1")) {
        text.push_str("127.0.0.1 localhost\n");
    }
    for line in hosts.lines().filter(|line| !is_own(line)) {
        text.push_str(line);
        text.push('\n');
    }
    text.push_str(&format!("{OWN} {hostname}\n"));
    text
}

/// Writes `/etc/resolv.conf`, unless the user has written one.
///
/// # Errors
/// `InvalidInput` for what is no address; otherwise what the filesystem says.
pub fn set_nameservers(nameservers: &[String]) -> io::Result<()> {
    set_nameservers_in(Path::new("/etc/resolv.conf"), nameservers)
}

fn set_nameservers_in(path: &Path, nameservers: &[String]) -> io::Result<()> {
    let text = resolv_conf(nameservers).ok_or(io::ErrorKind::InvalidInput)?;
    // A link that leads nowhere reads as nothing: it belongs to a program that does not run here.
    let current = read_text(path)?;
    let is_ours = current.lines().all(|line| line.trim().is_empty() || text.lines().any(|ours| ours == line));
    if is_ours { write_if_changed(path, &text) } else { Ok(()) }
}

fn resolv_conf(nameservers: &[String]) -> Option<String> {
    nameservers
        .iter()
        .map(|server| Some(format!("nameserver {}\n", server.parse::<IpAddr>().ok()?)))
        .collect()
}

/// Replaces a file unless it already says so. A link that says something else is replaced, not followed.
fn write_if_changed(path: &Path, text: &str) -> io::Result<()> {
    let is_link = path.symlink_metadata().is_ok_and(|metadata| metadata.is_symlink());
    if !is_link && read_text(path).is_ok_and(|current| current == text) {
        return Ok(());
    }
    let temporary = path.with_extension("wrenn-new");
    // What stands in its place may be a link or a pipe.
    let _ = fs::remove_file(&temporary);
    let written = File::create_new(&temporary)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // A file that could not be replaced is the better half of two.
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// Freezes and thaws the root filesystem, and never leaves it frozen for good.
#[derive(Debug, Clone)]
pub struct Freezer {
    root: Arc<File>,
    clock: Clock,
    auto_thaw: Arc<Lock<Option<AbortHandle>>>,
}

impl Freezer {
    /// Opens the root of the filesystem to freeze.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(root: &Path, clock: Clock) -> io::Result<Self> {
        Ok(Self { root: Arc::new(File::open(root)?), clock, auto_thaw: Arc::default() })
    }

    /// Writes dirty pages back and stops writes, for `max_freeze` at most (zero: the default).
    ///
    /// Freezing what is frozen renews the time. Once begun it goes on even if the caller stops waiting.
    ///
    /// # Errors
    /// What the kernel says.
    pub async fn freeze(&self, max_freeze: Duration) -> io::Result<()> {
        let limit = if max_freeze.is_zero() { DEFAULT_FREEZE } else { max_freeze.min(LONGEST_FREEZE) };
        let freezer = self.clone();
        // In a task of its own, so that a frozen filesystem always has its timer.
        tokio::spawn(async move {
            let root = Arc::clone(&freezer.root);
            match blocking(move || sys::freeze(&root)).await {
                Err(error) if error.raw_os_error() != Some(Errno::EBUSY as i32) => return Err(error),
                _ => {}
            }
            let timer = freezer.clone();
            let task = tokio::spawn(async move {
                timer.clock.sleep(limit).await;
                // Thawed already is as good.
                let _ = sys::thaw(&timer.root);
            });
            freezer.replace_timer(Some(task.abort_handle()));
            Ok(())
        })
        .await?
    }

    /// Lets writes go on; thawing what is not frozen is no error.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn thaw(&self) -> io::Result<()> {
        self.replace_timer(None);
        match sys::thaw(&self.root) {
            Err(error) if error.raw_os_error() != Some(Errno::EINVAL as i32) => Err(error),
            _ => Ok(()),
        }
    }

    fn replace_timer(&self, timer: Option<AbortHandle>) {
        let previous = std::mem::replace(&mut *self.auto_thaw.lock(), timer);
        if let Some(previous) = previous {
            previous.abort();
        }
    }
}

/// Ends every process and takes the machine down, in the background: the caller is to be answered first.
pub fn shut_down_soon(freezer: Freezer) {
    tokio::spawn(async move {
        sleep(ANSWER_GRACE).await;
        // A frozen filesystem would hold up everything below.
        let _ = freezer.thaw();
        let everyone = Pid::from_raw(-1);
        let _ = kill(everyone, Signal::SIGTERM);
        let ended = async {
            while programs_run() {
                sleep(TERM_POLL).await;
            }
        };
        // Programs that are left are killed below.
        let _ = timeout(TERM_GRACE, ended).await;
        let _ = kill(everyone, Signal::SIGKILL);
        take_down();
    });
}

/// Whether any program but this one runs; kernel threads and zombies have no command line.
fn programs_run() -> bool {
    let Ok(entries) = fs::read_dir("/proc") else { return false };
    entries
        .flatten()
        .filter(|entry| {
            let pid = entry.file_name().to_string_lossy().parse::<u32>();
            pid.is_ok_and(|pid| pid != std::process::id())
        })
        .any(|entry| fs::read(entry.path().join("cmdline")).is_ok_and(|cmdline| !cmdline.is_empty()))
}

/// Takes the machine down at once, with the disk in order as far as that is possible.
///
/// It restarts rather than powers off: that ends the VMM (which is told not to restart) on every machine
/// type, with or without power management. If even that is refused PID 1 exits, and the kernel panics.
pub fn take_down() -> ! {
    sync();
    let _ = mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY, None::<&str>);
    let Err(error) = reboot(RebootMode::RB_AUTOBOOT);
    eprintln!("wrenn-guest: cannot restart: {error}");
    std::process::exit(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hosts_file_gets_the_name_and_keeps_its_entries() {
        let hosts = "127.0.0.1\tlocalhost\n127.0.1.1 old\n# note\n10.0.0.1 db\n";
        let renamed = hosts_with(hosts, "cl-1", "old");
        assert_eq!(renamed, "127.0.0.1\tlocalhost\n# note\n10.0.0.1 db\n127.0.1.1 cl-1\n");
        assert_eq!(hosts_with(&renamed, "cl-1", "cl-1"), renamed);
        assert_eq!(hosts_with("", "x", ""), "127.0.0.1 localhost\n127.0.1.1 x\n");
    }

    #[test]
    fn entries_of_the_user_for_the_machine_itself_are_kept() {
        let hosts = "127.0.0.1 localhost\n127.0.1.1 app.local\n127.0.1.1 old alias\n127.0.1.1 old\n";
        let renamed = hosts_with(hosts, "cl-1", "old");
        assert_eq!(
            renamed,
            "127.0.0.1 localhost\n127.0.1.1 app.local\n127.0.1.1 old alias\n127.0.1.1 cl-1\n"
        );
    }

    #[test]
    fn a_resolver_file_of_the_user_is_kept_and_ours_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("resolv.conf");
        let ours = || set_nameservers_in(&path, &["172.30.0.1".into()]).unwrap();
        let text = || fs::read_to_string(&path).unwrap();
        // Missing, empty, a link to a program's file that is not there.
        ours();
        assert_eq!(text(), "nameserver 172.30.0.1\n");
        fs::write(&path, "\n").unwrap();
        ours();
        assert_eq!(text(), "nameserver 172.30.0.1\n");
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("../run/systemd/resolve/stub-resolv.conf", &path).unwrap();
        ours();
        assert_eq!(text(), "nameserver 172.30.0.1\n");
        for written in ["nameserver 9.9.9.9\n", "nameserver 172.30.0.1\noptions ndots:5\n"] {
            fs::write(&path, written).unwrap();
            ours();
            assert_eq!(text(), written);
        }
    }

    #[test]
    fn a_resolver_file_has_addresses_only() {
        assert_eq!(
            resolv_conf(&["1.1.1.1".into(), "::1".into()]).unwrap(),
            "nameserver 1.1.1.1\nnameserver ::1\n"
        );
        assert_eq!(resolv_conf(&["evil\noptions x".into()]), None);
    }

    #[test]
    fn hostnames_are_plain() {
        assert!(is_hostname("cl-0a1b.example"));
        for name in ["", "-x", ".x", "a b", "a\n", "ä", &"x".repeat(65)] {
            assert!(!is_hostname(name), "{name:?}");
        }
    }

    #[test]
    fn a_file_is_replaced_only_when_it_differs_and_never_through_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        write_if_changed(&path, "one").unwrap();
        let before = fs::metadata(&path).unwrap().modified().unwrap();
        write_if_changed(&path, "one").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), before);

        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        write_if_changed(&link, "two").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "one");
        assert_eq!(fs::read_to_string(&link).unwrap(), "two");
    }
}
