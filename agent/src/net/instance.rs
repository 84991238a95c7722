//! Which installation this is, among those on one machine.
//!
//! ```text
//!   <data>/agent.lock        locked while an agent uses the data folder
//!   <data>/instance.json     number and addresses, the same again after a reboot if possible
//!   /run/wrenn/lock          held while somebody claims
//!   /run/wrenn/3/owner       the data folder that has number 3
//!   /run/wrenn/3/alive       locked while its agent runs, whatever becomes of the data folder
//! ```
//!
//! The number is in the name of everything the installation has on its host (`wrn3-7`, `wrenn3-7`, `wrenn-3`)
//! and chooses its addresses, so that installations side by side never meet. A number is free again when its
//! data folder is gone *and* nothing under that number is left running; who starts an agent first removes what
//! [`abandoned`] finds, as nobody else would.

use std::{
    fs::{self, File, Permissions, TryLockError},
    io::{self, ErrorKind},
    net::Ipv4Addr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use serde::{Deserialize, Serialize};

use super::{Cidr, egress::HostNetworks, existing};
use crate::{
    disk::{Durability, atomic_write},
    vmm::cgroup,
};

/// Installations that one machine may have.
const MAX_INSTANCES: u8 = 64;
/// Slots that one installation may have; each takes two addresses.
pub(super) const MAX_SLOTS: u16 = 1024;
/// Length of the prefix that holds the addresses of all slots of one installation.
const ADDRESSES_PREFIX: u8 = 21;
/// Ranges to take addresses from, each with room for every installation; the first that the host does not use.
const RANGES: [Ipv4Addr; 4] = [
    // For benchmarks of network devices: used by nobody else on real hosts.
    Ipv4Addr::new(198, 18, 0, 0),
    Ipv4Addr::new(100, 126, 0, 0),
    Ipv4Addr::new(10, 250, 0, 0),
    Ipv4Addr::new(172, 24, 0, 0),
];
const RUN_DIR: &str = "/run/wrenn";

/// The claim of one data folder on a number; held until dropped.
#[derive(Debug)]
pub struct Instance {
    number: u8,
    addresses: Cidr,
    runtime_dir: PathBuf,
    data_dir: PathBuf,
    /// Locked; the kernel releases it when the agent ends, however that happens.
    _data_lock: File,
    /// Locked, too: says that there is an agent, should the data folder be removed under it.
    _alive: File,
}

/// Numbers whose data folder was removed and that have no agent; none is claimed as long as this is held.
#[derive(Debug)]
pub(crate) struct Abandoned {
    /// The numbers, and the folders that they belonged to.
    pub(crate) owners: Vec<(u8, PathBuf)>,
    _claiming: File,
}

/// Why no number could be claimed.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// Another agent uses this data folder now.
    #[error("{data_dir} is in use by another agent")]
    InUse {
        /// The data folder.
        data_dir: PathBuf,
    },
    /// Every number is taken by another installation on this machine.
    #[error("this machine has {MAX_INSTANCES} installations already")]
    Full,
    /// Every range of addresses that could be used is used by this host or its networks.
    #[error("no range of addresses is free on this host")]
    NoAddresses,
    /// A file of the claim could not be read or written.
    #[error("{action} {path}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// To which path.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}

/// What is kept in the data folder.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    number: u8,
    addresses: String,
}

impl Instance {
    /// Claims a number for a data folder (made if missing), the same as last time if possible. Blocks for some
    /// milliseconds.
    ///
    /// # Errors
    /// [`ClaimError`].
    pub fn claim(data_dir: &Path) -> Result<Self, ClaimError> {
        fs::create_dir_all(data_dir).map_err(failed("make", data_dir))?;
        let data_dir = data_dir.canonicalize().map_err(failed("resolve", data_dir))?;
        let data_lock = lock_data_dir(&data_dir)?;
        let _claiming = lock_run_dir()?;

        let kept = read_kept(&data_dir);
        let number =
            choose_number(&data_dir, kept.as_ref().map(|kept| kept.number)).ok_or(ClaimError::Full)?;
        let kept_addresses =
            kept.filter(|kept| kept.number == number).and_then(|kept| kept.addresses.parse().ok());
        let addresses = choose_addresses(number, kept_addresses)?;

        let runtime_dir = runtime_dir(number);
        fs::create_dir_all(&runtime_dir).map_err(failed("make", &runtime_dir))?;
        // Control sockets are in it: not for the users that VMMs run as.
        fs::set_permissions(&runtime_dir, Permissions::from_mode(0o700))
            .map_err(failed("restrict", &runtime_dir))?;
        let alive = alive_file(number);
        let alive = File::create(&alive).map_err(failed("create", &alive))?;
        // Only a claim within the same moment can have it, for the data folder itself is locked.
        let _ = alive.try_lock();
        let owner = owner_file(number);
        write(&owner, data_dir.as_os_str().as_encoded_bytes())?;
        let kept = Kept { number, addresses: addresses.to_string() };
        let text =
            serde_json::to_vec_pretty(&kept).map_err(|error| failed("encode", &data_dir)(error.into()))?;
        write(&kept_file(&data_dir), &text)?;
        Ok(Self { number, addresses, runtime_dir, data_dir, _data_lock: data_lock, _alive: alive })
    }

