//! Whether this host can really run virtual machines in hardware.
//!
//! An open `/dev/kvm` proves little: there are hosts on which it opens, and even creates a machine, and QEMU
//! aborts on the first processor. "KVM works" therefore means: the device opens, the processor has the flag,
//! *and* a probe guest has run with the very options that machines use.

mod firmware;

use std::{
    fmt, fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::{process::Command, time::timeout};

use super::boot_id;
use crate::disk::{Durability, atomic_write};

/// How long the probe guest may take; it needs a tenth of a second where it works.
const PROBE_TIMEOUT: Duration = Duration::from_secs(20);
const CACHE_FILE: &str = "acceleration.json";
const FIRMWARE_FILE: &str = "acceleration-probe.bin";

/// How virtual machines run here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Acceleration {
    /// In hardware: a probe guest has run.
    Kvm,
    /// In software, 10 to 30 times slower.
    Tcg {
        /// What is in the way of KVM, for people.
        why: String,
    },
}

impl fmt::Display for Acceleration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kvm => f.write_str("kvm: hardware virtualisation works, a probe guest ran"),
            Self::Tcg { why } => write!(f, "tcg: software emulation, because {why}"),
        }
    }
}

/// What a probe found, and when that is still true.
#[derive(Serialize, Deserialize)]
struct Cached {
    boot_id: String,
    program: PathBuf,
    acceleration: Acceleration,
}

/// Finds out how virtual machines run here. `qemu` is the binary; the answer of the probe guest is kept in
/// `cache_dir` (which exists) until the host is booted again.
///
/// Never fails: whatever goes wrong is a reason for emulation.
pub async fn probe(qemu: &Path, cache_dir: &Path) -> Acceleration {
    // Cheap, and may change without a reboot (a module is loaded, permissions are changed): asked each time.
    if let Err(why) = kvm_is_offered() {
        return Acceleration::Tcg { why };
    }
    let cache = cache_dir.join(CACHE_FILE);
    if let Some(acceleration) = read_cache(&cache, qemu) {
        return acceleration;
    }
    let acceleration = match run_probe_guest(qemu, "kvm", "host", cache_dir).await {
        Ok(()) => Acceleration::Kvm,
        Err(why) => Acceleration::Tcg { why },
    };
    let cached = Cached {
        boot_id: boot_id().to_owned(),
        program: qemu.to_owned(),
        acceleration: acceleration.clone(),
    };
    // Without the cache the guest is run again next time.
    if let Ok(text) = serde_json::to_vec_pretty(&cached)
        && let Err(error) = atomic_write(&cache, &text, Durability::Process)
    {
        tracing::warn!(%error, "result of the acceleration probe not kept");
    }
    acceleration
}

fn read_cache(path: &Path, qemu: &Path) -> Option<Acceleration> {
    let cached: Cached = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    (cached.boot_id == boot_id() && cached.program == qemu).then_some(cached.acceleration)
}

fn kvm_is_offered() -> Result<(), String> {
    match fs::OpenOptions::new().read(true).write(true).open("/dev/kvm") {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err("there is no /dev/kvm (kvm module not loaded, or virtualisation off)".into());
        }
        Err(error) => return Err(format!("/dev/kvm cannot be opened: {error}")),
    }
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").map_err(|error| format!("/proc/cpuinfo: {error}"))?;
    if has_virtualisation_flag(&cpuinfo) {
        Ok(())
    } else {
        Err("the processor shows neither vmx nor svm, so /dev/kvm cannot be trusted".into())
    }
}

fn has_virtualisation_flag(cpuinfo: &str) -> bool {
    cpuinfo
        .lines()
        .filter(|line| line.starts_with("flags"))
        .flat_map(str::split_ascii_whitespace)
        .any(|flag| matches!(flag, "vmx" | "svm"))
}

/// Runs the probe guest to its end; the error says how it failed, for people.
async fn run_probe_guest(qemu: &Path, accel: &str, cpu: &str, folder: &Path) -> Result<(), String> {
    let image = folder.join(FIRMWARE_FILE);
    fs::write(&image, firmware::image()).map_err(|error| format!("{}: {error}", image.display()))?;
    let run = Command::new(qemu)
        .args(["-nodefaults", "-no-user-config", "-display", "none", "-machine", "microvm", "-m", "16"])
        .args(["-accel", accel, "-cpu", cpu, "-bios"])
        .arg(&image)
        .arg("-device")
        .arg(format!("isa-debug-exit,iobase={},iosize=4", firmware::EXIT_PORT))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let outcome = timeout(PROBE_TIMEOUT, run).await;
    // The image is of no use to anybody; if it stays it is replaced next time.
    let _ = fs::remove_file(&image);
    let output = match outcome {
        Err(_) => return Err(format!("a probe guest did not end within {PROBE_TIMEOUT:?}")),
        Ok(Err(error)) => return Err(format!("{} cannot be started: {error}", qemu.display())),
        Ok(Ok(output)) => output,
    };
    if output.status.code() == Some(firmware::EXIT_STATUS) {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let first_line = said.lines().next().unwrap_or("it said nothing");
    Err(format!("a probe guest failed ({}): {first_line}", output.status))
}

#[cfg(test)]
mod tests {
    use super::*;

    const QEMU: &str = "/usr/bin/qemu-system-x86_64";

    #[test]
    fn the_flag_is_a_word_of_the_flags_line() {
        assert!(has_virtualisation_flag("model name\t: X\nflags\t\t: fpu svm lm\n"));
        assert!(has_virtualisation_flag("flags : fpu vmx\n"));
        assert!(!has_virtualisation_flag("model name : svm vmx\nflags : fpu svm_lock avmx\n"));
    }

    #[tokio::test]
    async fn the_probe_guest_reaches_its_end_on_a_sound_processor() {
        let folder = tempfile::tempdir().expect("temporary folder");
        run_probe_guest(Path::new(QEMU), "tcg", "max", folder.path())
            .await
            .expect("the emulated processor is sound");
        assert_eq!(fs::read_dir(folder.path()).expect("list").count(), 0, "nothing may be left");
    }

    #[tokio::test]
    async fn a_failing_probe_guest_says_why() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let why = run_probe_guest(Path::new(QEMU), "nonsense", "max", folder.path())
            .await
            .expect_err("no such accelerator");
        assert!(why.contains("nonsense"), "{why}");
    }

    #[test]
    fn a_cached_answer_ends_with_the_boot() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join(CACHE_FILE);
        let mut cached =
            Cached { boot_id: boot_id().into(), program: QEMU.into(), acceleration: Acceleration::Kvm };
        fs::write(&path, serde_json::to_vec(&cached).expect("json")).expect("write");
        assert_eq!(read_cache(&path, Path::new(QEMU)), Some(Acceleration::Kvm));
        assert_eq!(read_cache(&path, Path::new("/other/qemu")), None);
        cached.boot_id = "another".into();
        fs::write(&path, serde_json::to_vec(&cached).expect("json")).expect("write");
        assert_eq!(read_cache(&path, Path::new(QEMU)), None);
    }
}
