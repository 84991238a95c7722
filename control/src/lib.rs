//! The use cases of Wrenn: everything that somebody can ask of the platform, one file each.
//!
//! ```text
//!   REST, dashboard, CLI ─▶ use case: enter (permit, admit) ─▶ validate ─▶ do ─▶ actors, store
//!                              │                                            └─ AuditIntent ─▶ in the same transaction
//!                              └─ refused afterwards ─▶ audit log
//! ```
//!
//! A use case is a function `run(&Control, &Principal, …) -> Result<…, …Error>`. It begins with [`Control::enter`], which
//! asks the table of actions for permission and waits for the team's turn, and passes an [`AuditIntent`] on with whatever
//! it changes. An interface above it decodes, calls and encodes.
//!
//! | part | what it owns |
//! |---|---|
//! | [`enter`] | permission, admission, and the audit entry of what is refused |
//! | [`admission`] | the order and the share in which teams are served |
//! | [`authenticate`] | who a token or a key stands for |
//! | `auth`, [`account`] | passwords, keys, second factors, throttles; the content of accounts |
//! | [`mail`], [`public_url`] | mail, and the links in it |
//! | [`agent_authority`] | the authority that certifies hosts, and registration tokens |
//! | [`bootstrap`], [`setup`], [`operator`] | the administrator and the host of a new installation; the operator's commands |
//! | the other modules | one use case each |
//!
//! **Failure.** A use case whose caller leaves changes nothing that is half done: what is ordered lives in an actor, and
//! goes on there.
//!
//! [`AuditIntent`]: wrenn_domain::audit::AuditIntent

pub mod account;
pub mod account_activate;
pub mod account_activation_send;
pub mod account_create;
pub mod account_delete;
pub mod account_log_in;
pub mod account_log_out;
pub mod account_rename;
pub mod admission;
pub mod agent_authority;
pub mod api_key_create;
pub mod api_key_delete;
pub mod api_key_list;
pub mod audit_list;
mod auth;
pub mod auth_methods;
pub mod authenticate;
pub mod bootstrap;
pub mod build_cancel;
pub mod build_check;
pub mod build_create;
pub mod build_follow;
pub mod build_get;
pub mod build_list;
pub mod channel_configure;
pub mod channel_create;
pub mod channel_delete;
pub mod channel_get;
pub mod channel_list;
pub mod channel_test;
pub mod channel_update;
pub mod enter;
pub mod event_follow;
pub mod fault_inject;
pub mod host_certificate_renew;
pub mod host_create;
pub mod host_delete;
pub mod host_delete_preview;
pub mod host_drain;
pub mod host_error;
mod host_find;
pub mod host_get;
pub mod host_heartbeat;
pub mod host_list;
pub mod host_refresh;
pub mod host_register;
pub mod host_shown;
pub mod host_tag_add;
pub mod host_tag_list;
pub mod host_tag_remove;
pub mod host_token_issue;
pub mod invitation_accept;
pub mod invitation_create;
pub mod invitation_delete;
pub mod invitation_list;
mod invitation_mail;
pub mod mail;
pub mod member_add;
pub mod member_leave;
pub mod member_list;
pub mod member_remove;
pub mod member_set_role;
pub mod operator;
pub mod password_change;
pub mod password_forget;
pub mod password_reset;
pub mod preview_open;
pub mod provider;
pub mod provider_disconnect;
pub mod provider_sign_in_begin;
pub mod provider_sign_in_complete;
pub mod public_url;
pub mod read_error;
pub mod reset_link_create;
pub mod sandbox_create;
pub mod sandbox_destroy;
mod sandbox_find;
pub mod sandbox_get;
pub mod sandbox_history;
pub mod sandbox_list;
pub mod sandbox_list_all;
pub mod sandbox_metrics_get;
pub mod sandbox_pause;
pub mod sandbox_ping;
pub mod sandbox_preview_set;
pub mod sandbox_resume;
pub mod sandbox_stats;
pub mod sandbox_timeout_set;
pub mod sandbox_usage;
pub mod server_health;
pub mod server_metrics;
pub mod session_open;
pub mod settings_get;
pub mod settings_set;
pub mod setup;
pub mod team_byoc_set;
pub mod team_create;
pub mod team_delete;
pub mod team_delete_any;
mod team_end;
pub mod team_error;
pub mod team_get;
pub mod team_list;
pub mod team_list_all;
pub mod team_quota_get;
pub mod team_quota_set;
pub mod team_rename;
pub mod team_switch;
pub mod template_create;
pub mod template_delete;
pub mod template_list;
pub mod template_list_all;
pub mod token_key_rotate;
pub mod totp_begin;
pub mod totp_confirm;
pub mod totp_disable;
pub mod user_active_set;
pub mod user_admin_set;
pub mod user_get;
pub mod user_list_all;
pub mod user_search;

