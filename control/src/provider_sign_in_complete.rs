//! Completes a sign-in with an identity provider, when the browser comes back.
//!
//! ```text
//!   state ─▶ sign-in under way, taken once ─▶ code redeemed ─▶ identity
//!     of a user who connects ─────────▶ linked to that account
//!     linked ─────────────────────────▶ signed in
//!     address of an account, both verified ─▶ linked, signed in
//!     new address, verified, sign-up open ──▶ account made, linked, signed in
//! ```
//!
//! An account is linked by its address only if the provider and this installation both know that the address was proved:
//! else whoever registers a foreign address, here or there, would get into the account of its owner.

use wrenn_domain::{
    action::Action,
    admission::EnterError,
    audit::AuditIntent,
    ids::TeamId,
    limits,
    principal::Principal,
    user::{AdminRule, ConnectingUser, NewIdentity, SignUpPolicy, User},
};
use wrenn_store::{StoreError, identities::LinkIdentityError, users::CreateAccountError};

use crate::{
    Control, FirstAdmin,
    account::{self, AccountError, Terms},
    auth::secret,
    provider::{ExternalIdentity, ProviderError},
};

/// The reason for which a sign-in was not completed.
#[derive(Debug, thiserror::Error)]
pub enum CompleteSignInError {
    /// The use case did not begin.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// There is no such provider.
    #[error("there is no identity provider `{0}`")]
    NoProvider(String),
    /// There is no sign-in under way with this state: it was completed, or took too long, or began in another browser.
    #[error("this sign-in is over; begin again")]
    NoSignIn,
    /// The provider gives no identity.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The provider does not say that the address was proved.
    #[error(
        "the identity provider has not verified the address {0}; verify it there, or sign in with a password"
    )]
    NotVerified(String),
    /// There is an account with the address, which was not proved here.
    #[error(
        "there is an account with the address {0}; sign in with its password and connect the provider then"
    )]
    SignInFirst(String),
    /// The identity is linked to another account, or the account to another identity of the provider.
    #[error(
        "the account at the identity provider is connected to another account, or yours to another one there"
    )]
    Taken,
    /// Sign-up is closed, or takes an invitation.
    #[error(
        "there is no account for {0}; ask an administrator of this installation, or a team that invites you"
    )]
    Closed(String),
    /// The account was switched off.
    #[error("the account is disabled")]
    AccountDisabled,
    /// The account was not made.
    #[error(transparent)]
    Account(AccountError),
    /// The database failed.
    #[error("the sign-in could not be completed")]
    Store(#[from] StoreError),
}

/// The end of a sign-in.
#[derive(Debug)]
pub enum CompletedSignIn {
    /// The user is signed in, and acts for this team.
    SignedIn(User, Option<TeamId>),
    /// The provider is connected to the account of the user who began.
    Connected,
}

/// Completes the sign-in with this state by the code that the provider gave to the browser.
///
/// # Errors
/// See [`CompleteSignInError`].
pub async fn run(
    control: &Control,
    provider: &str,
    state: &str,
    code: String,
) -> Result<CompletedSignIn, CompleteSignInError> {
    let pass = control.enter(&Principal::Anonymous, Action::ProviderCallback).await?;
    if !control.shared.providers.has(provider) {
        return Err(CompleteSignInError::NoProvider(limits::echo(provider)));
    }
    let taken = control.store().provider_sign_in_take(&secret::hash(state), provider).await?;
    let sign_in = taken.ok_or(CompleteSignInError::NoSignIn)?;
    // The provider may be slow.
    drop(pass);
    let identity =
        control.shared.providers.identity(provider, code, sign_in.nonce, sign_in.pkce_verifier).await;
    let identity = identity.ok_or(CompleteSignInError::NoSignIn)??;
    let new = NewIdentity {
        provider: provider.to_owned(),
        subject: identity.subject.clone(),
        email: limits::echo(&identity.email),
    };
    match sign_in.user {
        Some(user) => {
            link(control, user, &new).await?;
            Ok(CompletedSignIn::Connected)
        }
        None => {
            let user = find_or_create(control, identity, new).await?;
            if !user.is_active {
                return Err(CompleteSignInError::AccountDisabled);
            }
            let team = control.store().team_default_of_user(user.id).await?;
            Ok(CompletedSignIn::SignedIn(user, team))
        }
    }
}

