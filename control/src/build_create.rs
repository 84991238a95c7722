//! Takes a recipe in, which becomes a template of a team or of the platform.

use wrenn_domain::{
    action::Action,
    admission::EnterError,
    archive::Contents,
    audit::AuditIntent,
    build::{
        Build, BuildOrder, NewBuild,
        plan::{ArchiveIndex, Base, Order, PlanError, plan},
    },
    ids::{BuildId, TeamId},
    limits::{self, LimitError},
    principal::Principal,
    quota::NotAdmitted,
};
use wrenn_store::{StoreError, builds::BuildInsertError};

use crate::{Control, enter::Pass};

/// The reason for which a build was not taken in. Nothing is left of it.
#[derive(Debug, thiserror::Error)]
pub enum BuildCreateError {
    /// The use case did not begin.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// The name cannot be that of a template.
    #[error(
        "name: `{0}` cannot be a template's name; it has 1 to 63 of a-z, 0-9, `.`, `_`, `-` and begins with a letter or digit"
    )]
    Name(String),
    /// A size is out of range.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// The recipe or the healthcheck cannot be carried out.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// There is an archive, and the recipe copies nothing from it.
    #[error("archive: the recipe copies nothing from it; add a COPY, or leave it out")]
    UselessArchive,
    /// Neither the team nor the platform has such a base template.
    #[error("base_template: there is no template `{0}`")]
    NoBase(String),
    /// The base template holds a machine of another size.
    #[error("base_template: `{template}` holds a machine with {field} {holds}; ask for as much")]
    OtherSize {
        /// The base template.
        template: String,
        /// The size that differs.
        field: &'static str,
        /// The machine's value.
        holds: u32,
    },
    /// The name is that of an image that every host is given.
    #[error("name: `{0}` belongs to an image that comes with the platform; choose another one")]
    Reserved(String),
    /// The name is that of a template of the platform, which the team sees already.
    #[error("name: `{0}` belongs to a template of the platform; choose another one")]
    Platform(String),
    /// A build of that name has not ended.
    #[error("name: a build of `{0}` is pending or running; wait for it, or cancel it")]
    InUse(String),
    /// The team may not have as many builds or templates.
    #[error(transparent)]
    NotAdmitted(#[from] NotAdmitted),
    /// The database failed.
    #[error("the build cannot be written")]
    Store(#[from] StoreError),
}

/// A build as it is requested. [`run`] checks sizes and names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildRequest {
    /// Name of the template that it makes.
    pub name: String,
    /// A template of the team or of the platform.
    pub base_template: Option<String>,
    /// The recipe, in parts of one or more lines.
    pub recipe: Vec<String>,
    /// The healthcheck; with one, the template has memory.
    pub healthcheck: Option<String>,
    /// vCPUs.
    pub vcpus: Option<i64>,
    /// Memory in MiB.
    pub memory_mb: Option<i64>,
    /// Disk on which it is built, in MiB.
    pub disk_size_mb: Option<i64>,
    /// Leaves out the fixed steps before and after the recipe.
    pub skip_pre_post: bool,
    /// Carries out every step, also those whose outcome is known.
    pub no_cache: bool,
}

/// Takes a build of the principal's team in, with the name of its archive's object and its content; a worker carries it
/// out.
///
/// # Errors
/// See [`BuildCreateError`]; the archive, if there is one, is the caller's to remove then.
pub async fn run(
    control: &Control,
    principal: &Principal,
    request: BuildRequest,
    archive: Option<(String, Contents)>,
) -> Result<Build, BuildCreateError> {
    let pass = control.enter(principal, Action::BuildCreate).await?;
    let team = pass.team();
    take_in(control, pass, team, request, archive).await
}

/// Takes a build of the platform in, for an administrator.
///
/// # Errors
/// See [`BuildCreateError`]; the archive, if there is one, is the caller's to remove then.
pub async fn run_platform(
    control: &Control,
    principal: &Principal,
    request: BuildRequest,
    archive: Option<(String, Contents)>,
) -> Result<Build, BuildCreateError> {
    let pass = control.enter(principal, Action::AdminBuildCreate).await?;
    take_in(control, pass, TeamId::PLATFORM, request, archive).await
}

