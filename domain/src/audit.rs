//! Audit entries: who changed what, and how it ended.
//!
//! ```text
//!   permitted ─▶ AuditIntent ─┬─ done in one transaction ────────────────▶ succeeded
//!                             ├─ an operation begins ─▶ accepted ── ends ─▶ succeeded, failed
//!                             └─ not begun ──────────────────────────────▶ refused
//! ```
//!
//! An intent travels with the message of the change, and is written in the transaction of the change, so no change is
//! without an entry and no entry without a change. The id is made beforehand: a second write, because the answer to the first
//! was lost, writes nothing, and a change that is committed late takes the place of a refusal. A request that joins an
//! operation in flight has an entry of its own, which is settled with that operation.

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
    /// State of a change.
    AuditStatus, "audit status" {
        /// The change was begun, and has not ended.
        Accepted = "accepted",
        /// The change was made.
        Succeeded = "succeeded",
        /// The change was begun, and did not lead to what was wanted.
        Failed = "failed",
        /// The change was permitted, and not begun.
        Refused = "refused",
    }
}

/// A change that somebody is about to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditIntent {
    /// Id of the entry.
    pub id: AuditId,
    /// Principal on whose behalf it is made.
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
        self.resource.get_or_insert_with(|| harmless(&resource.to_string()));
        self
    }

    /// Names the team to which the resource belongs.
    #[must_use]
    pub fn in_team(mut self, team: TeamId) -> Self {
        self.team = Some(team);
        self
    }

    /// Says that the change is one of the platform, whichever team the principal acts for.
    #[must_use]
    pub fn of_platform(mut self) -> Self {
        self.team = None;
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
            _ if self.team.is_some() => "team",
            _ => "platform",
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
    /// Reason of a failure.
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

/// Returns the outcome of the operation in flight, if the step from `before` to `after` ends it.
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
        Operation::Destroying if before.end == End::Requested => after.end == End::Reached,
        // A removal that nobody requested only cleans up after a machine.
        Operation::Destroying => after.operation.is_none() && after.status == SandboxStatus::Error,
    };
    if is_reached {
        Some(AuditOutcome::succeeded())
    } else {
        Some(AuditOutcome::failed(failure(before, after)))
    }
}

/// Returns the reason for which an operation ended without success. Texts of earlier operations stay in a row, so those that
/// the step wrote come first.
fn failure(before: &Lifecycle, after: &Lifecycle) -> String {
    if before.end == End::NotRequested && after.end == End::Requested {
        return "a removal overtook it".to_owned();
    }
    let written = |after: &Option<String>, before: &Option<String>| after.clone().filter(|_| after != before);
    written(&after.last_error, &before.last_error)
        .or_else(|| written(&after.stop_reason, &before.stop_reason))
        .or_else(|| after.last_error.clone())
        .or_else(|| after.stop_reason.clone())
        .unwrap_or_else(|| format!("the capsule is {}", after.status))
}

/// Returns true if the step from `before` to `after` begins an operation, or takes over a removal that nobody requested.
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
        let old = Some("an earlier failure".to_owned());
        let pausing =
            Lifecycle { last_error: old.clone(), ..life(SandboxStatus::Running, Some(Operation::Pausing)) };
        let removing =
            Lifecycle { operation: Some(Operation::Destroying), end: End::Requested, ..pausing.clone() };
        let outcome = outcome_of_step(&pausing, &removing, false);
        assert_eq!(outcome, Some(AuditOutcome::failed("a removal overtook it")));
        assert!(begins(&pausing, &removing));
    }

    #[test]
    fn the_reason_of_a_failure_is_the_one_that_the_step_wrote() {
        let old = Some("an earlier failure".to_owned());
        let resuming =
            Lifecycle { last_error: old, ..life(SandboxStatus::Paused, Some(Operation::Resuming)) };
        let retired = Lifecycle {
            stop_reason: Some("its host is gone for good".into()),
            operation: None,
            status: SandboxStatus::Error,
            ..resuming.clone()
        };
        let outcome = outcome_of_step(&resuming, &retired, false);
        assert_eq!(outcome, Some(AuditOutcome::failed("its host is gone for good")));
        let again = Lifecycle { operation: None, ..resuming.clone() };
        assert_eq!(
            outcome_of_step(&resuming, &again, false),
            Some(AuditOutcome::failed("an earlier failure"))
        );
    }

    #[test]
    fn a_requested_removal_that_leaves_the_row_has_failed() {
        let removing =
            Lifecycle { end: End::Requested, ..life(SandboxStatus::Paused, Some(Operation::Destroying)) };
        let refused = Lifecycle { last_error: Some("stale".into()), ..life(SandboxStatus::Error, None) };
        assert_eq!(outcome_of_step(&removing, &refused, false), Some(AuditOutcome::failed("stale")));
        let clean_up = life(SandboxStatus::Error, Some(Operation::Destroying));
        let clean = life(SandboxStatus::Error, None);
        assert_eq!(outcome_of_step(&clean_up, &clean, false), Some(AuditOutcome::succeeded()));
    }

    #[test]
    fn a_clean_up_that_a_client_takes_over_begins_anew_for_that_client() {
        let clean_up = life(SandboxStatus::Error, Some(Operation::Destroying));
        let requested = Lifecycle { end: End::Requested, ..clean_up.clone() };
        assert!(begins(&clean_up, &requested));
    }
}
