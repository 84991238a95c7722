//! Templates, from which capsules are made. Called snapshots in addresses, also those that are a disk only.
//!
//! A team sees its own and the platform's, and changes its own.

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod list;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wrenn_domain::{
    ids::TeamId,
    template::{self, TemplateKind},
};

/// Content of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TemplateType {
    /// A disk, made small; fits any size of machine, and is booted.
    Base,
    /// Disk and memory of one size of machine, which goes on where it was.
    Snapshot,
}

impl From<TemplateKind> for TemplateType {
    fn from(kind: TemplateKind) -> Self {
        match kind {
            TemplateKind::Base => Self::Base,
            TemplateKind::Snapshot => Self::Snapshot,
        }
    }
}

impl From<TemplateType> for TemplateKind {
    fn from(kind: TemplateType) -> Self {
        match kind {
            TemplateType::Base => Self::Base,
            TemplateType::Snapshot => Self::Snapshot,
        }
    }
}

/// A template, from which capsules are made.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Template {
    #[schema(example = "tpl-01jx3m8k2vdqg5z7c9h4f6t8r")]
    id: String,
    /// Unique among those that the team sees.
    name: String,
    #[serde(rename = "type")]
    kind: TemplateType,
    team_id: String,
    /// True if it is the platform's: every team can use it, and only administrators of the platform can delete it.
    platform: bool,
    /// Null for a `base` template, which fits any machine.
    #[schema(required = true)]
    vcpus: Option<i32>,
    /// Null for a `base` template, which fits any machine.
    #[schema(required = true)]
    memory_mb: Option<i32>,
    /// Least disk that a capsule of it needs.
    disk_size_mb: i32,
    /// Space that it occupies.
    size_bytes: i64,
    /// User of commands that name none.
    default_user: String,
    created_at: DateTime<Utc>,
}

impl From<template::Template> for Template {
    fn from(template: template::Template) -> Self {
        Self {
            id: template.id.to_string(),
            name: template.name,
            kind: template.kind.into(),
            team_id: template.team_id.to_string(),
            platform: template.team_id == TeamId::PLATFORM,
            vcpus: template.vcpus,
            memory_mb: template.memory_mb,
            disk_size_mb: template.disk_size_mb,
            size_bytes: template.size_bytes,
            default_user: template.default_user,
            created_at: template.created_at,
        }
    }
}
