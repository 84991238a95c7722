//! Follows events: those of the principal's team, or those of all teams and of the platform.

use wrenn_actors::{EventStream, Grant, StreamItem};
use wrenn_domain::{
    action::Action,
    admission::EnterError,
    event::{EventScope, EventTypes, TooManyStreams},
    permission::permit,
    principal::Principal,
};
use wrenn_store::{StoreError, outbox::OutboxCursor};

use crate::Control;

/// Events that are wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Their types; `None` for all that the principal may see.
    pub types: Option<EventTypes>,
    /// The place behind which they begin; `None` for those from now on.
    pub after: Option<OutboxCursor>,
}

/// The reason for which events are not followed.
#[derive(Debug, thiserror::Error)]
pub enum FollowEventsError {
    /// The use case did not begin, or the principal may not see a type that it names.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// Too many streams are open.
    #[error(transparent)]
    TooMany(#[from] TooManyStreams),
}

/// Events that are followed. Reading them needs no permission of its own, and takes no place from other requests.
#[derive(Debug)]
pub struct FollowedEvents {
    stream: EventStream,
    grant: Grant,
}

/// Begins to follow the events of the principal's team, as far as the principal may list what they are about.
///
/// # Errors
/// See [`FollowEventsError`].
pub async fn run(
    control: &Control,
    principal: &Principal,
    wanted: Wanted,
) -> Result<FollowedEvents, FollowEventsError> {
    let pass = control.enter(principal, Action::EventFollow).await?;
    let scope = EventScope::Team(pass.team());
    let types = match wanted.types {
        Some(types) => {
            let lists = types.iter().filter_map(|kind| kind.listed_by());
            for action in lists {
                permit(principal, action).map_err(EnterError::from)?;
            }
            types
        }
        None => {
            let is_seen = |action| permit(principal, action).is_ok();
            EventTypes::of_teams().iter().filter(|kind| kind.listed_by().is_some_and(is_seen)).collect()
        }
    };
    // All of them are asked for anew, as long as the stream lasts.
    let mut actions = vec![Action::EventFollow];
    actions.extend(types.iter().filter_map(|kind| kind.listed_by()));
    follow(control, principal, scope, Wanted { types: Some(types), ..wanted }, &actions)
}

/// Begins to follow the events of all teams and of the platform, for an administrator of the platform.
///
/// # Errors
/// See [`FollowEventsError`].
pub async fn run_any(
    control: &Control,
    principal: &Principal,
    wanted: Wanted,
) -> Result<FollowedEvents, FollowEventsError> {
    let _pass = control.enter(principal, Action::AdminEventFollow).await?;
    follow(control, principal, EventScope::Platform, wanted, &[Action::AdminEventFollow])
}

fn follow(
    control: &Control,
    principal: &Principal,
    scope: EventScope,
    Wanted { types, after }: Wanted,
    actions: &[Action],
) -> Result<FollowedEvents, FollowEventsError> {
    let types = types.unwrap_or_else(EventTypes::all);
    let stream = control.actors().events_follow(principal, scope, types, after)?;
    let grant = control.actors().grant_all(*principal, actions);
    Ok(FollowedEvents { stream, grant })
}

impl FollowedEvents {
    /// Waits for the next step of the stream. If the future is dropped, nothing is lost.
    ///
    /// # Errors
    /// If the database failed; the next call tries again.
    pub async fn next(&mut self) -> Result<StreamItem, StoreError> {
        self.stream.next().await
    }

    /// Returns the place from which the client can go on later, unless an event waits for it.
    pub fn idle_at(&self) -> Option<OutboxCursor> {
        self.stream.idle_at()
    }

    /// Waits until so many events wait that the client is dropped.
    pub fn overflowed(&self) -> impl Future<Output = ()> + use<> {
        let overflowed = self.stream.overflowed();
        async move { overflowed.cancelled().await }
    }

    /// Waits until the permission to follow the events is revoked.
    pub fn revoked(&self) -> impl Future<Output = ()> + use<> {
        let grant = self.grant.clone();
        async move { grant.revoked().await }
    }
}
