//! Signs a person up: an account and its first team.

use std::net::IpAddr;

use wrenn_domain::{
    action::Action,
    admission::EnterError,
    ids::TeamId,
    principal::Principal,
    user::{AdminRule, SignUpPolicy, User},
};

use crate::{
    Control, FirstAdmin,
    account::{self, AccountError, Terms},
    account_activation_send,
    auth::{
        rate_limit::{TooMany, network},
        secret,
    },
};

/// The reason for which a person was not signed up.
#[derive(Debug, thiserror::Error)]
pub enum SignUpError {
    /// The use case did not begin.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// The address has asked for too many passwords to be hashed.
    #[error(transparent)]
    TooMany(#[from] TooMany),
    /// Sign-up is closed.
    #[error("sign-up is closed; ask an administrator of this installation for an account")]
    Closed,
    /// Only people with an invitation can sign up.
    #[error("sign-up takes an invitation; ask a member of a team for one")]
    InvitationNeeded,
    /// The account was not made.
    #[error(transparent)]
    Account(#[from] AccountError),
}

/// A person who wants an account.
pub struct SignUp {
    /// Address to sign in with.
    pub email: String,
    /// Password to sign in with.
    pub password: String,
    /// Name for people.
    pub name: String,
    /// Token of an invitation to a team.
    pub invitation_token: Option<String>,
    /// Token of the set-up link.
    pub setup_token: Option<String>,
}

/// Makes an account and its first team, for a client at `address`. With mail, the account is sent a link that proves its
/// address, unless its invitation has proved that.
///
/// # Errors
/// See [`SignUpError`].
pub async fn run(
    control: &Control,
    address: Option<IpAddr>,
    SignUp { email, password, name, invitation_token, setup_token }: SignUp,
) -> Result<(User, TeamId), SignUpError> {
    let accounts = &control.shared.accounts;
    let admin = match (&setup_token, accounts.first_admin) {
        (Some(token), _) => AdminRule::SetUpToken(secret::hash(token)),
        (None, FirstAdmin::FirstAccount) => AdminRule::FirstAccount,
        (None, FirstAdmin::SetUpLink) => AdminRule::Never,
    };
    match accounts.signup {
        _ if setup_token.is_some() => {}
        SignUpPolicy::Closed => return Err(SignUpError::Closed),
        SignUpPolicy::Invite if invitation_token.is_none() => return Err(SignUpError::InvitationNeeded),
        SignUpPolicy::Open | SignUpPolicy::Invite => {}
    }
    let terms = Terms {
        admin,
        is_verified: accounts.mail.is_none() || invitation_token.is_some(),
        invitation: invitation_token.map(|token| secret::hash(&token)),
    };
    control.shared.rate_limits.hashes.take(network(address))?;
    // Before a place is taken: hashing would keep others from it.
    let passwords = &control.shared.passwords;
    let account = account::prepare(passwords, control.rng(), &email, password, &name, terms).await?;
    let pass = control.enter(&Principal::Anonymous, Action::SignUp).await?;
    let intent = pass.intent();
    let created = control.store().account_create(account, &intent).await.map_err(AccountError::from);
    let (user, team_id) = control.audited(intent, created).await?;
    tracing::info!(user_id = %user.id, %team_id, is_admin = user.is_admin, "account created");
    if !user.is_verified {
        account_activation_send::send(control, &user).await;
    }
    Ok((user, team_id))
}