    /// The number, as it appears in the names of interfaces, namespaces and cgroups.
    pub fn number(&self) -> u8 {
        self.number
    }

    /// Folder for sockets of this installation, `/run/wrenn/<number>`; gone after a reboot.
    pub fn runtime_dir(&self) -> &Path {
        &self.runtime_dir
    }

    /// The data folder, without symbolic links.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Name of this installation's parent cgroup.
    pub fn cgroup_name(&self) -> String {
        cgroup_name(self.number)
    }

    /// Addresses for the outer side of its slots.
    pub(super) fn addresses(&self) -> &Cidr {
        &self.addresses
    }
}

/// Number that a data folder has claimed, now or before.
pub(crate) fn number_of(data_dir: &Path) -> Option<u8> {
    let data_dir = data_dir.canonicalize().ok()?;
    let number = read_kept(&data_dir)?.number;
    // A copied folder carries the number of the original.
    read_owner(number).is_none_or(|owner| owner == data_dir).then_some(number)
}

/// Finds numbers whose data folder was removed while something was left under them. Blocks while others claim.
///
/// # Errors
/// [`ClaimError::Io`].
pub(crate) fn abandoned() -> Result<Abandoned, ClaimError> {
    let claiming = lock_run_dir()?;
    let is_abandoned = |number: u8, owner: &Path| {
        let is_gone =
            matches!(fs::metadata(kept_file(owner)), Err(error) if error.kind() == ErrorKind::NotFound);
        let has_agent = || {
            let alive = File::open(alive_file(number));
            alive.is_ok_and(|alive| matches!(alive.try_lock(), Err(TryLockError::WouldBlock)))
        };
        is_gone && !has_agent()
    };
    let owners = (0..MAX_INSTANCES)
        .filter_map(|number| Some((number, read_owner(number)?)))
        .filter(|(number, owner)| is_abandoned(*number, owner))
        .collect();
    Ok(Abandoned { owners, _claiming: claiming })
}

pub(crate) fn runtime_dir(number: u8) -> PathBuf {
    Path::new(RUN_DIR).join(number.to_string())
}

pub(crate) fn cgroup_name(number: u8) -> String {
    format!("wrenn-{number}")
}