async fn link(
    control: &Control,
    user: ConnectingUser,
    identity: &NewIdentity,
) -> Result<(), CompleteSignInError> {
    let id = user.id;
    if control.store().identity_user(&identity.provider, &identity.subject).await? == Some(id) {
        return Ok(());
    }
    let principal = Principal::User { id, membership: None, is_admin: false, epoch: user.epoch };
    let intent = AuditIntent::new(principal, Action::ProviderCallback).of(id);
    let intent = intent.with("provider", &identity.provider);
    control.store().identity_link(user, identity, &intent).await.map_err(|error| match error {
        LinkIdentityError::Taken => CompleteSignInError::Taken,
        LinkIdentityError::Ended => CompleteSignInError::NoSignIn,
        LinkIdentityError::Store(error) => error.into(),
    })?;
    tracing::info!(user_id = %id, provider = %identity.provider, "identity provider connected");
    Ok(())
}

/// Returns the account of an identity: the one that is linked, the one with its address, or a new one.
async fn find_or_create(
    control: &Control,
    identity: ExternalIdentity,
    new: NewIdentity,
) -> Result<User, CompleteSignInError> {
    let store = control.store();
    if let Some(id) = store.identity_user(&new.provider, &new.subject).await? {
        let found = store.user_find_with_role(id, None).await?;
        // An account that was deleted a moment ago is none.
        return found.map(|(user, _)| user).ok_or(CompleteSignInError::NoSignIn);
    }
    let shown = || limits::echo(&identity.email);
    if !identity.is_verified || !account::is_email(&identity.email) {
        return Err(CompleteSignInError::NotVerified(shown()));
    }
    if let Some((user, _)) = store.user_find_by_email(&identity.email).await? {
        // A second factor is not got around by a provider that was never connected.
        if !control.is_verified(&user) || user.has_totp {
            return Err(CompleteSignInError::SignInFirst(shown()));
        }
        if !user.is_active {
            return Err(CompleteSignInError::AccountDisabled);
        }
        let connecting = ConnectingUser { id: user.id, epoch: user.token_epoch };
        link(control, connecting, &new).await?;
        return Ok(user);
    }
    let accounts = &control.shared.accounts;
    if accounts.signup != SignUpPolicy::Open {
        return Err(CompleteSignInError::Closed(shown()));
    }
    let admin = match accounts.first_admin {
        FirstAdmin::FirstAccount => AdminRule::FirstAccount,
        FirstAdmin::SetUpLink => AdminRule::Never,
    };
    let terms = Terms { admin, invitation: None, is_verified: true };
    let name = display_name(identity.name.as_deref(), &identity.email);
    let account = account::of_identity(control.rng(), &identity.email, &name, new.clone(), terms);
    let pass = control.enter(&Principal::Anonymous, Action::SignUp).await?;
    let intent = pass.intent().with("provider", &new.provider);
    match store.account_create(account, &intent).await {
        Ok((user, _)) => {
            tracing::info!(user_id = %user.id, provider = %new.provider, "account created by identity provider");
            Ok(user)
        }
        // Two browsers of the same person came back at once, or the person has just signed up here.
        Err(CreateAccountError::EmailTaken | CreateAccountError::IdentityTaken) => {
            match store.identity_user(&new.provider, &new.subject).await? {
                Some(id) => {
                    let found = store.user_find_with_role(id, None).await?;
                    found.map(|(user, _)| user).ok_or(CompleteSignInError::NoSignIn)
                }
                None => Err(CompleteSignInError::SignInFirst(shown())),
            }
        }
        Err(error) => {
            let refused = control.audited(intent, Err::<User, _>(AccountError::from(error))).await;
            refused.map_err(CompleteSignInError::Account)
        }
    }
}

/// Returns the provider's name for people, else what stands before the `@`; without control characters, and as long as a
/// name may be.
fn display_name(name: Option<&str>, email: &str) -> String {
    let before_at = email.split('@').next().unwrap_or_default();
    let clean = |text: &str| -> String {
        let printable = text.chars().filter(|c| !c.is_control());
        printable.take(*limits::NAME_CHARACTERS.end()).collect::<String>().trim().to_owned()
    };
    let name = name.map(clean).filter(|name| !name.is_empty());
    name.unwrap_or_else(|| clean(before_at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_the_providers_or_what_stands_before_the_at() {
        assert_eq!(display_name(Some("Ada Lovelace"), "ada@example.org"), "Ada Lovelace");
        assert_eq!(display_name(Some(" \u{0} "), "ada@example.org"), "ada");
        assert_eq!(display_name(None, "ada.l@example.org"), "ada.l");
        assert_eq!(display_name(Some(&"ä".repeat(300)), "a@b").chars().count(), 100);
    }
}
