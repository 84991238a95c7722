//! Templates: what capsules start from.

use std::{collections::BTreeMap, str::FromStr};

use chrono::{DateTime, Utc};
use sqlx::types::Json;
use uuid::Uuid;
use wrenn_proto::ids::{TeamId, TemplateId};

use crate::{Store, StoreError};

/// What a template consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TemplateKind {
    /// A disk image only; fits any machine.
    Base,
    /// Disk, memory and device state of one size of machine.
    Snapshot,
}

impl TemplateKind {
    /// The text in the database and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Snapshot => "snapshot",
        }
    }
}

impl FromStr for TemplateKind {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        match text {
            "base" => Ok(Self::Base),
            "snapshot" => Ok(Self::Snapshot),
            _ => Err(StoreError::UnknownValue { what: "template type", value: text.to_owned() }),
        }
    }
}

/// One template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// Its id.
    pub id: TemplateId,
    /// Its owner; the platform team's templates are everybody's to use.
    pub team_id: TeamId,
    /// Its name, unique in its team.
    pub name: String,
    /// What it consists of.
    pub kind: TemplateKind,
    /// vCPUs of the machine in a snapshot.
    pub vcpus: Option<i32>,
    /// Memory of the machine in a snapshot.
    pub memory_mb: Option<i32>,
    /// Least disk that a capsule of it needs.
    pub disk_size_mb: i32,
    /// What it occupies.
    pub size_bytes: i64,
    /// User that commands run as when they name none.
    pub default_user: String,
    /// Environment of every command, below its own.
    pub default_env: BTreeMap<String, String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

struct TemplateRow {
    id: Uuid,
    team_id: Uuid,
    name: String,
    kind: String,
    vcpus: Option<i32>,
    memory_mb: Option<i32>,
    disk_size_mb: i32,
    size_bytes: i64,
    default_user: String,
    default_env: Json<BTreeMap<String, String>>,
    created_at: DateTime<Utc>,
}

impl TryFrom<TemplateRow> for Template {
    type Error = StoreError;

    fn try_from(row: TemplateRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: TemplateId(row.id),
            team_id: TeamId(row.team_id),
            name: row.name,
            kind: row.kind.parse()?,
            vcpus: row.vcpus,
            memory_mb: row.memory_mb,
            disk_size_mb: row.disk_size_mb,
            size_bytes: row.size_bytes,
            default_user: row.default_user,
            default_env: row.default_env.0,
            created_at: row.created_at,
        })
    }
}

impl Store {
    /// The template that a team means by a name: its own, else the platform's.
    pub async fn template_find(&self, team_id: TeamId, name: &str) -> Result<Option<Template>, StoreError> {
        sqlx::query_as!(
            TemplateRow,
            "SELECT id, team_id, name, type AS kind, vcpus, memory_mb, disk_size_mb, size_bytes, default_user,
                    default_env AS \"default_env: Json<BTreeMap<String, String>>\", created_at
             FROM templates WHERE name = $3 AND team_id IN ($1, $2)
             ORDER BY team_id = $2 LIMIT 1",
            team_id.0,
            TeamId::PLATFORM.0,
            name,
        )
        .fetch_optional(&self.pool)
        .await?
        .map(TryInto::try_into)
        .transpose()
    }
}
