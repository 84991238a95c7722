//! Identity providers: how a user's browser is sent there, and who came back.
//!
//! ```text
//!   authorization: state, nonce, PKCE ─▶ address of the provider ─▶ browser ─▶ provider
//!   identity:      code, verifier     ─▶ token of the provider   ─▶ checked claims ─▶ ExternalIdentity
//! ```
//!
//! [`oidc`] is OpenID Connect, by discovery; [`github`] is GitHub, which has OAuth 2.0 only. A provider is spoken to with
//! time limits, without redirects, and with answers of bounded size. What it says is believed only over its own
//! connection: an ID token must be signed by the provider, for us, for this sign-in, and not be over.

mod github;
mod http;
mod oidc;

use std::collections::BTreeMap;

use url::Url;
use wrenn_base::{Clock, Rng};

pub use self::http::HttpError;
use self::{github::GitHub, http::HttpClient, oidc::Oidc};
use crate::{auth::secret, public_url::PublicUrl};

/// Name of GitHub among the providers.
pub const GITHUB: &str = "github";
/// Name of a provider that speaks OpenID Connect, unless another one is configured.
pub const OIDC: &str = "oidc";

/// A provider that speaks OpenID Connect.
#[derive(Debug, Clone)]
pub struct OidcConfig {
    /// Name of the provider in addresses.
    pub name: String,
    /// Address of the issuer, below which its discovery document is.
    pub issuer: String,
    /// Id under which the provider knows this installation.
    pub client_id: String,
    /// Secret that belongs to the id.
    pub client_secret: ClientSecret,
}

/// GitHub, or an installation of GitHub Enterprise.
#[derive(Debug, Clone)]
pub struct GitHubConfig {
    /// Id under which GitHub knows this installation.
    pub client_id: String,
    /// Secret that belongs to the id.
    pub client_secret: ClientSecret,
    /// Address of the pages: `https://github.com`.
    pub web_url: Url,
    /// Address of the interface: `https://api.github.com`.
    pub api_url: Url,
}

/// Secret of this installation at a provider, which is not printed.
#[derive(Clone)]
pub struct ClientSecret(pub String);

impl std::fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClientSecret")
    }
}

/// Providers of an installation.
#[derive(Debug, Clone, Default)]
pub struct ProvidersConfig {
    /// A provider that speaks OpenID Connect.
    pub oidc: Option<OidcConfig>,
    /// GitHub.
    pub github: Option<GitHubConfig>,
}

/// An account at a provider, as the provider describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ExternalIdentity {
    /// Id of the account at the provider, which never changes.
    pub(crate) subject: String,
    /// Address of the account.
    pub(crate) email: String,
    /// True if the provider says that the address was proved.
    pub(crate) is_verified: bool,
    /// Name for people, if the provider has one.
    pub(crate) name: Option<String>,
}

/// Values of one sign-in that only this installation knows.
#[derive(Debug, Clone)]
pub(crate) struct SignInSecrets {
    /// Comes back with the browser.
    pub(crate) state: String,
    /// Comes back in the ID token.
    pub(crate) nonce: String,
    /// Proves to the provider that the code is redeemed by whoever began the sign-in.
    pub(crate) pkce_verifier: String,
}

impl SignInSecrets {
    pub(crate) fn generate(rng: &Rng) -> Self {
        Self { state: secret::token(rng), nonce: secret::token(rng), pkce_verifier: secret::token(rng) }
    }
}

/// The reason for which a provider gives no identity.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// The provider could not be reached, or did not answer as a provider does.
    #[error("the identity provider does not answer as expected")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The provider does not accept the code.
    #[error("the identity provider refused the sign-in; begin again")]
    Refused(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The ID token is not what it must be.
    #[error("the identity provider's token is not valid; begin again")]
    Token(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The account at the provider has no address.
    #[error("the account at the identity provider has no email address")]
    NoEmail,
}

/// Providers by name.
#[derive(Debug)]
pub(crate) struct Providers {
    by_name: BTreeMap<String, Provider>,
}

#[derive(Debug)]
enum Provider {
    Oidc(Box<Oidc>),
    GitHub(Box<GitHub>),
}

impl Providers {
    /// Makes clients of the configured providers, which are reached when somebody signs in.
    pub(crate) fn new(
        config: ProvidersConfig,
        public_url: &PublicUrl,
        clock: &Clock,
    ) -> Result<Self, HttpError> {
        let mut by_name = BTreeMap::new();
        let ProvidersConfig { oidc, github } = config;
        if oidc.is_none() && github.is_none() {
            return Ok(Self { by_name });
        }
        let http = HttpClient::new()?;
        let callback = |name: &str| public_url.address_of(&["v1", "auth", "oauth", name, "callback"]);
        if let Some(config) = oidc {
            let redirect = callback(&config.name);
            let name = config.name.clone();
            let oidc = Oidc::new(config, redirect, http.clone(), clock.clone());
            by_name.insert(name, Provider::Oidc(Box::new(oidc)));
        }
        if let Some(config) = github {
            let redirect = callback(GITHUB);
            let github = GitHub::new(config, redirect, http);
            by_name.insert(GITHUB.to_owned(), Provider::GitHub(Box::new(github)));
        }
        Ok(Self { by_name })
    }

    /// Returns the names of the providers.
    pub(crate) fn names(&self) -> Vec<String> {
        self.by_name.keys().cloned().collect()
    }

    /// Returns true if there is a provider of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// Returns the address at which a browser begins a sign-in; `None` if there is no such provider.
    pub(crate) async fn authorization(
        &self,
        name: &str,
        secrets: &SignInSecrets,
    ) -> Option<Result<Url, ProviderError>> {
        Some(match self.by_name.get(name)? {
            Provider::Oidc(oidc) => oidc.authorization(secrets).await,
            Provider::GitHub(github) => Ok(github.authorization(secrets)),
        })
    }

    /// Redeems a code; `None` if there is no such provider.
    pub(crate) async fn identity(
        &self,
        name: &str,
        code: String,
        nonce: String,
        pkce_verifier: String,
    ) -> Option<Result<ExternalIdentity, ProviderError>> {
        Some(match self.by_name.get(name)? {
            Provider::Oidc(oidc) => oidc.identity(code, nonce, pkce_verifier).await,
            Provider::GitHub(github) => github.identity(code, pkce_verifier).await,
        })
    }
}
