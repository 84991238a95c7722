//! Authentication: the principal for which a token or an API key stands, as the database sees it at this moment.

use std::collections::HashMap;

use parking_lot::Mutex;
use wrenn_domain::{
    api_key::KeyHash,
    ids::{TeamId, UserId},
    principal::Principal,
};
use wrenn_store::StoreError;

use crate::{Control, admission::Overload, auth::api_key_text};

/// Keys whose teams are remembered; all are forgotten when there are more, and known again after one lookup each.
const MAX_KNOWN_KEYS: usize = 20_000;

/// The reason for which credentials are not accepted.
#[derive(Debug, thiserror::Error)]
pub enum AuthenticateError {
    /// The token names an account that is gone.
    #[error("the token is not valid")]
    Token,
    /// There is no such key.
    #[error("the API key is not valid")]
    ApiKey,
    /// The account was switched off.
    #[error("the account is disabled")]
    AccountDisabled,
    /// The user is not a member of the team.
    #[error("you are not a member of this team")]
    NoTeam,
    /// There is too much to do.
    #[error(transparent)]
    Overload(#[from] Overload),
    /// The database failed.
    #[error("the credentials could not be looked up")]
    Store(#[from] StoreError),
}

/// Returns the principal of a user with a valid token for a team.
///
/// # Errors
/// See [`AuthenticateError`].
pub async fn user(control: &Control, user: UserId, team: TeamId) -> Result<Principal, AuthenticateError> {
    // A token of an account that is gone is as good as one that never was.
    let slot = control.shared.lookups.admit(Some(team)).await?;
    let found = control.store().user_find_with_role(user, team).await?;
    drop(slot);
    let (user, role) = found.ok_or(AuthenticateError::Token)?;
    if !user.is_active {
        return Err(AuthenticateError::AccountDisabled);
    }
    let role = role.ok_or(AuthenticateError::NoTeam)?;
    Ok(Principal::User { id: user.id, team, role, is_admin: user.is_admin })
}

/// Returns the principal of a program with an API key.
///
/// # Errors
/// See [`AuthenticateError`].
pub async fn api_key(control: &Control, key: &str) -> Result<Principal, AuthenticateError> {
    if !key.starts_with(api_key_text::PREFIX) {
        return Err(AuthenticateError::ApiKey);
    }
    let hash: KeyHash = api_key_text::hash(key);
    let known = control.shared.known_keys.team_of(&hash);
    let slot = control.shared.lookups.admit(known).await?;
    let identity = control.store().api_key_authenticate(&hash).await?.ok_or(AuthenticateError::ApiKey)?;
    drop(slot);
    control.shared.known_keys.note(hash, identity.team_id);
    if !identity.creator_is_active {
        return Err(AuthenticateError::AccountDisabled);
    }
    Ok(Principal::ApiKey { id: identity.id, team: identity.team_id, created_by: identity.created_by })
}

/// The teams of keys that were valid lately, so that lookups of a key take the turns of its team. Keys that were never valid
/// share the turns of requests without a team: a flood of made-up ones delays each other only. Never a permission: the
/// database is asked all the same.
#[derive(Debug, Default)]
pub(crate) struct KnownKeys {
    teams: Mutex<HashMap<KeyHash, TeamId>>,
}

impl KnownKeys {
    fn team_of(&self, hash: &KeyHash) -> Option<TeamId> {
        self.teams.lock().get(hash).copied()
    }

    fn note(&self, hash: KeyHash, team: TeamId) {
        let mut teams = self.teams.lock();
        if teams.len() >= MAX_KNOWN_KEYS && !teams.contains_key(&hash) {
            teams.clear();
        }
        teams.insert(hash, team);
    }
}
