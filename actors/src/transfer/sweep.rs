//! Removes the objects of templates that are gone.
//!
//! A template goes in many ways: deleted, replaced by another one, with its build. Whoever lets it go need not think of
//! its object: each look lists the objects, and asks the database which of their templates are gone. Whatever goes wrong,
//! the next look is a while later.

use std::time::SystemTime;

use wrenn_proto::ids::TemplateId;
use wrenn_store::Store;

use super::{OBJECTS, object_name};
use crate::{
    objects::{ObjectError, Objects},
    retry::until_answered,
};

/// Removes the objects of templates that are gone. An object that appears after the list was made is left alone: its
/// template was there then.
///
/// # Errors
/// The storage failed; the next look goes on.
pub(crate) async fn sweep_objects(
    store: &Store,
    objects: &Objects,
    now: SystemTime,
) -> Result<(), ObjectError> {
    objects.remove_half_written(now).await?;
    let names = objects.list(OBJECTS).await?;
    let ids: Vec<TemplateId> = names.iter().filter_map(|name| name.parse().ok()).collect();
    if ids.is_empty() {
        return Ok(());
    }
    for template in until_answered("templates_gone", || store.templates_gone(&ids)).await {
        tracing::info!(%template, "removing the object of a template that is gone");
        objects.delete(&object_name(template)).await?;
    }
    Ok(())
}
