//! Teams of API keys that were valid lately, so that lookups of a key take the turns of its team.
//!
//! Keys that were never valid share the turns of requests without a team: a flood of made-up ones delays each other only.
//! An entry is never a permission: the database is asked all the same.

use std::collections::HashMap;

use parking_lot::Mutex;
use wrenn_domain::{api_key::KeyHash, ids::TeamId};

/// Keys whose teams are remembered; all are forgotten when there are more, and known again after one lookup each.
const MAX_KNOWN_KEYS: usize = 20_000;

/// Teams of keys that were valid lately.
#[derive(Debug, Default)]
pub(crate) struct KnownKeys {
    teams: Mutex<HashMap<KeyHash, TeamId>>,
}

impl KnownKeys {
    pub(crate) fn team_of(&self, hash: &KeyHash) -> Option<TeamId> {
        self.teams.lock().get(hash).copied()
    }

    pub(crate) fn note(&self, hash: KeyHash, team: TeamId) {
        let mut teams = self.teams.lock();
        if teams.len() >= MAX_KNOWN_KEYS && !teams.contains_key(&hash) {
            teams.clear();
        }
        teams.insert(hash, team);
    }
}