async fn take_in(
    control: &Control,
    pass: Pass,
    team: TeamId,
    request: BuildRequest,
    archive: Option<(String, Contents)>,
) -> Result<Build, BuildCreateError> {
    let id = BuildId::new();
    let intent = pass.intent().in_team(team).of(id).with("name", limits::echo(&request.name));
    let created = match into_order(request, team, &intent.principal) {
        Ok(order) => create(control, id, &intent, order, archive).await,
        Err(error) => Err(error),
    };
    let build = control.audited(intent, created).await?;
    drop(pass);
    control.actors().build_announce(build.id).await;
    tracing::info!(build = %build.id, %team, name = build.order.name, "build created");
    Ok(build)
}

async fn create(
    control: &Control,
    id: BuildId,
    intent: &AuditIntent,
    order: BuildOrder,
    archive: Option<(String, Contents)>,
) -> Result<Build, BuildCreateError> {
    let store = control.store();
    let team = order.team_id;
    let base = store.template_find(team, &order.base_template).await?;
    let base = base.ok_or_else(|| BuildCreateError::NoBase(order.base_template.clone()))?;
    for (field, holds, wanted) in
        [("vcpus", base.vcpus, order.vcpus), ("memory_mb", base.memory_mb, order.memory_mb)]
    {
        let holds = holds.map(i32::unsigned_abs).filter(|holds| *holds != wanted);
        if let Some(holds) = holds {
            return Err(BuildCreateError::OtherSize { template: order.base_template, field, holds });
        }
    }
    if store.build_name_is_reserved(team, &order.name).await? {
        return Err(match team {
            TeamId::PLATFORM => BuildCreateError::Reserved(order.name),
            _ => BuildCreateError::Platform(order.name),
        });
    }
    let planned = Base {
        team_id: team,
        id: base.id,
        default_user: base.default_user,
        default_env: base.default_env,
        disk_size_mb: order.disk_size_mb,
    };
    let (archive, contents) = archive.unzip();
    let index =
        contents.map(|Contents { entries, .. }| ArchiveIndex { entries, digests: Default::default() });
    let wanted = Order {
        recipe: &order.recipe,
        healthcheck: order.healthcheck.as_deref(),
        skip_pre_post: order.skip_pre_post,
    };
    let plan = plan(wanted, &planned, index.as_ref())?;
    if index.is_some() && !plan.copies_something() {
        return Err(BuildCreateError::UselessArchive);
    }
    let total_steps = plan.total_steps();
    let new = NewBuild { id, order, archive, total_steps };
    let build = store.build_insert(&new, intent).await.map_err(|error| match error {
        BuildInsertError::NameInUse => BuildCreateError::InUse(new.order.name),
        BuildInsertError::NotAdmitted(refusal) => BuildCreateError::NotAdmitted(refusal),
        BuildInsertError::Store(error) => BuildCreateError::Store(error),
    })?;
    Ok(build)
}

/// Fills in the defaults and checks what can be checked without the base template.
fn into_order(
    request: BuildRequest,
    team_id: TeamId,
    principal: &Principal,
) -> Result<BuildOrder, BuildCreateError> {
    if !limits::is_template_name(&request.name) {
        return Err(BuildCreateError::Name(limits::echo(&request.name)));
    }
    let base_template = request.base_template.unwrap_or_else(|| limits::DEFAULT_TEMPLATE.to_owned());
    if !limits::is_template_name(&base_template) {
        return Err(BuildCreateError::NoBase(limits::echo(&base_template)));
    }
    let memory_mb = request.memory_mb.unwrap_or(limits::DEFAULT_MEMORY_MB);
    let disk_size_mb = request.disk_size_mb.unwrap_or(limits::DEFAULT_DISK_MB);
    Ok(BuildOrder {
        team_id,
        name: request.name,
        base_template,
        recipe: request.recipe,
        healthcheck: request.healthcheck,
        vcpus: limits::in_range("vcpus", request.vcpus.unwrap_or(limits::DEFAULT_VCPUS), limits::VCPUS)?,
        memory_mb: limits::in_range("memory_mb", memory_mb, limits::MEMORY_MB)?,
        disk_size_mb: limits::in_range("disk_size_mb", disk_size_mb, limits::BUILD_DISK_MB)?,
        skip_pre_post: request.skip_pre_post,
        no_cache: request.no_cache,
        created_by: principal.user(),
    })
}
