//! Events that clients follow: a few types, made of the rows of the outbox.
//!
//! ```text
//!   row of the outbox ─▶ Event::of_row ─┬─ no type ─▶ nobody
//!                                       └─ Event ── is_for(scope) ─▶ clients of the team, administrators of the platform
//! ```
//!
//! An event says what changed and what it is now, in a few facts: a client reads the resource for the rest. Facts are chosen
//! by name here, so a new field of a row is not shown before somebody decides that. Rows of other purposes, such as those of
//! the audit log, are left out.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use crate::{action::Action, ids::TeamId, limits::LimitError, word::words};

/// Streams of events that a user or an API key can have open at once, on one server.
pub const MAX_STREAMS_OF_PRINCIPAL: u32 = 100;
/// Streams of events that the members and keys of a team can have open at once, on one server.
pub const MAX_STREAMS_OF_TEAM: u32 = 1_000;
/// Streams of events that a server serves at once.
pub const MAX_STREAMS: u32 = 5_000;

/// The reason for which another stream is not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TooManyStreams {
    /// The user or key has as many as one can have.
    #[error(
        "you have {MAX_STREAMS_OF_PRINCIPAL} streams of events open here, which is the maximum; close one first"
    )]
    OfPrincipal,
    /// The team has as many as a team can have.
    #[error(
        "the team has {MAX_STREAMS_OF_TEAM} streams of events open here, which is the maximum; close one first"
    )]
    OfTeam,
    /// The server has as many as it can serve.
    #[error("the server has {MAX_STREAMS} streams of events open, which is the maximum; try again later")]
    OfServer,
}

words! {
    /// Type of an event.
    EventType, "event type" {
        /// A capsule has another status or operation, or another setting.
        CapsuleChanged = "capsule.changed",
        /// A build was taken in, is attempted, or has ended.
        BuildChanged = "build.changed",
        /// A template is ready, or can no longer be used.
        TemplateChanged = "template.changed",
        /// A host was made, has another status, or was deleted.
        HostChanged = "host.changed",
        /// A user joined or left the team, or has another role in it.
        MemberChanged = "member.changed",
        /// The team has another name, quota or rule for hosts, or was deleted.
        TeamChanged = "team.changed",
        /// An account was made, changed or deleted. For administrators of the platform.
        UserChanged = "user.changed",
        /// The settings of the platform were changed. For administrators of the platform.
        SettingsChanged = "settings.changed",
    }
}

/// Rows that have the name of a type, with the facts that are shown.
const FACTS: [(EventType, &[&str]); 7] = [
    (EventType::CapsuleChanged, &["status", "operation", "template"]),
    (EventType::BuildChanged, &["status", "name", "attempt"]),
    (EventType::TemplateChanged, &["change", "template_id", "type"]),
    (EventType::HostChanged, &["status"]),
    (EventType::MemberChanged, &["change", "role"]),
    (EventType::TeamChanged, &["change", "name"]),
    (EventType::UserChanged, &["change"]),
];

/// Audited actions that change what no other row tells.
const ACTIONS: [(Action, EventType); 5] = [
    (Action::SandboxTimeout, EventType::CapsuleChanged),
    (Action::SandboxPreview, EventType::CapsuleChanged),
    (Action::HostTagAdd, EventType::HostChanged),
    (Action::HostTagRemove, EventType::HostChanged),
    (Action::SettingsSet, EventType::SettingsChanged),
];

impl EventType {
    /// Returns the action that lists the resources of this type, without whose permission no principal follows them; `None`
    /// if only administrators of the platform do.
    pub const fn listed_by(self) -> Option<Action> {
        match self {
            Self::CapsuleChanged => Some(Action::SandboxList),
            Self::BuildChanged => Some(Action::BuildList),
            Self::TemplateChanged => Some(Action::TemplateList),
            Self::HostChanged => Some(Action::HostList),
            Self::MemberChanged => Some(Action::MemberList),
            Self::TeamChanged => Some(Action::TeamGet),
            Self::UserChanged | Self::SettingsChanged => None,
        }
    }
}

/// Set of types.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct EventTypes(u16);

impl EventTypes {
    /// Returns every type.
    pub fn all() -> Self {
        EventType::ALL.iter().copied().collect()
    }

    /// Returns the types that are about a team.
    pub fn of_teams() -> Self {
        EventType::ALL.iter().copied().filter(|kind| kind.listed_by().is_some()).collect()
    }

    /// Returns true if the type is in the set.
    pub const fn contains(self, kind: EventType) -> bool {
        self.0 & (1 << kind as u16) != 0
    }