use std::sync::Arc;

use tokio::sync::Semaphore;
use wrenn_actors::ControlPlane;
use wrenn_base::{Clock, Rng};
use wrenn_domain::user::{SignUpPolicy, User};
use wrenn_store::Store;

use self::{
    admission::{Admission, AdmissionLoad},
    agent_authority::AgentsAccess,
    auth::{
        known_keys::KnownKeys, login_throttle::LoginThrottle, password::Passwords, rate_limit::RateLimits,
    },
    mail::{MailConfig, Mailer},
    provider::{Providers, ProvidersConfig},
    public_url::PublicUrl,
};
pub use self::{
    auth::{
        host_credentials::HostCredentials, password::PasswordError, rate_limit::TooMany,
        second_factor::CodeError,
    },
    enter::Pass,
};

/// Answers to requests for a new password that are worked on at once.
const FORGOTTEN_AT_ONCE: usize = 32;

/// Way in which the first administrator comes into being.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstAdmin {
    /// The first account administers the platform.
    FirstAccount,
    /// The account made by the set-up link does, which the server prints when it starts.
    SetUpLink,
}

/// Rules for accounts.
#[derive(Debug, Clone)]
pub struct AccountsConfig {
    /// Rule for sign-up.
    pub signup: SignUpPolicy,
    /// Way in which the first administrator comes into being.
    pub first_admin: FirstAdmin,
    /// The way to send mail. Without it every address counts as proved.
    pub mail: Option<MailConfig>,
    /// Address at which browsers reach the dashboard.
    pub public_url: PublicUrl,
    /// Identity providers by which users can sign in.
    pub providers: ProvidersConfig,
}

impl AccountsConfig {
    /// Returns the rules of a server at which nobody has an account.
    pub fn none() -> Self {
        Self {
            signup: SignUpPolicy::Closed,
            first_admin: FirstAdmin::SetUpLink,
            mail: None,
            public_url: PublicUrl::localhost(),
            providers: ProvidersConfig::default(),
        }
    }
}

/// The reason for which there are no use cases.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Passwords cannot be hashed on this machine.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The client for identity providers cannot be made.
    #[error("cannot make the client for identity providers")]
    Providers(#[source] provider::HttpError),
}

/// Handle to all use cases; clones share it.
#[derive(Debug, Clone)]
pub struct Control {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    store: Store,
    actors: ControlPlane,
    admission: Admission,
    /// Lookups of credentials, which come before the team's turn.
    lookups: Admission,
    known_keys: KnownKeys,
    passwords: Passwords,
    rate_limits: RateLimits,
    login_throttle: LoginThrottle,
    accounts: AccountsConfig,
    agents: AgentsAccess,
    mailer: Option<Mailer>,
    providers: Providers,
    /// Places for answers to requests for a new password.
    forgotten: Arc<Semaphore>,
    clock: Clock,
    rng: Rng,
}

impl Control {
    /// Makes the use cases over running actors, on a runtime of tokio. `database_connections` is the size of the pool, on which the number of
    /// requests that are carried out at once depends.
    ///
    /// # Errors
    /// See [`ControlError`].
    pub fn new(
        actors: ControlPlane,
        database_connections: u32,
        accounts: AccountsConfig,
        agents: AgentsAccess,
        clock: Clock,
        rng: Rng,
    ) -> Result<Self, ControlError> {
        let providers = Providers::new(accounts.providers.clone(), &accounts.public_url, &clock);
        Ok(Self {
            shared: Arc::new(Shared {
                store: actors.store().clone(),
                actors,
                admission: Admission::new(database_connections, clock.clone()),
                lookups: Admission::new(database_connections, clock.clone()),
                known_keys: KnownKeys::default(),
                passwords: Passwords::new(rng.clone())?,
                rate_limits: RateLimits::new(&clock, &rng),
                login_throttle: LoginThrottle::default(),
                mailer: accounts.mail.as_ref().map(|mail| Mailer::start(mail, &clock)),
                providers: providers.map_err(ControlError::Providers)?,
                accounts,
                agents,
                forgotten: Arc::new(Semaphore::new(FORGOTTEN_AT_ONCE)),
                clock,
                rng,
            }),
        })
    }

    /// Returns the running actors, for the parts of the server that serve hosts and streams.
    pub fn actors(&self) -> &ControlPlane {
        &self.shared.actors
    }

    /// Returns true if the address of a user counts as proved.
    pub fn is_verified(&self, user: &User) -> bool {
        user.is_verified || self.shared.mailer.is_none()
    }

    fn admission_load(&self) -> AdmissionLoad {
        self.shared.admission.load()
    }

    fn store(&self) -> &Store {
        &self.shared.store
    }

    fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    fn rng(&self) -> &Rng {
        &self.shared.rng
    }
}
