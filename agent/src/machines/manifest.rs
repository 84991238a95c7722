//! What a template's files, or those of a paused machine, are: written beside them, and checked before they are used.
//!
//! Saved memory holds a running kernel and a running guest daemon, so their versions are recorded and shown, and
//! prevent nothing. What prevents a restore is what the saved state has to fit: the VMM and the processor, the
//! agent's own form of these files, and the protocol in which agent and guest talk.

use serde::{Deserialize, Serialize};
use wrenn_proto::{agent::TemplateFileKind, ids::TemplateId};

use super::kernel_modules::ModulesId;
use crate::vmm::Fingerprint;

/// Form of a manifest and of the files beside it; incremented when an older agent could not use them, or a newer one
/// cannot use older ones.
pub const FORMAT: u32 = 1;
/// Version of the protocol between agent and guest; incremented when a guest of an older one cannot be talked to.
pub const GUEST_PROTOCOL: u32 = 1;

/// What the files hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A disk, to be booted.
    Base,
    /// A disk, memory and device state, to be restored.
    Snapshot,
}

impl Kind {
    /// The files there are.
    pub fn files(self) -> &'static [TemplateFileKind] {
        use TemplateFileKind::{Disk, Memory, State};
        match self {
            Self::Base => &[Disk],
            Self::Snapshot => &[Disk, Memory, State],
        }
    }
}

/// Versions of what runs inside of a machine; empty where nobody asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestVersions {
    /// Release of its kernel.
    pub kernel: String,
    /// Version of the guest daemon.
    pub daemon: String,
}

/// What a set of files is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT`] of the agent that wrote them.
    pub format: u32,
    /// What they hold.
    pub kind: Kind,
    /// The template that they are, if they are one.
    pub template_id: Option<TemplateId>,
    /// What saved state depends on.
    pub fingerprint: Fingerprint,
    /// The disk of kernel modules that saved memory needs; none for a disk alone, and in the simulation.
    #[serde(default)]
    pub modules: Option<ModulesId>,
    /// [`GUEST_PROTOCOL`] of the agent that wrote them.
    pub guest_protocol: u32,
    /// What ran inside.
    pub guest: GuestVersions,
    /// Number of virtual CPUs of the machine.
    pub vcpus: u32,
    /// Its memory in MiB.
    pub memory_mb: u32,
    /// Size of the disk in MiB.
    pub disk_size_mb: u32,
    /// When the files were made, in seconds since the Unix epoch.
    pub created_at: u64,
}

/// Why saved memory cannot be restored on this host. Its text is for the owner of the machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Incompatible {
    /// There is no memory in it.
    #[error("it holds a disk, and no memory")]
    NoMemory,
    /// Another version of the agent wrote it, in another form.
    #[error("it was saved in format {saved}, and this agent reads format {FORMAT}")]
    Format {
        /// The form.
        saved: u32,
    },
    /// Its guest daemon talks in a way that this agent does not understand.
    #[error("its guest daemon speaks protocol {saved}, and this agent protocol {GUEST_PROTOCOL}")]
    GuestProtocol {
        /// The way.
        saved: u32,
    },
    /// Its kernel has read a disk of modules that this host does not have.
    #[error("its kernel has the modules of another build than this host")]
    Modules,
    /// Another VMM, or another processor.
    #[error("{0}")]
    Fingerprint(String),
}

impl Manifest {
    /// Checks that a machine of this size can be made of saved memory: it can have no other.
    ///
    /// # Errors
    /// Says what it must have.
    pub fn check_size(&self, vcpus: u32, memory_mb: u32) -> Result<(), String> {
        if (self.vcpus, self.memory_mb) == (vcpus, memory_mb) {
            return Ok(());
        }
        Err(format!(
            "a machine of this template must have {} vCPUs and {} MiB, as the one that it was made of",
            self.vcpus, self.memory_mb
        ))
    }

    /// Checks that saved memory can be restored on a host with this fingerprint.
    ///
    /// # Errors
    /// The first thing that is in the way.
    pub fn check_restore(&self, host: &Fingerprint) -> Result<(), Incompatible> {
        if self.format != FORMAT {
            return Err(Incompatible::Format { saved: self.format });
        }
        if self.kind != Kind::Snapshot {
            return Err(Incompatible::NoMemory);
        }
        if self.guest_protocol != GUEST_PROTOCOL {
            return Err(Incompatible::GuestProtocol { saved: self.guest_protocol });
        }
        self.fingerprint.mismatch(host).map_or(Ok(()), |what| Err(Incompatible::Fingerprint(what)))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn manifest() -> Manifest {
        Manifest {
            format: FORMAT,
            kind: Kind::Snapshot,
            template_id: None,
            fingerprint: Fingerprint::simulated("1"),
            modules: None,
            guest_protocol: GUEST_PROTOCOL,
            guest: GuestVersions { kernel: "6.1".into(), daemon: "0.1".into() },
            vcpus: 1,
            memory_mb: 256,
            disk_size_mb: 1024,
            created_at: 1,
        }
    }

    #[test]
    fn a_restore_needs_the_same_form_protocol_and_vmm_and_nothing_else() {
        let (host, good) = (Fingerprint::simulated("1"), manifest());
        assert_eq!(good.check_restore(&host), Ok(()));
        let other_guest = GuestVersions { kernel: "7".into(), daemon: "9".into() };
        assert_eq!(Manifest { guest: other_guest, ..good.clone() }.check_restore(&host), Ok(()));
        let refused = |manifest: Manifest| manifest.check_restore(&host).unwrap_err();
        assert_eq!(refused(Manifest { kind: Kind::Base, ..good.clone() }), Incompatible::NoMemory);
        assert_eq!(refused(Manifest { format: 2, ..good.clone() }), Incompatible::Format { saved: 2 });
        assert_eq!(
            refused(Manifest { guest_protocol: 0, ..good.clone() }),
            Incompatible::GuestProtocol { saved: 0 }
        );
        let newer = Manifest { fingerprint: Fingerprint::simulated("2"), ..good };
        assert!(matches!(refused(newer), Incompatible::Fingerprint(what) if what.contains('2')));
    }

    #[test]
    fn a_manifest_is_read_as_it_was_written() {
        let manifest = manifest();
        let text = serde_json::to_string(&manifest).unwrap();
        assert_eq!(serde_json::from_str::<Manifest>(&text).unwrap(), manifest);
    }
}
