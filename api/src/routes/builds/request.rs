//! A build as clients ask for it: as JSON, or as a form with an archive.

use serde::Deserialize;
use utoipa::{ToSchema, openapi::Object};
use wrenn_control::build_create::BuildRequest;
use wrenn_domain::limits;

use crate::routes::limit_schemas;

/// Recipe of a build, and options.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateBuildRequest {
    #[schema(schema_with = limit_schemas::template_name)]
    name: String,
    /// A template of the team or of the platform.
    #[schema(nullable = false, required = false, default = json!(limits::DEFAULT_TEMPLATE))]
    base_template: Option<String>,
    /// Instructions: `RUN`, `START`, `ENV`, `WORKDIR`, `USER`, `COPY`.
    recipe: RecipeText,
    /// `[--interval=3s] [--timeout=10s] [--start-period=30s] [--retries=3] command`. With one the template has memory, and
    /// the started processes run in its capsules; without one it is a disk.
    #[schema(required = false)]
    healthcheck: Option<String>,
    #[schema(schema_with = limit_schemas::vcpus, required = false)]
    vcpus: Option<i64>,
    #[schema(schema_with = limit_schemas::memory_mb, required = false)]
    memory_mb: Option<i64>,
    #[schema(schema_with = disk_size_mb, required = false)]
    disk_size_mb: Option<i64>,
    /// Leaves out `RUN apt-get update`, `USER wrenn-user` and `WORKDIR /home/wrenn-user` before the recipe, and the
    /// clean-up after it.
    #[schema(nullable = false, required = false, default = false)]
    skip_pre_post: Option<bool>,
    /// Carries out every step, also those whose outcome is known from an earlier build.
    #[schema(nullable = false, required = false, default = false)]
    no_cache: Option<bool>,
}

/// Returns the schema of the size of the disk on which a template is built.
fn disk_size_mb() -> Object {
    limit_schemas::integer(&limits::BUILD_DISK_MB).default(Some(limits::DEFAULT_DISK_MB.into())).build()
}

/// A recipe: one text, or a list of instructions.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
pub(super) enum RecipeText {
    Lines(Vec<String>),
    Text(String),
}

impl RecipeText {
    /// Returns its parts, of one or more lines each.
    pub(super) fn into_parts(self) -> Vec<String> {
        match self {
            Self::Lines(lines) => lines,
            Self::Text(text) => vec![text],
        }
    }
}

/// The request as a form, for a recipe that copies something.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes the form, whose parts are read one by one")]
pub(crate) struct CreateBuildForm {
    /// The same as JSON.
    config: CreateBuildRequest,
    /// A tar, tar.gz or zip archive of up to 100 MB.
    #[schema(value_type = Option<String>, format = Binary, required = false)]
    archive: Option<Vec<u8>>,
}

impl From<CreateBuildRequest> for BuildRequest {
    fn from(request: CreateBuildRequest) -> Self {
        Self {
            name: request.name,
            base_template: request.base_template,
            recipe: request.recipe.into_parts(),
            healthcheck: request.healthcheck,
            vcpus: request.vcpus,
            memory_mb: request.memory_mb,
            disk_size_mb: request.disk_size_mb,
            skip_pre_post: request.skip_pre_post.unwrap_or(false),
            no_cache: request.no_cache.unwrap_or(false),
        }
    }
}
