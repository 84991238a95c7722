//! OpenID Connect, by discovery: the authorization code flow with PKCE.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use openidconnect::{
    AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointMaybeSet, EndpointNotSet, EndpointSet,
    IssuerUrl, Nonce, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RequestTokenError, Scope,
    TokenResponse as _,
    core::{CoreAuthenticationFlow, CoreClient, CoreProviderMetadata},
};
use tokio::sync::Mutex;
use url::Url;
use wrenn_base::Clock;

use super::{ExternalIdentity, OidcConfig, ProviderError, SignInSecrets, http::HttpClient};

/// Time for which a discovery document and its keys are kept; a provider that changes its keys keeps the old ones longer.
const KEPT: Duration = Duration::from_secs(10 * 60);

type Client = CoreClient<
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// A provider that speaks OpenID Connect.
#[derive(Debug)]
pub(super) struct Oidc {
    config: OidcConfig,
    redirect: Url,
    http: HttpClient,
    clock: Clock,
    /// The client that was made of the discovery document, and when.
    discovered: Mutex<Option<(Instant, Arc<Client>)>>,
}

/// Boxes a reason for [`ProviderError`].
fn because(
    error: impl std::error::Error + Send + Sync + 'static,
) -> Box<dyn std::error::Error + Send + Sync> {
    Box::new(error)
}

impl Oidc {
    pub(super) fn new(config: OidcConfig, redirect: Url, http: HttpClient, clock: Clock) -> Self {
        Self { config, redirect, http, clock, discovered: Mutex::default() }
    }

    /// Returns the client; reads the discovery document and the keys if they are not known, or were read long ago.
    async fn client(&self) -> Result<Arc<Client>, ProviderError> {
        let mut discovered = self.discovered.lock().await;
        if let Some((at, client)) = &*discovered
            && self.clock.since(*at) < KEPT
        {
            return Ok(client.clone());
        }
        let issuer = IssuerUrl::new(self.config.issuer.clone())
            .map_err(|error| ProviderError::Unavailable(because(error)))?;
        let send = |request| self.http.send(request);
        let metadata = CoreProviderMetadata::discover_async(issuer, &send).await;
        let metadata = metadata.map_err(|error| ProviderError::Unavailable(because(error)))?;
        let client = CoreClient::from_provider_metadata(
            metadata,
            ClientId::new(self.config.client_id.clone()),
            Some(ClientSecret::new(self.config.client_secret.0.clone())),
        )
        .set_redirect_uri(RedirectUrl::from_url(self.redirect.clone()));
        let client = Arc::new(client);
        *discovered = Some((self.clock.now(), client.clone()));
        Ok(client)
    }

    pub(super) async fn authorization(&self, secrets: &SignInSecrets) -> Result<Url, ProviderError> {
        let client = self.client().await?;
        let (state, nonce) = (secrets.state.clone(), secrets.nonce.clone());
        let verifier = PkceCodeVerifier::new(secrets.pkce_verifier.clone());
        let (url, _, _) = client
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                move || CsrfToken::new(state),
                move || Nonce::new(nonce),
            )
            .add_scope(Scope::new("email".to_owned()))
            .add_scope(Scope::new("profile".to_owned()))
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
            .url();
        Ok(url)
    }

    pub(super) async fn identity(
        &self,
        code: String,
        nonce: String,
        pkce_verifier: String,
    ) -> Result<ExternalIdentity, ProviderError> {
        let client = self.client().await?;
        let send = |request| self.http.send(request);
        let request = client
            .exchange_code(AuthorizationCode::new(code))
            .map_err(|error| ProviderError::Unavailable(because(error)))?;
        let answer =
            request.set_pkce_verifier(PkceCodeVerifier::new(pkce_verifier)).request_async(&send).await;
        let answer = answer.map_err(|error| match error {
            RequestTokenError::ServerResponse(_) => ProviderError::Refused(because(error)),
            error => ProviderError::Unavailable(because(error)),
        })?;
        let token = answer.id_token().ok_or(ProviderError::Token("there is no ID token".into()))?;
        let clock = self.clock.clone();
        let verifier = client.id_token_verifier().set_time_fn(move || clock.utc());
        let claims = token.claims(&verifier, &Nonce::new(nonce));
        let claims = claims.map_err(|error| ProviderError::Token(because(error)))?;
        let name = claims.name().and_then(|name| name.get(None)).map(|name| name.as_str().to_owned());
        Ok(ExternalIdentity {
            subject: claims.subject().as_str().to_owned(),
            email: claims.email().ok_or(ProviderError::NoEmail)?.as_str().to_owned(),
            is_verified: claims.email_verified() == Some(true),
            name,
        })
    }
}
