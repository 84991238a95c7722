//! Audit entries: who changed what, and how it ended.
//!
//! ```text
//!   permitted ─▶ AuditIntent ─┬─ done in one transaction ────────────────▶ succeeded
//!                             ├─ an operation begins ─▶ accepted ── ends ─▶ succeeded, failed
//!                             └─ not begun ──────────────────────────────▶ refused
//! ```
//!
//! An intent travels with the message of the change, and is written in the transaction of the change, so no change is
//! without an entry and no entry without a change. Its id is made beforehand: whoever writes it a second time, because the
//! answer to the first was lost, writes nothing.

use std::collections::BTreeMap;

use crate::{
    action::{Access, Action},
    ids::{AuditId, TeamId},
    lifecycle::{End, Lifecycle, Operation, SandboxStatus},
    principal::{Principal, SystemReason},
    word::words,
};

/// Longest text of an entry, in characters.
const MAX_TEXT_CHARACTERS: usize = 500;

words! {
    /// How a change ended.
    AuditStatus, "audit status" {
        /// It was begun, and has not ended.
        Accepted = "accepted",
        /// It was done.
        Succeeded = "succeeded",
        /// It was begun, and did not lead to what was wanted.
        Failed = "failed",
        /// It was permitted, and not begun.
        Refused = "refused",
    }
}

/// A change that somebody is about to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditIntent {
    /// Id of the entry.
    pub id: AuditId,
    /// On whose behalf.
    pub principal: Principal,
    /// The action.
    pub action: Action,
    /// The team whose log shows the entry; `None` for a change of the platform.
    pub team: Option<TeamId>,
    /// Id or name of the resource; `None` until it is known.
    pub resource: Option<String>,
    /// Further facts, by name.
    pub metadata: BTreeMap<&'static str, String>,
}

impl AuditIntent {
    /// Returns an intent for the principal's own team.
    pub fn new(principal: Principal, action: Action) -> Self {
        Self {
            id: AuditId::new(),
            principal,
            action,
            team: principal.team(),
            resource: None,
            metadata: BTreeMap::new(),
        }
    }

    /// Returns an intent of the control plane itself.
    pub fn system(reason: SystemReason, action: Action) -> Self {
        Self::new(Principal::system(reason), action)
    }

    /// Names the resource.
    #[must_use]
    pub fn of(mut self, resource: impl ToString) -> Self {
        self.resource = Some(harmless(&resource.to_string()));
        self
    }

    /// Names the resource, unless it has a name.
    #[must_use]
    pub fn named(mut self, resource: impl ToString) -> Self {
        self.resource.get_or_insert_with(|| resource.to_string());
        self
    }

    /// Names the team to which the resource belongs.
    #[must_use]
    pub fn in_team(mut self, team: TeamId) -> Self {
        self.team = Some(team);
        self
    }

    /// Adds a fact.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.metadata.insert(name, harmless(&value.to_string()));
        self
    }

    /// Returns whose log the entry belongs to: `team`, or `platform` for administration.
    pub fn scope(&self) -> &'static str {
        match self.action.spec().access {
            Access::Platform => "platform",
            Access::Open | Access::Team(_) if self.team.is_some() => "team",
            Access::Open | Access::Team(_) => "platform",
        }
    }
}

/// Makes a text of a client fit for the log: no control characters, and a bounded length.
pub fn harmless(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_TEXT_CHARACTERS).collect()
}

/// The end of a change that was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditOutcome {
    /// [`AuditStatus::Succeeded`] or [`AuditStatus::Failed`].
    pub status: AuditStatus,
    /// Why it failed.
    pub error: Option<String>,
}

impl AuditOutcome {
    /// Returns the outcome of a change that led to what was wanted.
    pub const fn succeeded() -> Self {
        Self { status: AuditStatus::Succeeded, error: None }
    }

    /// Returns the outcome of a change that did not.
    pub fn failed(error: impl Into<String>) -> Self {
        Self { status: AuditStatus::Failed, error: Some(error.into()) }
    }
}

/// The entries that a sandbox's transition writes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditChange {
    /// The entry of the operation that the transition begins.
    pub begins: Option<AuditIntent>,
    /// The entry that the transition settles, and how.
    pub ends: Option<(AuditId, AuditOutcome)>,
}