    /// Returns the types in the order of their declaration.
    pub fn iter(self) -> impl Iterator<Item = EventType> {
        EventType::ALL.iter().copied().filter(move |kind| self.contains(*kind))
    }

    /// Returns the names of the rows that lead to events of these types.
    pub fn row_names(self) -> Vec<&'static str> {
        let rows = FACTS.iter().filter(|(kind, _)| self.contains(*kind)).map(|(kind, _)| kind.as_str());
        let actions =
            ACTIONS.iter().filter(|(_, kind)| self.contains(*kind)).map(|(action, _)| action.name());
        rows.chain(actions).collect()
    }

    /// Reads a list of names, separated by commas, of which each must be among `known`.
    ///
    /// # Errors
    /// If the list is empty, or a name is not known.
    pub fn parse(list: &str, known: Self) -> Result<Self, LimitError> {
        let names: Vec<&str> = known.iter().map(EventType::as_str).collect();
        list.split(',')
            .map(|name| {
                let kind = name.trim().parse().ok().filter(|kind| known.contains(*kind));
                kind.ok_or_else(|| LimitError {
                    field: "types",
                    wrong: format!(
                        "`{}` is no type of event; use one or more of {}, separated by commas",
                        crate::limits::echo(name.trim()),
                        names.join(", ")
                    ),
                })
            })
            .collect()
    }
}

impl FromIterator<EventType> for EventTypes {
    fn from_iter<I: IntoIterator<Item = EventType>>(kinds: I) -> Self {
        Self(kinds.into_iter().fold(0, |set, kind| set | 1 << kind as u16))
    }
}

impl std::fmt::Debug for EventTypes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// Part of the platform whose events are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventScope {
    /// The events of a team, and of the templates that every team sees.
    Team(TeamId),
    /// The events of all teams and of the platform.
    Platform,
}

/// Audience of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Audience {
    /// The team, or every team, if it is about a template of the platform.
    Teams,
    /// Administrators of the platform alone.
    Administrators,
}

/// Row of the outbox.
#[derive(Debug, Clone, PartialEq)]
pub struct EventRow {
    /// Name of the row: that of a type or of an action, or another one.
    pub name: String,
    /// The team that it concerns; `None` for the platform.
    pub team_id: Option<TeamId>,
    /// Kind of the resource.
    pub resource_type: String,
    /// Id of the resource, if it has one.
    pub resource_id: Option<String>,
    /// Facts, as an object.
    pub payload: Value,
    /// When it was written.
    pub created_at: DateTime<Utc>,
}

/// Change that clients follow.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Type of the event.
    pub kind: EventType,
    /// The team that it concerns; `None` for the platform.
    pub team_id: Option<TeamId>,
    /// Kind of the resource.
    pub resource_type: String,
    /// Id of the resource, or the name of a template; `None` for a change of the platform itself.
    pub resource_id: Option<String>,
    /// The resource as it is now, in a few words.
    pub facts: Map<String, Value>,
    /// When it was written.
    pub at: DateTime<Utc>,
    audience: Audience,
}

impl Event {
    /// Returns the event of a row; `None` if nobody follows such rows.
    pub fn of_row(row: EventRow) -> Option<Self> {
        let EventRow { name, team_id, resource_type, resource_id, payload, created_at: at } = row;
        let Value::Object(mut payload) = payload else { return None };
        // Only administrators see the capsules in which builds work.
        let is_of_build = payload.get("build") == Some(&Value::Bool(true));
        let (kind, facts) = match FACTS.iter().find(|(kind, _)| kind.as_str() == name) {
            Some((kind, names)) => {
                let shown = names.iter().filter_map(|name| payload.remove_entry(*name));
                (*kind, shown.collect())
            }
            None => {
                let (action, kind) = ACTIONS.iter().find(|(action, _)| action.name() == name)?;
                let has_succeeded = payload.get("status").is_some_and(|status| status == "succeeded");
                let fact = ("action".to_owned(), Value::from(action.name()));
                (*kind, has_succeeded.then(|| [fact].into_iter().collect())?)
            }
        };
        let audience = if kind.listed_by().is_none() || is_of_build {
            Audience::Administrators
        } else {
            Audience::Teams
        };
        Some(Self { kind, team_id, resource_type, resource_id, facts, at, audience })
    }

