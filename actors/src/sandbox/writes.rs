//! The writes of a transition beside the lifecycle: audit entries, and the template that the operation makes.
//!
//! Pure: the actor passes the result to the store with the lifecycle, and all of it is one transaction.

use wrenn_domain::{
    action::Action,
    audit::{self, AuditChange, AuditIntent, AuditOutcome},
    principal::SystemReason,
    sandbox::{
        Sandbox,
        state::{Step, TemplateEffect},
    },
    template::{NewTemplate, TemplateChange},
};

use super::messages::{TemplateDefaults, TemplateOrder};

/// Returns the audit entries that a step writes. A request that changes the row begins something, also a removal anew; an
/// operation that no request began cleans up after a machine.
pub(super) fn audit_of(row: &Sandbox, step: &Step, intent: Option<AuditIntent>) -> AuditChange {
    let (before, after) = (&row.lifecycle, &step.next.lifecycle);
    let clean_up = || {
        let intent = AuditIntent::system(SystemReason::MachineCleanUp, Action::SandboxDestroy);
        audit::begins(before, after).then(|| intent.in_team(row.team_id).of(row.id))
    };
    let begins = intent.or_else(clean_up);
    let is_published = matches!(step.template, Some(TemplateEffect::Publish { .. }));
    let outcome = audit::outcome_of_step(before, after, is_published)
        .or_else(|| begins.as_ref().map(|_| AuditOutcome::failed("another request took it over")));
    AuditChange { begins, ends: row.audit_id.zip(outcome) }
}

/// Returns the end of a template in the making, as the store is told.
pub(super) fn ending(effect: TemplateEffect) -> Option<TemplateChange> {
    match effect {
        // The order of the template says how it begins.
        TemplateEffect::Begin(_) => None,
        TemplateEffect::Publish { template: id, size_bytes, disk_size_mb } => {
            Some(TemplateChange::Publish { id, size_bytes, disk_size_mb })
        }
        TemplateEffect::Discard(id) => Some(TemplateChange::Discard(id)),
    }
}

/// Returns the template that an order makes of a sandbox.
pub(super) fn new_template(row: &Sandbox, order: &TemplateOrder) -> NewTemplate {
    let defaults = order.defaults.clone();
    let TemplateDefaults { user, env } = defaults
        .unwrap_or_else(|| TemplateDefaults { user: row.default_user.clone(), env: row.envs.clone() });
    NewTemplate {
        id: order.id,
        team_id: row.team_id,
        name: order.name.clone(),
        source: order.source,
        vcpus: row.vcpus,
        memory_mb: row.memory_mb,
        disk_size_mb: row.disk_size_mb,
        default_user: user,
        default_env: env,
        on_conflict: order.on_conflict,
        origin: order.origin.clone(),
    }
}
