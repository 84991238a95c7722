//! Templates and boot snapshots of a host, as the machine actors see them.
//!
//! ```text
//!   begin ─▶ Draft ─ suspend_into, clone_files, flatten ─▶ finish ─▶ there, under its final name
//!              │   (one that is fetched: size_file, write_extent)
//!              └──────── discard, also after a crash ───▶ nothing is left
//! ```
//!
//! A draft has another name than what it becomes, so what has its final name is complete. Whatever is used is leased:
//! see [`leases`](super::leases).

use bytes::Bytes;
use futures_util::{future::BoxFuture, stream::BoxStream};
use wrenn_proto::{
    agent::{TemplateExtent, TemplateFile, TemplateFileKind},
    ids::{SandboxId, TemplateId},
};

use super::{
    backend::{BoxError, ReleaseError, SaveError},
    leases::{Artifact, Exclusive, Lease},
    manifest::{Incompatible, Kind, Manifest},
    record::MachineSpec,
};
use crate::vmm::{Fingerprint, VmProcess};

/// An artifact that is complete on this host, and stays there while this exists.
#[derive(Debug)]
pub struct Made {
    /// What it is.
    pub manifest: Box<Manifest>,
    /// Keeps it.
    pub lease: Lease,
}

/// What a machine is made from.
#[derive(Debug)]
pub enum Template {
    /// An image that the host was given.
    Image(String),
    /// One that was made on this host.
    Made(Made),
}

/// Memory that a template may have.
#[derive(Debug)]
pub enum TemplateMemory {
    /// No memory.
    None,
    /// Memory that can be restored on this host.
    Fits,
    /// Memory that cannot be restored here: the template is as good as its disk.
    Useless(Incompatible),
}

/// What is to be done about the boot of a machine.
#[derive(Debug)]
pub enum BootPlan {
    /// Nothing but to boot.
    Boot,
    /// The template has memory: restore that.
    RestoreTemplate,
    /// A machine of the same kind was booted before, and this is its memory: restore that instead.
    Restore(Made),
    /// Boot with a disk of this size, and keep the memory for the next one.
    Keep {
        /// Under which name.
        artifact: Artifact,
        /// Size of the disk in MiB; that of the machine is not smaller.
        disk_size_mb: u32,
    },
}

/// How a machine that may be started is made.
#[derive(Debug)]
pub struct Admitted {
    /// What from.
    pub template: Template,
    /// Plan for its boot.
    pub boot: BootPlan,
    /// Why the memory that the template has cannot be restored here; the machine is booted from the template's disk then.
    pub useless_memory: Option<Incompatible>,
}

/// An artifact in the making, by one alone.
#[derive(Debug)]
pub struct Draft {
    exclusive: Exclusive,
}

impl Draft {
    /// Makes one of an artifact that is held.
    pub fn new(exclusive: Exclusive) -> Self {
        Self { exclusive }
    }

    /// What it becomes.
    pub fn artifact(&self) -> &Artifact {
        self.exclusive.artifact()
    }
}

/// Which files of a machine are cloned into a draft.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parts {
    /// The disk.
    Disk,
    /// Disk and memory; the device state is in the draft already.
    DiskAndMemory,
    /// Disk, memory and device state, of a machine that is paused.
    All,
}

/// What of a machine a template is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Disk, memory and device state.
    Snapshot,
    /// The disk alone.
    Disk(DiskForm),
}

/// What becomes of the disk that a template is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskForm {
    /// It is made as small as what is in it.
    Small,
    /// It stays as it is, which takes no time.
    AsItIs,
}

impl Source {
    /// Returns what the files hold.
    pub fn kind(self) -> Kind {
        match self {
            Self::Snapshot => Kind::Snapshot,
            Self::Disk(_) => Kind::Base,
        }
    }
}

/// A template of this host, as it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateFiles {
    /// What it is.
    pub manifest: Manifest,
    /// What its files occupy.
    pub size_bytes: u64,
}

/// A template that is read, to be sent to other hosts. It stays there while this exists.
pub struct TemplateReader {
    /// What it is.
    pub manifest: Manifest,
    /// Its files, in the order in which they are read.
    pub files: Vec<TemplateFile>,
    /// What is in them.
    pub extents: BoxStream<'static, Result<TemplateExtent, BoxError>>,
}

