//! GitHub: OAuth 2.0, and the account's addresses over its interface.

use oauth2::{
    AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointNotSet, EndpointSet, HttpRequest,
    PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RequestTokenError, Scope, TokenResponse as _, TokenUrl,
    basic::BasicClient,
};
use serde::{Deserialize, de::DeserializeOwned};
use url::Url;

use super::{ExternalIdentity, GitHubConfig, ProviderError, SignInSecrets, http::HttpClient};

type Client = BasicClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

/// GitHub, or an installation of GitHub Enterprise.
#[derive(Debug)]
pub(super) struct GitHub {
    client: Client,
    api_url: Url,
    http: HttpClient,
}

/// The account.
#[derive(Deserialize)]
struct Account {
    id: u64,
    login: String,
    name: Option<String>,
}

/// An address of the account.
#[derive(Deserialize)]
struct Address {
    email: String,
    primary: bool,
    verified: bool,
}

/// Appends a path to an address.
fn below(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}/{path}", base.path().trim_end_matches('/')));
    url
}

impl GitHub {
    pub(super) fn new(config: GitHubConfig, redirect: Url, http: HttpClient) -> Self {
        let client = BasicClient::new(ClientId::new(config.client_id))
            .set_client_secret(ClientSecret::new(config.client_secret.0))
            .set_auth_uri(AuthUrl::from_url(below(&config.web_url, "login/oauth/authorize")))
            .set_token_uri(TokenUrl::from_url(below(&config.web_url, "login/oauth/access_token")))
            .set_redirect_uri(RedirectUrl::from_url(redirect));
        Self { client, api_url: config.api_url, http }
    }

    pub(super) fn authorization(&self, secrets: &SignInSecrets) -> Url {
        let state = secrets.state.clone();
        let verifier = PkceCodeVerifier::new(secrets.pkce_verifier.clone());
        let (url, _) = self
            .client
            .authorize_url(move || CsrfToken::new(state))
            .add_scope(Scope::new("read:user".to_owned()))
            .add_scope(Scope::new("user:email".to_owned()))
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
            .url();
        url
    }

    pub(super) async fn identity(
        &self,
        code: String,
        pkce_verifier: String,
    ) -> Result<ExternalIdentity, ProviderError> {
        let send = |request| self.http.send(request);
        let answer = self
            .client
            .exchange_code(AuthorizationCode::new(code))
            .set_pkce_verifier(PkceCodeVerifier::new(pkce_verifier))
            .request_async(&send)
            .await;
        let answer = answer.map_err(|error| match error {
            RequestTokenError::ServerResponse(_) => ProviderError::Refused(Box::new(error)),
            // GitHub answers 200 with an error in the body.
            RequestTokenError::Parse(..) => ProviderError::Refused(Box::new(error)),
            error => ProviderError::Unavailable(Box::new(error)),
        })?;
        let token = answer.access_token().secret();
        let account: Account = self.get("user", token).await?;
        let addresses: Vec<Address> = self.get("user/emails", token).await?;
        let address = choose(addresses).ok_or(ProviderError::NoEmail)?;
        Ok(ExternalIdentity {
            subject: account.id.to_string(),
            email: address.email,
            is_verified: address.verified,
            name: account.name.filter(|name| !name.trim().is_empty()).or(Some(account.login)),
        })
    }

    async fn get<T: DeserializeOwned>(&self, path: &str, token: &str) -> Result<T, ProviderError> {
        let request: HttpRequest = oauth2::http::Request::get(below(&self.api_url, path).as_str())
            .header("accept", "application/vnd.github+json")
            .header("authorization", format!("Bearer {token}"))
            .body(Vec::new())
            .map_err(|error| ProviderError::Unavailable(Box::new(error)))?;
        let answer = self.http.send(request).await;
        let answer = answer.map_err(|error| ProviderError::Unavailable(Box::new(error)))?;
        if !answer.status().is_success() {
            return Err(ProviderError::Unavailable(format!("{path}: status {}", answer.status()).into()));
        }
        serde_json::from_slice(answer.body()).map_err(|error| ProviderError::Unavailable(Box::new(error)))
    }
}

/// Returns the address of an account that counts: the primary one if it is verified, else another verified one, else the
/// primary one.
fn choose(addresses: Vec<Address>) -> Option<Address> {
    addresses.into_iter().max_by_key(|address| (address.verified, address.primary))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verified_address_counts_before_one_that_is_not() {
        let address = |email: &str, primary, verified| Address { email: email.into(), primary, verified };
        let chosen = |addresses| choose(addresses).map(|address| address.email);
        let all = vec![address("a", true, false), address("b", false, true)];
        assert_eq!(chosen(all).as_deref(), Some("b"));
        let all = vec![address("a", false, true), address("b", true, true), address("c", false, false)];
        assert_eq!(chosen(all).as_deref(), Some("b"));
        assert_eq!(chosen(vec![address("a", true, false)]).as_deref(), Some("a"));
        assert_eq!(chosen(Vec::new()), None);
    }
}