/// Networks of this host, from the `ip` program.
pub(super) fn host_networks() -> io::Result<HostNetworks> {
    let ip = |args: &[&str]| -> io::Result<Vec<u8>> {
        let output = Command::new("ip").args(["-4", "-json"]).args(args).output()?;
        if output.status.success() {
            Ok(output.stdout)
        } else {
            Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
        }
    };
    let addresses = ip(&["address", "show"])?;
    let routes = ip(&["route", "show", "table", "all"])?;
    HostNetworks::parse(&addresses, &routes).map_err(io::Error::from)
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ClaimError + use<> {
    let path = path.to_owned();
    move |source| ClaimError::Io { action, path, source }
}

fn write(path: &Path, content: &[u8]) -> Result<(), ClaimError> {
    atomic_write(path, content, Durability::Disk).map_err(|error| ClaimError::Io {
        action: error.action,
        path: error.path,
        source: error.source,
    })
}

fn lock_data_dir(data_dir: &Path) -> Result<File, ClaimError> {
    let path = data_dir.join("agent.lock");
    let file = File::create(&path).map_err(failed("create", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(ClaimError::InUse { data_dir: data_dir.to_owned() }),
        Err(TryLockError::Error(source)) => Err(failed("lock", &path)(source)),
    }
}

fn lock_run_dir() -> Result<File, ClaimError> {
    fs::create_dir_all(RUN_DIR).map_err(failed("make", Path::new(RUN_DIR)))?;
    let path = Path::new(RUN_DIR).join("lock");
    let file = File::create(&path).map_err(failed("create", &path))?;
    file.lock().map_err(failed("lock", &path))?;
    Ok(file)
}

fn kept_file(data_dir: &Path) -> PathBuf {
    data_dir.join("instance.json")
}

fn owner_file(number: u8) -> PathBuf {
    runtime_dir(number).join("owner")
}

fn alive_file(number: u8) -> PathBuf {
    runtime_dir(number).join("alive")
}

fn read_kept(data_dir: &Path) -> Option<Kept> {
    let kept: Kept = serde_json::from_slice(&fs::read(kept_file(data_dir)).ok()?).ok()?;
    (kept.number < MAX_INSTANCES).then_some(kept)
}

fn read_owner(number: u8) -> Option<PathBuf> {
    fs::read_to_string(owner_file(number)).ok().map(PathBuf::from)
}

fn choose_number(data_dir: &Path, wanted: Option<u8>) -> Option<u8> {
    let may_take = |number: u8| {
        let owner = read_owner(number);
        match owner {
            Some(owner) if owner == data_dir => true,
            Some(owner) if owner_still_has(&owner, number) => false,
            // Nobody's, by its file. What runs under the number is ours if we had it last.
            _ => wanted == Some(number) || !anything_runs(number),
        }
    };
    wanted.into_iter().chain(0..MAX_INSTANCES).find(|&number| may_take(number))
}

/// Returns true if anything under a number is left that may be in use: processes, namespaces, interfaces.
fn anything_runs(number: u8) -> bool {
    let cgroups = cgroup::existing(&cgroup_name(number));
    let has_machines = cgroups.iter().any(|parent| !cgroup::child_folders(parent).is_empty());
    has_machines || !existing::slots(number).is_empty()
}

fn owner_still_has(owner: &Path, number: u8) -> bool {
    match fs::metadata(kept_file(owner)) {
        Ok(_) => read_kept(owner).is_some_and(|kept| kept.number == number),
        // Its folder cannot be looked at now (not mounted, say): not proof that it is gone.
        Err(error) => error.kind() != ErrorKind::NotFound,
    }
}

fn choose_addresses(number: u8, kept: Option<Cidr>) -> Result<Cidr, ClaimError> {
    let host = host_networks().map_err(failed("ask for the host's networks", Path::new("ip")))?;
    let of_range = |range: &Ipv4Addr| {
        let offset = u32::from(number) << (32 - ADDRESSES_PREFIX);
        Cidr::new(Ipv4Addr::from_bits(range.to_bits() + offset), ADDRESSES_PREFIX)
    };
    let candidates: Vec<Cidr> = kept.into_iter().chain(RANGES.iter().filter_map(of_range)).collect();
    if let Some(free) = candidates.iter().find(|addresses| !host.overlap(addresses)) {
        if kept.is_none_or(|kept| kept == *free) {
            return Ok(*free);
        }
        if !anything_runs(number) {
            tracing::warn!(addresses = %free, "addresses changed, the host uses the former ones now");
            return Ok(*free);
        }
    }
    // Machines run with these; changing them would cut those off for certain.
    let kept = kept.ok_or(ClaimError::NoAddresses)?;
    tracing::warn!(addresses = %kept, "addresses of running machines overlap with a network of this host");
    Ok(kept)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An instance that has claimed nothing, for what only needs names and addresses.
    pub(in crate::net) fn unclaimed(number: u8, addresses: &str) -> (tempfile::TempDir, Instance) {
        let folder = tempfile::tempdir().expect("temporary folder");
        let instance = Instance {
            number,
            addresses: addresses.parse().expect("addresses"),
            runtime_dir: runtime_dir(number),
            data_dir: folder.path().to_owned(),
            _data_lock: lock_data_dir(folder.path()).expect("lock"),
            _alive: File::open("/dev/null").expect("open"),
        };
        (folder, instance)
    }

    #[test]
    fn every_installation_and_slot_has_addresses_of_its_own() {
        let blocks: Vec<Cidr> = RANGES
            .iter()
            .flat_map(|range| {
                (0..MAX_INSTANCES).map(move |number| {
                    let offset = u32::from(number) << (32 - ADDRESSES_PREFIX);
                    Cidr::new(Ipv4Addr::from_bits(range.to_bits() + offset), ADDRESSES_PREFIX)
                        .expect("network")
                })
            })
            .collect();
        for (index, one) in blocks.iter().enumerate() {
            assert!(blocks[index + 1..].iter().all(|other| !one.overlaps(other)), "{one}");
        }
        assert_eq!(1_u32 << (32 - ADDRESSES_PREFIX), u32::from(MAX_SLOTS) * 2);
    }
}