/// The steps by which templates and boot snapshots are made and removed.
pub trait Library: Send + Sync + 'static {
    /// Returns what saved state depends on here.
    fn fingerprint(&self) -> Fingerprint;

    /// Checks that saved memory can be restored on this host.
    ///
    /// # Errors
    /// The first thing that is in the way.
    fn check_restore(&self, manifest: &Manifest) -> Result<(), Incompatible>;

    /// Judges the memory of what a machine of this size is to be made from.
    ///
    /// # Errors
    /// Says which size the machine must have to fit the memory.
    fn judge_memory(&self, template: &Template, spec: &MachineSpec) -> Result<TemplateMemory, String> {
        let manifest = match template {
            Template::Made(Made { manifest, .. }) if manifest.kind == Kind::Snapshot => manifest,
            Template::Made(_) | Template::Image(_) => return Ok(TemplateMemory::None),
        };
        manifest.check_size(spec.vcpus, spec.memory_mb)?;
        Ok(self.check_restore(manifest).map_or_else(TemplateMemory::Useless, |()| TemplateMemory::Fits))
    }

    /// Checks that there is room for a template whose files may grow by `growth_mb`.
    fn admit_template(&self, growth_mb: u32) -> BoxFuture<'_, Result<(), SaveError>>;

    /// Begins an artifact; what is left of an earlier try is removed.
    ///
    /// # Errors
    /// [`SaveError::Taken`] if it is there, or if somebody uses, makes or removes it.
    fn begin<'a>(&'a self, artifact: &'a Artifact) -> BoxFuture<'a, Result<Draft, SaveError>>;

    /// Stops a machine and writes its device state into the draft.
    fn suspend_into<'a>(
        &'a self,
        draft: &'a Draft,
        id: SandboxId,
        vm: &'a VmProcess,
    ) -> BoxFuture<'a, Result<(), SaveError>>;

    /// Clones files of a machine that does not write to them now into the draft.
    fn clone_files<'a>(
        &'a self,
        draft: &'a Draft,
        id: SandboxId,
        parts: Parts,
    ) -> BoxFuture<'a, Result<(), SaveError>>;

    /// Makes the disk in the draft as small as what is in it; returns its size in MiB.
    fn flatten<'a>(&'a self, draft: &'a Draft) -> BoxFuture<'a, Result<u32, SaveError>>;

    /// Makes an empty file of this size in the draft.
    fn size_file<'a>(
        &'a self,
        draft: &'a Draft,
        file: TemplateFileKind,
        size_bytes: u64,
    ) -> BoxFuture<'a, Result<(), SaveError>>;

    /// Writes a piece of a file of the draft, which is large enough.
    fn write_extent<'a>(
        &'a self,
        draft: &'a Draft,
        file: TemplateFileKind,
        offset: u64,
        data: Bytes,
    ) -> BoxFuture<'a, Result<(), SaveError>>;

    /// Begins to read a template; none if it is not complete here.
    fn read_template(&self, id: TemplateId) -> BoxFuture<'_, Result<Option<TemplateReader>, SaveError>>;

    /// Completes the draft: its files and its manifest are durable, then it gets its final name. Returns what its files
    /// occupy, in bytes.
    fn finish<'a>(
        &'a self,
        draft: &'a Draft,
        manifest: &'a Manifest,
    ) -> BoxFuture<'a, Result<u64, SaveError>>;

    /// Removes what is left of a draft, if anything is. Nobody works on it any more.
    fn discard_draft<'a>(&'a self, artifact: &'a Artifact) -> BoxFuture<'a, Result<(), ReleaseError>>;

    /// Returns a template that is complete here.
    fn template(&self, id: TemplateId) -> Option<TemplateFiles>;

    /// Returns the templates that are complete here.
    fn template_ids(&self) -> Vec<TemplateId>;

    /// Removes a template and its boot snapshots, as soon as nobody uses them; succeeds if there is none.
    fn drop_template(&self, id: TemplateId) -> BoxFuture<'_, Result<(), ReleaseError>>;

    /// Removes a boot snapshot that turned out to be of no use, as soon as nobody uses it.
    fn drop_boot_snapshot(&self, made: Made) -> BoxFuture<'_, ()>;

    /// Removes what is of no use any more; called from time to time. May take a while.
    fn collect(&self) -> BoxFuture<'_, ()>;
}
