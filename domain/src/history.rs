//! The history of a capsule: what was done to it, by whom and why, and what happened to it without a request.
//!
//! ```text
//!   entries of the audit log ── HistoryEvent::of_entry ─┬─▶ history, newest first
//!   steps that nobody requested ── Incident::of_step ───┘
//! ```
//!
//! The audit log has an entry for whatever a principal did, the control plane included. An incident is the rest: a machine
//! that ended by itself, a host that was lost and came back.

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::{
    action::Action,
    audit::AuditStatus,
    audit_log::AuditActor,
    ids::{AuditId, IncidentId},
    lifecycle::{End, Lifecycle, SandboxStatus},
    principal::SystemReason,
    word::words,
};

words! {
    /// Change of a sandbox that nobody requested.
    Incident, "incident" {
        /// The machine ended by itself, and its disk is kept.
        Stopped = "stopped",
        /// The sandbox can no longer be used.
        Failed = "failed",
        /// The host was lost.
        Missing = "missing",
        /// The host is back, and has the machine.
        Found = "found",
    }
}

impl Incident {
    /// Returns what happened in the step from `before` to `after` beside the outcome of an operation, and the reason.
    pub fn of_step(before: &Lifecycle, after: &Lifecycle) -> Option<(Self, Option<String>)> {
        if after.end == End::Reached || after.status == before.status {
            return None;
        }
        let reason = || after.stop_reason.clone().or_else(|| after.last_error.clone());
        match after.status {
            SandboxStatus::Stopped => Some((Self::Stopped, reason())),
            SandboxStatus::Error => Some((Self::Failed, reason())),
            SandboxStatus::Missing => Some((Self::Missing, None)),
            SandboxStatus::Running | SandboxStatus::Paused | SandboxStatus::Hibernated => {
                (before.status == SandboxStatus::Missing).then_some((Self::Found, None))
            }
            SandboxStatus::Pending | SandboxStatus::Starting => None,
        }
    }
}

words! {
    /// Event in the life of a capsule.
    HistoryEvent, "event of a capsule" {
        /// The capsule was created.
        Created = "created",
        /// The capsule was paused.
        Paused = "paused",
        /// The capsule was resumed.
        Resumed = "resumed",
        /// A template was made of the capsule.
        Snapshot = "snapshot",
        /// The idle time was set.
        Timeout = "timeout",
        /// The access to its ports was set.
        Preview = "preview",
        /// The machine ended by itself, and its disk is kept.
        Stopped = "stopped",
        /// The capsule can no longer be used.
        Failed = "failed",
        /// The leftovers of the failed machine were removed from the host.
        CleanedUp = "cleaned_up",
        /// The host was lost.
        Missing = "missing",
        /// The host is back, and has the machine.
        Found = "found",
        /// The capsule was destroyed.
        Destroyed = "destroyed",
    }
}

/// Actions whose entries are part of a history.
const ACTIONS: [(Action, HistoryEvent); 7] = [
    (Action::SandboxCreate, HistoryEvent::Created),
    (Action::SandboxPause, HistoryEvent::Paused),
    (Action::SandboxResume, HistoryEvent::Resumed),
    (Action::SandboxTimeout, HistoryEvent::Timeout),
    (Action::SandboxPreview, HistoryEvent::Preview),
    (Action::SandboxDestroy, HistoryEvent::Destroyed),
    (Action::TemplateCreate, HistoryEvent::Snapshot),
];

impl HistoryEvent {
    /// Returns the names of the actions whose entries are part of a history.
    pub fn actions() -> Vec<&'static str> {
        ACTIONS.iter().map(|(action, _)| action.name()).collect()
    }

    /// Returns the event of an entry of the audit log, of which `actor_name` is the reason if the control plane acted.
    pub fn of_entry(action: &str, actor_type: &str, actor_name: Option<&str>) -> Option<Self> {
        let (action, event) = ACTIONS.iter().find(|(known, _)| known.name() == action)?;
        let is_clean_up = *action == Action::SandboxDestroy
            && actor_type == "system"
            && actor_name == Some(SystemReason::MachineCleanUp.as_str());
        Some(if is_clean_up { Self::CleanedUp } else { *event })
    }
}

