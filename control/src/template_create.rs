//! Makes a template of a sandbox, which stays what it is.

use std::time::Duration;

use wrenn_actors::{OperationError, TemplateOrder};
use wrenn_base::Rng;
use wrenn_domain::{
    action::Action,
    ids::{SandboxId, TemplateId},
    limits,
    principal::Principal,
    template::{OnConflict, Template, TemplateKind},
};

use crate::{Control, sandbox_find::find};

/// Longest wait of a caller. Copies are references, but a disk is checked and made small, which takes its time.
const WITHIN: Duration = Duration::from_secs(600);
/// Random characters that make a name unique; 36⁸ is more than 2⁴¹.
const SUFFIX_CHARACTERS: usize = 8;

/// The reason for which there is no template.
#[derive(Debug, thiserror::Error)]
pub enum CreateTemplateError {
    /// The name cannot be that of a template.
    #[error(
        "name: must have 1 to 63 lower-case letters, digits, `.`, `_` or `-`, and begin with a letter or digit"
    )]
    Name,
    /// The operation was refused, failed, or is not known to have ended.
    #[error(transparent)]
    Operate(#[from] OperationError),
}

/// Makes a template of a sandbox of the principal's team and waits until it is ready. Without a name, one is made up.
///
/// # Errors
/// See [`CreateTemplateError`].
pub async fn run(
    control: &Control,
    principal: &Principal,
    sandbox: SandboxId,
    name: Option<String>,
    kind: TemplateKind,
    on_conflict: OnConflict,
) -> Result<Template, CreateTemplateError> {
    let pass = control.enter(principal, Action::TemplateCreate).await.map_err(OperationError::from)?;
    let id = TemplateId::new();
    let name = name.unwrap_or_else(|| default_name(control.rng()));
    let intent = pass.intent().of(id).with("name", limits::echo(&name)).with("capsule", sandbox);
    let made = async {
        let order = order(id, name, kind, on_conflict)?;
        find(control, pass.team(), sandbox).await?;
        // The wait for the host takes no place from others.
        drop(pass);
        let made = control.actors().template_make(sandbox, order, intent.clone(), WITHIN).await;
        Ok(made?)
    };
    let made: Result<_, CreateTemplateError> = made.await;
    let made = control.audited(intent, made).await?;
    tracing::info!(
        template_id = %made.id, sandbox_id = %sandbox, team_id = %made.team_id, "template made of a capsule"
    );
    Ok(made)
}

/// Returns the order for the actor, unless the name cannot be that of a template.
fn order(
    id: TemplateId,
    name: String,
    kind: TemplateKind,
    on_conflict: OnConflict,
) -> Result<TemplateOrder, CreateTemplateError> {
    if !limits::is_template_name(&name) {
        return Err(CreateTemplateError::Name);
    }
    Ok(TemplateOrder::of_client(id, name, kind.into(), on_conflict))
}

/// Makes up a name that nobody has.
fn default_name(rng: &Rng) -> String {
    format!("snapshot-{}", rng.alphanumeric(SUFFIX_CHARACTERS).to_lowercase())
}

#[cfg(test)]
mod tests {
    use wrenn_domain::template::TemplateSource;

    use super::*;

    #[test]
    fn a_name_that_is_made_up_is_valid_and_not_made_up_twice() {
        let rng = Rng::seeded(1);
        let made_up = || {
            order(TemplateId::new(), default_name(&rng), TemplateKind::Snapshot, OnConflict::Refuse).unwrap()
        };
        let (one, other) = (made_up(), made_up());
        assert!(limits::is_template_name(&one.name), "{}", one.name);
        assert_ne!(one.name, other.name);
        assert_eq!((one.source, one.on_conflict), (TemplateSource::Snapshot, OnConflict::Refuse));
    }

    #[test]
    fn a_name_that_no_template_may_have_is_refused() {
        for name in ["", "Upper", "-a", "a/b", "ä"] {
            let refused = order(TemplateId::new(), name.to_owned(), TemplateKind::Base, OnConflict::Replace);
            assert!(matches!(refused, Err(CreateTemplateError::Name)), "{name}");
        }
    }
}
