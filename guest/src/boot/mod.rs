//! From the kernel's jump to `/init` to a capsule with its own root, mounts and network.
//!
//! ```text
//!  initramfs (tmpfs)                      the capsule's disk
//!  /init      this program, stays   ──▶   /        ext4 of /dev/vda
//!  /modules   loaded, then removed        /dev /proc /sys /run … mounted; the other modules, from /dev/vdb, in /lib/modules
//! ```
//!
//! The steps are one linear sequence, and each has an error that names what it was about. Only without modules, disk or root does
//! a machine not start: whatever else fails because of the content of its disk is a [warning](Warnings), so that the disk can be
//! repaired from within. Nothing of ours is written to the disk but the three files every machine has of its own: `resolv.conf`,
//! `hosts` and `hostname`, and those only when they would change.

mod modules;
mod mounts;
mod network;
mod settings;
mod tmpfiles;
mod warnings;

use std::{io, path::PathBuf};

use nix::{
    sys::{
        resource::{Resource, setrlimit},
        stat::{Mode, umask},
    },
    unistd::Pid,
};

use crate::{machine, run_folder::CoveredRun, sys};

pub use mounts::EXEC_CGROUPS;
pub use warnings::Warnings;

/// Open files of a process: the soft limit that programs see, and the hard one that they may raise it to.
const OPEN_FILES: (u64, u64) = (65_536, 1_048_576);

/// Which step of the boot failed, and on what.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// A folder or file of the boot could not be used.
    #[error("cannot {what} {}: {source}", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The root disk did not appear.
    #[error("no root disk {} after {waited_ms} ms", path.display())]
    NoDisk {
        /// The device that was waited for.
        path: PathBuf,
        /// For how long.
        waited_ms: u128,
    },
    /// Something could not be mounted.
    #[error("cannot mount {what} on {}: {source}", path.display())]
    Mount {
        /// Device or filesystem type.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The new root could not be entered.
    #[error("cannot switch to the capsule's root: {0}")]
    SwitchRoot(#[source] io::Error),
    /// A network interface or route could not be set up.
    #[error("cannot set up {what}: {source}")]
    Network {
        /// Interface or route.
        what: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Whether this process is what the kernel started first.
pub fn is_pid_one() -> bool {
    Pid::this().as_raw() == 1
}

/// A machine that was booted.
#[derive(Debug, Default)]
pub struct Booted {
    /// Parts of it that could not be prepared.
    pub warnings: Warnings,
    /// The folder of the disk beneath `/run`, if there is one.
    pub covered_run: Option<CoveredRun>,
}

/// Makes a running machine out of the initramfs. Only PID 1 may call it, once.
///
/// # Errors
/// The first step without which the machine is of no use.
pub fn boot() -> Result<Booted, BootError> {
    let mut warnings = Warnings::default();
    umask(Mode::from_bits_truncate(0o022));
    // Every process inherits it; a kernel that refuses leaves the usual small limit.
    let _ = setrlimit(Resource::RLIMIT_NOFILE, OPEN_FILES.0, OPEN_FILES.1);
    // A command that starts thousands of processes must not keep the daemon from ending it.
    if let Err(error) = sys::run_before_all_others() {
        warnings.add(format_args!("a busy capsule may answer late: no real-time priority: {error}"));
    }
    mounts::mount_devices()?;
    modules::load_all()?;
    mounts::enter_root(&mut warnings)?;
    let covered_run = mounts::mount_system(&mut warnings);
    modules::offer(&mut warnings);
    machine::take_hostname_from_image();
    network::bring_up(&mut warnings)?;
    settings::apply();
    tmpfiles::create();
    Ok(Booted { warnings, covered_run })
}
