//! The number of streams that are open on this server: of each user or key, of each team, and of all.

use std::{collections::HashMap, hash::Hash, sync::Arc};

use parking_lot::Mutex;
use uuid::Uuid;
use wrenn_domain::{
    event::{EventScope, MAX_STREAMS, MAX_STREAMS_OF_PRINCIPAL, MAX_STREAMS_OF_TEAM, TooManyStreams},
    ids::TeamId,
    principal::Principal,
};

/// Numbers of open streams; clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Places {
    counts: Arc<Mutex<Counts>>,
}

#[derive(Debug, Default)]
struct Counts {
    all: u32,
    principals: HashMap<Uuid, u32>,
    teams: HashMap<TeamId, u32>,
}

/// Place of a stream, which is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Places,
    principal: Option<Uuid>,
    team: Option<TeamId>,
}

impl Places {
    /// Takes a place for a stream of `principal`.
    ///
    /// # Errors
    /// See [`TooManyStreams`].
    pub(crate) fn take(&self, principal: &Principal, scope: EventScope) -> Result<Place, TooManyStreams> {
        let principal = principal.uuid();
        let team = match scope {
            EventScope::Team(team) => Some(team),
            EventScope::Platform => None,
        };
        let mut counts = self.counts.lock();
        if is_full(&counts.principals, principal, MAX_STREAMS_OF_PRINCIPAL) {
            return Err(TooManyStreams::OfPrincipal);
        }
        if is_full(&counts.teams, team, MAX_STREAMS_OF_TEAM) {
            return Err(TooManyStreams::OfTeam);
        }
        if counts.all >= MAX_STREAMS {
            return Err(TooManyStreams::OfServer);
        }
        counts.all += 1;
        if let Some(principal) = principal {
            *counts.principals.entry(principal).or_default() += 1;
        }
        if let Some(team) = team {
            *counts.teams.entry(team).or_default() += 1;
        }
        Ok(Place { places: self.clone(), principal, team })
    }
}

fn is_full<K: Eq + Hash>(counts: &HashMap<K, u32>, key: Option<K>, most: u32) -> bool {
    key.and_then(|key| counts.get(&key)).is_some_and(|count| *count >= most)
}

/// Counts one less; a count of nothing is not kept.
fn release<K: Eq + Hash>(counts: &mut HashMap<K, u32>, key: Option<K>) {
    let Some(key) = key else { return };
    if let Some(count) = counts.get_mut(&key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&key);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.places.counts.lock();
        counts.all -= 1;
        release(&mut counts.principals, self.principal);
        release(&mut counts.teams, self.team);
    }
}

#[cfg(test)]
mod tests {
    use wrenn_domain::{
        ids::{ApiKeyId, UserId},
        scope::Scopes,
    };

    use super::*;

    fn key(team: TeamId) -> Principal {
        Principal::ApiKey { id: ApiKeyId::new(), team, created_by: UserId::new(), scopes: Scopes::DEFAULT }
    }

    #[test]
    fn a_principal_a_team_and_the_server_have_so_many_places_and_get_them_back() {
        let places = Places::default();
        let team = TeamId::new();
        let (scope, first) = (EventScope::Team(team), key(team));
        let take = |principal: &Principal, scope| places.take(principal, scope);
        let mut held: Vec<Place> =
            (0..MAX_STREAMS_OF_PRINCIPAL).map(|_| take(&first, scope).unwrap()).collect();
        assert_eq!(take(&first, scope).unwrap_err(), TooManyStreams::OfPrincipal);
        held.extend(
            (MAX_STREAMS_OF_PRINCIPAL..MAX_STREAMS_OF_TEAM).map(|_| take(&key(team), scope).unwrap()),
        );
        assert_eq!(take(&key(team), scope).unwrap_err(), TooManyStreams::OfTeam);
        let other = TeamId::new();
        held.extend((MAX_STREAMS_OF_TEAM..MAX_STREAMS).map(|number| {
            // The administrators' streams are those of no team.
            let scope = if number % 2 == 0 { EventScope::Platform } else { EventScope::Team(TeamId::new()) };
            take(&key(other), scope).unwrap()
        }));
        assert_eq!(take(&key(other), EventScope::Team(other)).unwrap_err(), TooManyStreams::OfServer);
        held.swap_remove(0);
        drop(take(&first, scope).unwrap());
        drop(held);
        let counts = places.counts.lock();
        assert!(counts.all == 0 && counts.principals.is_empty() && counts.teams.is_empty(), "{counts:?}");
    }
}
