//! Checks a recipe and a healthcheck by the grammar of builds, while they are written.

use wrenn_domain::{
    action::Action,
    admission::EnterError,
    principal::Principal,
    recipe::{Healthcheck, HealthcheckError, Recipe, RecipeError},
};

use crate::Control;

/// Most faults that are told; nobody reads more at once.
const MAX_FAULTS: usize = 50;

/// Faults of what would be a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildFaults {
    /// Faults of the recipe, at most 50, in the order of their lines.
    pub recipe: Vec<RecipeError>,
    /// Fault of the healthcheck.
    pub healthcheck: Option<HealthcheckError>,
}

/// Checks a recipe, in parts of one or more lines, and a healthcheck. Nothing is looked up and nothing is kept.
///
/// # Errors
/// If the principal may not check, or there is too much to do.
pub async fn run(
    control: &Control,
    principal: &Principal,
    recipe: &[String],
    healthcheck: Option<&str>,
) -> Result<BuildFaults, EnterError> {
    let _pass = control.enter(principal, Action::BuildCheck).await?;
    Ok(BuildFaults {
        recipe: Recipe::faults(recipe.iter().map(String::as_str), MAX_FAULTS),
        healthcheck: healthcheck.and_then(|text| Healthcheck::parse(text).err()),
    })
}