impl From<Incident> for HistoryEvent {
    fn from(incident: Incident) -> Self {
        match incident {
            Incident::Stopped => Self::Stopped,
            Incident::Failed => Self::Failed,
            Incident::Missing => Self::Missing,
            Incident::Found => Self::Found,
        }
    }
}

/// Origin of an entry in a history.
#[derive(Debug, Clone, PartialEq)]
pub enum HistoryOrigin {
    /// A principal acted.
    Audit {
        /// Id of the entry in the audit log.
        id: AuditId,
        /// Kind of the principal.
        actor_type: String,
        /// The user, key or host; `None` for the control plane.
        actor: Option<AuditActor>,
        /// Name of the principal at the time; of the control plane, the reason for which it acted.
        actor_name: Option<String>,
        /// State of what was begun.
        status: AuditStatus,
        /// When that ended; `None` while it is in flight.
        settled_at: Option<DateTime<Utc>>,
        /// Further facts, as an object.
        metadata: Value,
    },
    /// The change happened without a request.
    Incident(IncidentId),
}

/// Entry in the history of a capsule.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryEntry {
    /// The event.
    pub event: HistoryEvent,
    /// Origin of the entry.
    pub origin: HistoryOrigin,
    /// Reason of a failure, or of an end without a request.
    pub reason: Option<String>,
    /// When it happened, or was begun.
    pub at: DateTime<Utc>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::Operation;

    #[test]
    fn a_step_that_changes_the_status_without_success_is_an_incident() {
        use SandboxStatus::{Error, Hibernated, Missing, Paused, Running, Starting, Stopped};
        let life = |status| Lifecycle { status, operation: None, ..Lifecycle::first() };
        for (before, after, expected) in [
            (Running, Stopped, Some(Incident::Stopped)),
            (Running, Error, Some(Incident::Failed)),
            (Starting, Error, Some(Incident::Failed)),
            (Running, Missing, Some(Incident::Missing)),
            (Missing, Running, Some(Incident::Found)),
            (Missing, Paused, Some(Incident::Found)),
            (Missing, Stopped, Some(Incident::Stopped)),
            (Starting, Running, None),
            (Running, Paused, None),
            (Paused, Hibernated, None),
            (Running, Running, None),
        ] {
            let reason = Some("it ended".to_owned());
            let ended = Lifecycle { stop_reason: reason.clone(), ..life(after) };
            let found = Incident::of_step(&life(before), &ended);
            assert_eq!(found.as_ref().map(|(incident, _)| *incident), expected, "{before} {after}");
            if let Some((Incident::Stopped | Incident::Failed, why)) = found {
                assert_eq!(why, reason);
            }
            let gone = Lifecycle { end: End::Reached, ..life(after) };
            assert_eq!(Incident::of_step(&life(before), &gone), None);
        }
        let failed = Lifecycle { last_error: Some("no space".into()), ..life(Error) };
        let starting = Lifecycle { operation: Some(Operation::Starting), ..life(Starting) };
        assert_eq!(
            Incident::of_step(&starting, &failed),
            Some((Incident::Failed, Some("no space".to_owned())))
        );
    }

    #[test]
    fn entries_of_capsules_are_events_and_a_clean_up_is_no_end() {
        for (action, expected) in ACTIONS {
            assert_eq!(HistoryEvent::of_entry(action.name(), "user", Some("idle")), Some(expected));
        }
        let by = |reason: SystemReason| {
            HistoryEvent::of_entry(Action::SandboxDestroy.name(), "system", Some(reason.as_str()))
        };
        assert_eq!(by(SystemReason::MachineCleanUp), Some(HistoryEvent::CleanedUp));
        assert_eq!(by(SystemReason::HostDeleted), Some(HistoryEvent::Destroyed));
        assert_eq!(HistoryEvent::of_entry("template.delete", "user", None), None);
    }

    #[test]
    fn an_incident_has_the_word_of_its_event() {
        for incident in Incident::ALL.iter().copied() {
            assert_eq!(HistoryEvent::from(incident).as_str(), incident.as_str());
        }
    }
}
