//! Sends a browser to an identity provider: to sign in there, or to connect the provider to an account.

use std::net::IpAddr;

use url::Url;
use wrenn_domain::{
    action::Action,
    admission::EnterError,
    limits,
    permission::Denial,
    principal::Principal,
    user::{ConnectingUser, ProviderSignIn},
};
use wrenn_store::StoreError;

use crate::{
    Control,
    auth::{
        rate_limit::{TooMany, network},
        secret,
    },
    provider::{ProviderError, SignInSecrets},
};

/// Time within which a browser must come back, in seconds.
pub const TTL_SEC: i32 = 600;

/// The reason for which no sign-in was begun.
#[derive(Debug, thiserror::Error)]
pub enum BeginSignInError {
    /// The use case did not begin.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// There is no such provider.
    #[error("there is no identity provider `{0}`")]
    NoProvider(String),
    /// The address of the account is not proved, so it may be somebody else's, whose account it would become.
    #[error("confirm your email address first: open the link that was sent to it")]
    NotVerified,
    /// The network has begun too many sign-ins.
    #[error(transparent)]
    TooMany(#[from] TooMany),
    /// The provider is not available.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The database failed.
    #[error("the sign-in could not be stored")]
    Store(#[from] StoreError),
}

/// A sign-in that was begun.
pub struct BegunSignIn {
    /// Address to which the browser is sent.
    pub url: Url,
    /// Value that comes back with the browser, which must be the one that began the sign-in: it keeps this value, too.
    pub state: String,
}

/// Begins a sign-in with a provider, for a client at `address`.
///
/// # Errors
/// See [`BeginSignInError`].
pub async fn run(
    control: &Control,
    address: Option<IpAddr>,
    provider: &str,
) -> Result<BegunSignIn, BeginSignInError> {
    control.shared.rate_limits.links.take(network(address))?;
    // The provider may be slow, and its answer takes no place from others.
    drop(control.enter(&Principal::Anonymous, Action::ProviderSignIn).await?);
    begin(control, provider, None).await
}

/// Begins to connect a provider to the account of the signed-in user.
///
/// # Errors
/// See [`BeginSignInError`].
pub async fn run_connect(
    control: &Control,
    principal: &Principal,
    provider: &str,
) -> Result<BegunSignIn, BeginSignInError> {
    let pass = control.enter(principal, Action::ProviderConnect).await?;
    let Principal::User { id, epoch, .. } = *principal else {
        return Err(EnterError::Denied(Denial::NotSignedIn).into());
    };
    let found = control.store().user_find_with_role(id, None).await?;
    let (user, _) = found.ok_or(EnterError::Denied(Denial::NotSignedIn))?;
    if !control.is_verified(&user) {
        return Err(BeginSignInError::NotVerified);
    }
    drop(pass);
    begin(control, provider, Some(ConnectingUser { id, epoch })).await
}

async fn begin(
    control: &Control,
    provider: &str,
    user: Option<ConnectingUser>,
) -> Result<BegunSignIn, BeginSignInError> {
    let secrets = SignInSecrets::generate(control.rng());
    let url = control.shared.providers.authorization(provider, &secrets).await;
    let url = url.ok_or_else(|| BeginSignInError::NoProvider(limits::echo(provider)))??;
    let SignInSecrets { state, nonce, pkce_verifier } = secrets;
    let sign_in = ProviderSignIn { provider: provider.to_owned(), nonce, pkce_verifier, user };
    control.store().provider_sign_in_begin(&secret::hash(&state), &sign_in, TTL_SEC).await?;
    Ok(BegunSignIn { url, state })
}