/// Says how the operation in flight ended, if the step from `before` to `after` ended it.
///
/// `is_published` is true if the step makes the operation's template ready. A removal that is begun anew has not ended.
pub fn outcome_of_step(before: &Lifecycle, after: &Lifecycle, is_published: bool) -> Option<AuditOutcome> {
    let operation = before.operation?;
    if after.operation == Some(operation) {
        return None;
    }
    let is_reached = match operation {
        Operation::Starting | Operation::Resuming => after.status == SandboxStatus::Running,
        Operation::Pausing => matches!(after.status, SandboxStatus::Paused | SandboxStatus::Hibernated),
        Operation::Snapshotting | Operation::Flattening => is_published,
        // One that was not requested only removes the leftovers of a machine.
        Operation::Destroying => after.operation.is_none() && leaves_nothing(after),
    };
    if is_reached {
        return Some(AuditOutcome::succeeded());
    }
    let error = match (after.operation, &after.last_error, &after.stop_reason) {
        (Some(Operation::Destroying), None, None) => "a removal overtook it".to_owned(),
        (_, Some(error), _) | (_, None, Some(error)) => error.clone(),
        (_, None, None) => format!("the capsule is {}", after.status),
    };
    Some(AuditOutcome::failed(error))
}

fn leaves_nothing(lifecycle: &Lifecycle) -> bool {
    lifecycle.end == End::Reached || lifecycle.status == SandboxStatus::Error
}

/// Returns true if the step from `before` to `after` begins an operation, or takes over a removal that nobody asked for.
pub fn begins(before: &Lifecycle, after: &Lifecycle) -> bool {
    let is_requested = before.end == End::NotRequested && after.end == End::Requested;
    after.operation.is_some() && (after.operation != before.operation || is_requested)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life(status: SandboxStatus, operation: Option<Operation>) -> Lifecycle {
        Lifecycle { status, operation, ..Lifecycle::first() }
    }

    #[test]
    fn an_operation_succeeds_if_it_leads_to_what_it_is_for() {
        use Operation::{Flattening, Pausing, Resuming, Snapshotting, Starting};
        use SandboxStatus::{Error, Hibernated, Paused, Running, Stopped};
        for (operation, from, to, is_published, succeeds) in [
            (Starting, SandboxStatus::Starting, Running, false, true),
            (Starting, SandboxStatus::Starting, Error, false, false),
            (Pausing, Running, Paused, false, true),
            (Pausing, Running, Running, false, false),
            (Resuming, Paused, Running, false, true),
            (Resuming, Hibernated, Hibernated, false, false),
            (Snapshotting, Running, Running, true, true),
            (Snapshotting, Running, Running, false, false),
            (Flattening, Stopped, Stopped, true, true),
        ] {
            let outcome = outcome_of_step(&life(from, Some(operation)), &life(to, None), is_published);
            let expected = if succeeds { AuditStatus::Succeeded } else { AuditStatus::Failed };
            assert_eq!(outcome.map(|outcome| outcome.status), Some(expected), "{operation} to {to}");
        }
    }

    #[test]
    fn a_removal_ends_with_the_last_leftover_and_not_when_it_is_repeated() {
        let removing =
            Lifecycle { end: End::Requested, ..life(SandboxStatus::Running, Some(Operation::Destroying)) };
        let repeated = Lifecycle { generation: removing.generation.next(), ..removing.clone() };
        assert_eq!(outcome_of_step(&removing, &repeated, false), None);
        assert!(!begins(&removing, &repeated));
        let gone = Lifecycle { end: End::Reached, ..life(SandboxStatus::Stopped, None) };
        assert_eq!(outcome_of_step(&removing, &gone, false), Some(AuditOutcome::succeeded()));
        let kept = Lifecycle { last_error: Some("busy".into()), ..life(SandboxStatus::Running, None) };
        assert_eq!(outcome_of_step(&removing, &kept, false), Some(AuditOutcome::failed("busy")));
    }

    #[test]
    fn texts_of_clients_are_cut_and_have_no_control_characters() {
        let intent = AuditIntent::new(Principal::Anonymous, Action::BuildCreate).with("name", "a\0b\u{1b}c");
        assert_eq!(intent.metadata["name"], "abc");
        assert_eq!(harmless(&"ß".repeat(10_000)).chars().count(), MAX_TEXT_CHARACTERS);
    }

    #[test]
    fn what_a_removal_overtakes_has_failed() {
        let pausing = life(SandboxStatus::Running, Some(Operation::Pausing));
        let removing = life(SandboxStatus::Running, Some(Operation::Destroying));
        let outcome = outcome_of_step(&pausing, &removing, false);
        assert_eq!(outcome, Some(AuditOutcome::failed("a removal overtook it")));
        assert!(begins(&pausing, &removing));
    }

    #[test]
    fn a_clean_up_that_a_client_takes_over_begins_anew_for_that_client() {
        let clean_up = life(SandboxStatus::Error, Some(Operation::Destroying));
        let requested = Lifecycle { end: End::Requested, ..clean_up.clone() };
        assert!(begins(&clean_up, &requested));
    }
}
