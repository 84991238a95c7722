//! Deletes a template: from everybody's sight, from the hosts, from object storage, then its row.

use wrenn_actors::DeleteTemplateError as ActorError;
use wrenn_domain::{
    action::Action, admission::EnterError, audit::AuditIntent, ids::TeamId, limits, permission::permit,
    principal::Principal, template::Template,
};
use wrenn_store::StoreError;

use crate::Control;

/// The reason for which a template was not deleted.
#[derive(Debug, thiserror::Error)]
pub enum DeleteTemplateError {
    /// The use case did not begin.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// The team has no such template.
    #[error("there is no template `{0}`")]
    NotFound(String),
    /// The team that an administrator named has no such template.
    #[error("the team has no template `{0}`")]
    NotOfTeam(String),
    /// The template belongs to the platform, and the principal acts for a team.
    #[error("template `{0}` is the platform's; only an administrator of the platform can delete it")]
    Platform(String),
    /// The template is an image that every host is given.
    #[error("template `{0}` is an image that comes with the platform, and stays")]
    Image(String),
    /// Capsules or builds need it.
    #[error("template `{name}` is needed: {needed_by}")]
    Needed {
        /// Name of the template.
        name: String,
        /// The capsules and builds, in words.
        needed_by: String,
    },
    /// The database failed before anything was deleted.
    #[error("the template could not be looked up")]
    Store(#[from] StoreError),
    /// The deletion was begun, and is not known to have ended.
    #[error("the template could not be deleted")]
    Delete(#[from] ActorError),
}

/// Deletes a template of the principal's team; one of the platform, if the principal administers that. Capsules that were
/// made from it live on.
///
/// # Errors
/// See [`DeleteTemplateError`].
pub async fn run(control: &Control, principal: &Principal, name: &str) -> Result<(), DeleteTemplateError> {
    let pass = control.enter(principal, Action::TemplateDelete).await?;
    let intent = pass.intent().with("name", limits::echo(name));
    let found = async {
        let not_found = || DeleteTemplateError::NotFound(limits::echo(name));
        if !limits::is_template_name(name) {
            return Err(not_found());
        }
        let template = control.store().template_find(pass.team(), name).await?.ok_or_else(not_found)?;
        let is_platforms = template.team_id == TeamId::PLATFORM;
        if is_platforms && permit(principal, Action::AdminTemplateDelete).is_err() {
            return Err(DeleteTemplateError::Platform(name.to_owned()));
        }
        Ok(template)
    };
    let template = control.audited(intent.clone(), found.await).await?;
    drop(pass);
    if template.team_id == TeamId::PLATFORM {
        return run_any(control, principal, TeamId::PLATFORM, name).await;
    }
    delete(control, intent, &template, || DeleteTemplateError::NotFound(limits::echo(name))).await?;
    tracing::info!(template_id = %template.id, team_id = %template.team_id, "template deleted");
    Ok(())
}

/// Deletes any team's template, for an administrator of the platform; not one that capsules or builds need.
///
/// # Errors
/// See [`DeleteTemplateError`].
pub async fn run_any(
    control: &Control,
    principal: &Principal,
    team: TeamId,
    name: &str,
) -> Result<(), DeleteTemplateError> {
    let pass = control.enter(principal, Action::AdminTemplateDelete).await?;
    let intent = pass.intent().in_team(team).with("name", limits::echo(name));
    let store = control.store();
    let found = async {
        let not_found = || DeleteTemplateError::NotOfTeam(limits::echo(name));
        if !limits::is_template_name(name) {
            return Err(not_found());
        }
        let template = store.template_find_own(team, name).await?.ok_or_else(not_found)?;
        if template.image.is_some() {
            return Err(DeleteTemplateError::Image(name.to_owned()));
        }
        let starting = store.template_starting(template.id).await?;
        let mut needed_by: Vec<_> =
            starting.iter().map(|id| format!("capsule {id} starts from it")).collect();
        let builds = store.builds_from(team, name).await?;
        needed_by.extend(builds.iter().map(|id| format!("build {id} begins with it")));
        if !needed_by.is_empty() {
            let needed_by = needed_by.join(", ");
            return Err(DeleteTemplateError::Needed { name: name.to_owned(), needed_by });
        }
        Ok(template)
    };
    let template = control.audited(intent.clone(), found.await).await?;
    drop(pass);
    delete(control, intent, &template, || DeleteTemplateError::NotOfTeam(limits::echo(name))).await?;
    tracing::info!(template_id = %template.id, team_id = %team, "template deleted by an administrator");
    Ok(())
}

/// Deletes a template that was found; another request may have been first.
async fn delete(
    control: &Control,
    intent: AuditIntent,
    template: &Template,
    not_found: impl FnOnce() -> DeleteTemplateError,
) -> Result<(), DeleteTemplateError> {
    let intent = intent.of(template.id);
    let deleted = match control.actors().template_delete(template.id, intent.clone()).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(not_found()),
        Err(error) => Err(error.into()),
    };
    control.audited(intent, deleted).await
}
