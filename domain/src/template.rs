//! Templates: what capsules start from.

use std::{collections::BTreeMap, str::FromStr};

use chrono::{DateTime, Utc};

use crate::{
    build::{Claim, StepKey},
    ids::{TeamId, TemplateId},
    word::{UnknownWord, words},
};

/// Room that files of a template may take beyond what they hold, in MiB; the device state has no other.
pub const FILES_MARGIN_MB: u64 = 64;

words! {
    /// Content of a template.
    TemplateKind, "template type" {
        /// A disk image only; fits any machine.
        Base = "base",
        /// Disk, memory and device state of one size of machine.
        Snapshot = "snapshot",
    }
}

/// Source of a template, as far as it is a sandbox's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TemplateSource {
    /// Its disk, memory and device state.
    Snapshot,
    /// Its disk, made as small as what is in it.
    Flattened,
    /// Its disk as it is, which takes no time.
    AsItIs,
}

impl TemplateSource {
    /// Returns the content of the template.
    pub fn kind(self) -> TemplateKind {
        match self {
            Self::Snapshot => TemplateKind::Snapshot,
            Self::Flattened | Self::AsItIs => TemplateKind::Base,
        }
    }
}

impl FromStr for TemplateSource {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        match text {
            "as_it_is" => Ok(Self::AsItIs),
            kind => kind.parse().map(TemplateKind::into),
        }
    }
}

impl From<TemplateKind> for TemplateSource {
    /// Returns the source of a template of this kind if none is named.
    fn from(kind: TemplateKind) -> Self {
        match kind {
            TemplateKind::Base => Self::Flattened,
            TemplateKind::Snapshot => Self::Snapshot,
        }
    }
}

/// A template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// Its id.
    pub id: TemplateId,
    /// Its owner; the platform team's templates are everybody's to use.
    pub team_id: TeamId,
    /// Its name, unique in its team among those that are ready.
    pub name: String,
    /// File name of an image that every host is given; none if its files were made on a host.
    pub image: Option<String>,
    /// Content of the template.
    pub kind: TemplateKind,
    /// vCPUs of the machine in a snapshot.
    pub vcpus: Option<i32>,
    /// Memory of the machine in a snapshot.
    pub memory_mb: Option<i32>,
    /// Least disk that a capsule of it needs.
    pub disk_size_mb: i32,
    /// Size on a host.
    pub size_bytes: i64,
    /// User that commands run as when they name none.
    pub default_user: String,
    /// Environment of every command, below its own.
    pub default_env: BTreeMap<String, String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// Content of a new template's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTemplate {
    /// Its id.
    pub id: TemplateId,
    /// Its owner.
    pub team_id: TeamId,
    /// Its name.
    pub name: String,
    /// Source of the template.
    pub source: TemplateSource,
    /// vCPUs of the machine that it is made of.
    pub vcpus: u32,
    /// Memory of that machine.
    pub memory_mb: u32,
    /// Disk of that machine.
    pub disk_size_mb: u32,
    /// User that commands run as when they name none.
    pub default_user: String,
    /// Environment of every command, below its own.
    pub default_env: BTreeMap<String, String>,
    /// Fate of a ready template that has its name.
    pub on_conflict: OnConflict,
    /// Origin and purpose.
    pub origin: TemplateOrigin,
}

/// Origin and purpose of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TemplateOrigin {
    /// A client's: it is ready when it is made.
    Client,
    /// A step of a build left it, for later builds only.
    Step(Claim),
    /// A build's: it is to be tested before it is ready.
    Build {
        /// Which attempt makes it.
        claim: Claim,
        /// Key over all that led to it, if that decides what it is.
        result_key: Option<StepKey>,
    },
}

impl TemplateOrigin {
    /// Returns the attempt at a build that makes the template.
    pub fn claim(&self) -> Option<Claim> {
        match self {
            Self::Client => None,
            Self::Step(claim) | Self::Build { claim, .. } => Some(*claim),
        }
    }
}

/// Fate of a template whose name another one gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnConflict {
    /// The template stays, and the other one cannot have the name.
    Refuse,
    /// The template goes when the other one is ready.
    Replace,
}

/// Change of the template that a sandbox's operation makes, with a transition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TemplateChange {
    /// The template begins to be made.
    Begin(NewTemplate),
    /// The template is ready, on the sandbox's host.
    Publish {
        /// Which.
        id: TemplateId,
        /// Size on the host.
        size_bytes: u64,
        /// Least disk that a sandbox of it needs.
        disk_size_mb: u32,
    },
    /// The template will never be ready.
    Discard(TemplateId),
}

/// Why a template cannot have its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TemplateNameError {
    /// The team has one of that name, or is making one.
    #[error("the team has a template of that name")]
    Taken,
    /// The platform has one of that name, which everybody sees.
    #[error("the name belongs to a template of the platform")]
    Reserved,
}
