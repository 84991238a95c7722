//! Authentication: the principal for which a token or an API key stands, as the database sees it at this moment.

use std::time::Duration;

use wrenn_domain::{
    admission::Overload,
    api_key::KeyHash,
    ids::{HostId, TeamId, UserId},
    principal::{Membership, Principal},
    user::User,
};
use wrenn_pki::Fingerprint;
use wrenn_store::{StoreError, host_certificates::CertificateState};

use crate::{
    Control,
    auth::{api_key_text, secret},
};

/// The reason for which credentials are not accepted.
#[derive(Debug, thiserror::Error)]
pub enum AuthenticateError {
    /// The token names an account that is gone.
    #[error("the token is not valid")]
    Token,
    /// The user signed out, or changed the password, after the token was made.
    #[error("the session has ended; sign in again")]
    SessionEnded,
    /// There is no such key, or it has ended.
    #[error("the API key is not valid")]
    ApiKey,
    /// There is no such host token, or it has ended.
    #[error("the host token is not valid, or no longer")]
    HostToken,
    /// The account was switched off.
    #[error("the account is disabled")]
    AccountDisabled,
    /// The principal does not belong to the team that the path names.
    #[error("there is no team {0}")]
    NotInTeam(TeamId),
    /// There is too much to do.
    #[error(transparent)]
    Overload(#[from] Overload),
    /// The database failed.
    #[error("the credentials could not be looked up")]
    Store(#[from] StoreError),
}

/// The team for which a principal acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActingTeam {
    /// The team of the credentials.
    OfCredentials,
    /// The team that the path names; to principals that do not belong to it, it does not exist.
    Named(TeamId),
}

/// Content of a token whose signature and time are valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenIdentity {
    /// The user.
    pub user: UserId,
    /// The team for which the token was made; `None` for a user without a team.
    pub team: Option<TeamId>,
    /// The user's epoch when the token was made.
    pub epoch: i64,
}

/// Returns the principal of a user with a valid token.
///
/// A user who is not, or no longer, a member of the token's team acts for no team.
///
/// # Errors
/// See [`AuthenticateError`].
pub async fn user(
    control: &Control,
    identity: TokenIdentity,
    acting: ActingTeam,
) -> Result<Principal, AuthenticateError> {
    let team = match acting {
        ActingTeam::OfCredentials => identity.team,
        ActingTeam::Named(team) => Some(team),
    };
    let slot = control.shared.lookups.admit(identity.team).await?;
    let found = control.store().user_find_with_role(identity.user, team).await?;
    drop(slot);
    // A token of an account that is gone is as good as one that never was.
    let (user, role) = found.ok_or(AuthenticateError::Token)?;
    if !user.is_active {
        return Err(AuthenticateError::AccountDisabled);
    }
    if user.token_epoch != identity.epoch {
        return Err(AuthenticateError::SessionEnded);
    }
    let membership = team.zip(role).map(|(team, role)| Membership { team, role });
    match (acting, membership) {
        (ActingTeam::Named(team), None) => Err(AuthenticateError::NotInTeam(team)),
        (_, membership) => {
            let User { id, is_admin, token_epoch: epoch, .. } = user;
            Ok(Principal::User { id, membership, is_admin, epoch })
        }
    }
}

/// Returns the principal of a program with an API key.
///
/// # Errors
/// See [`AuthenticateError`].
pub async fn api_key(
    control: &Control,
    key: &str,
    acting: ActingTeam,
) -> Result<Principal, AuthenticateError> {
    if !key.starts_with(api_key_text::PREFIX) {
        return Err(AuthenticateError::ApiKey);
    }
    let hash: KeyHash = secret::hash(key);
    let known = control.shared.known_keys.team_of(&hash);
    let slot = control.shared.lookups.admit(known).await?;
    let identity = control.store().api_key_authenticate(&hash).await?.ok_or(AuthenticateError::ApiKey)?;
    drop(slot);
    control.shared.known_keys.note(hash, identity.team_id);
    if !identity.creator_is_active {
        return Err(AuthenticateError::AccountDisabled);
    }
    match acting {
        ActingTeam::Named(team) if team != identity.team_id => Err(AuthenticateError::NotInTeam(team)),
        _ => Ok(Principal::ApiKey {
            id: identity.id,
            team: identity.team_id,
            created_by: identity.created_by,
            scopes: identity.scopes,
        }),
    }
}

/// Returns the principal of a host with its token, and how long the token is still valid.
///
/// # Errors
/// See [`AuthenticateError`].
pub async fn host(control: &Control, token: &str) -> Result<(Principal, Duration), AuthenticateError> {
    let slot = control.shared.lookups.admit(None).await?;
    let found = control.store().host_token_verify(&secret::hash(token)).await?;
    drop(slot);
    let (id, left) = found.ok_or(AuthenticateError::HostToken)?;
    Ok((Principal::Host { id }, left))
}

/// Returns the state of the certificate that a host shows.
///
/// # Errors
/// If the database failed, or there is too much to do.
pub async fn host_certificate(
    control: &Control,
    host: HostId,
    Fingerprint(certificate): Fingerprint,
) -> Result<CertificateState, AuthenticateError> {
    let _slot = control.shared.lookups.admit(None).await?;
    Ok(control.store().host_certificate_find(&certificate, host).await?)
}