    /// Returns true if whoever follows `scope` may see the event.
    pub fn is_for(&self, scope: EventScope) -> bool {
        match (scope, self.audience) {
            (EventScope::Platform, _) => true,
            (EventScope::Team(_), Audience::Administrators) => false,
            (EventScope::Team(team), Audience::Teams) => {
                let is_seen_by_all = self.kind == EventType::TemplateChanged;
                self.team_id == Some(team) || (is_seen_by_all && self.team_id == Some(TeamId::PLATFORM))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(name: &str, team_id: Option<TeamId>, payload: Value) -> EventRow {
        EventRow {
            name: name.to_owned(),
            team_id,
            resource_type: "capsule".to_owned(),
            resource_id: Some("cl-1".to_owned()),
            payload,
            created_at: DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_row_is_shown_with_the_facts_that_were_chosen_and_no_others() {
        let payload = json!({"status": "running", "operation": null, "generation": 3, "audit_id": "a",
            "template": "minimal", "metadata": {"secret": "x"}});
        let event = Event::of_row(row("capsule.changed", Some(TeamId::new()), payload)).unwrap();
        assert_eq!(event.kind, EventType::CapsuleChanged);
        let facts = json!({"status": "running", "operation": null, "template": "minimal"});
        assert_eq!(Value::Object(event.facts), facts);
    }

    #[test]
    fn an_audited_action_is_an_event_once_it_has_succeeded() {
        for (action, kind) in ACTIONS {
            let of = |status: &str| {
                Event::of_row(row(action.name(), None, json!({"status": status, "audit_id": "a"})))
            };
            let event = of("succeeded").unwrap();
            assert_eq!((event.kind, Value::Object(event.facts)), (kind, json!({"action": action.name()})));
            assert_eq!(of("accepted"), None);
            assert_eq!(of("failed"), None);
        }
        for other in ["capsule.create", "api_key.create", "user.change_password", "host.up", "", "nothing"] {
            assert_eq!(Event::of_row(row(other, None, json!({"status": "succeeded"}))), None, "{other}");
        }
    }

    #[test]
    fn a_team_sees_its_own_events_and_the_templates_of_the_platform() {
        let (team, other) = (TeamId::new(), TeamId::new());
        for kind in EventType::ALL.iter().copied().filter(|kind| *kind != EventType::SettingsChanged) {
            for (of, to_team) in [(Some(team), true), (Some(other), false), (None, false)] {
                let event = Event::of_row(row(kind.as_str(), of, json!({}))).unwrap();
                let is_of_platform = kind == EventType::UserChanged;
                assert_eq!(event.is_for(EventScope::Team(team)), to_team && !is_of_platform, "{kind} {of:?}");
                assert!(event.is_for(EventScope::Platform));
            }
            let of_platform = Event::of_row(row(kind.as_str(), Some(TeamId::PLATFORM), json!({}))).unwrap();
            assert_eq!(
                of_platform.is_for(EventScope::Team(team)),
                kind == EventType::TemplateChanged,
                "{kind}"
            );
        }
        let of_build = json!({"status": "running", "build": true});
        let of_build = Event::of_row(row("capsule.changed", Some(team), of_build)).unwrap();
        assert!(!of_build.is_for(EventScope::Team(team)) && of_build.is_for(EventScope::Platform));
    }

    #[test]
    fn every_type_has_rows_and_a_set_names_those_of_its_types() {
        for kind in EventType::ALL.iter().copied() {
            let names = EventTypes::from_iter([kind]).row_names();
            assert!(!names.is_empty(), "{kind}");
            for name in names {
                let event = Event::of_row(row(name, None, json!({"status": "succeeded"}))).unwrap();
                assert_eq!(event.kind, kind, "{name}");
            }
        }
        assert_eq!(EventTypes::all().row_names().len(), FACTS.len() + ACTIONS.len());
        assert_eq!(EventTypes::default().row_names(), [] as [&str; 0]);
    }

    #[test]
    fn a_list_of_types_is_read_and_a_wrong_name_is_said_with_the_right_ones() {
        let known = EventTypes::of_teams();
        let two = EventTypes::parse("build.changed, capsule.changed", known).unwrap();
        assert_eq!(two.iter().collect::<Vec<_>>(), [EventType::CapsuleChanged, EventType::BuildChanged]);
        for bad in ["", ",", "capsule.changed,", "capsule", "user.changed", "CAPSULE.CHANGED"] {
            let error = EventTypes::parse(bad, known).unwrap_err();
            assert_eq!(error.field, "types");
            assert!(error.wrong.contains("capsule.changed, build.changed"), "{}", error.wrong);
            assert!(!error.wrong.contains("settings.changed"), "{}", error.wrong);
        }
        assert!(EventTypes::parse("user.changed", EventTypes::all()).is_ok());
    }
}
