//! Options of `wrenn server` for identity providers.

use anyhow::Context as _;
use wrenn_api::{ClientSecret, GITHUB, GitHubConfig, OidcConfig, ProvidersConfig};

/// Identity providers by which users can sign in, beside their passwords.
#[derive(Debug, clap::Args)]
pub(crate) struct ProviderOptions {
    /// Issuer of an OpenID Connect provider, like https://accounts.example.com.
    #[arg(long, env = "WRENN_OIDC_ISSUER", requires_all = ["oidc_client_id", "oidc_client_secret"])]
    oidc_issuer: Option<String>,
    /// Id under which that provider knows this installation.
    #[arg(long, env = "WRENN_OIDC_CLIENT_ID")]
    oidc_client_id: Option<String>,
    /// Secret that belongs to the id.
    #[arg(long, env = "WRENN_OIDC_CLIENT_SECRET", hide_env_values = true)]
    oidc_client_secret: Option<String>,
    /// Name of that provider in addresses; 1 to 32 of a-z, 0-9 and -.
    #[arg(long, env = "WRENN_OIDC_NAME", default_value = "oidc", value_parser = provider_name)]
    oidc_name: String,
    /// Client id of an OAuth app at GitHub.
    #[arg(long, env = "WRENN_GITHUB_CLIENT_ID", requires = "github_client_secret")]
    github_client_id: Option<String>,
    /// Client secret of that app.
    #[arg(long, env = "WRENN_GITHUB_CLIENT_SECRET", hide_env_values = true)]
    github_client_secret: Option<String>,
    /// Address of GitHub's pages, for GitHub Enterprise.
    #[arg(long, env = "WRENN_GITHUB_URL", default_value = "https://github.com")]
    github_url: String,
    /// Address of GitHub's interface, for GitHub Enterprise.
    #[arg(long, env = "WRENN_GITHUB_API_URL", default_value = "https://api.github.com")]
    github_api_url: String,
}

fn provider_name(text: &str) -> Result<String, String> {
    let is_good = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-');
    if text == GITHUB {
        return Err(format!("`{GITHUB}` is the name of another provider"));
    }
    if (1..=32).contains(&text.len()) && text.bytes().all(is_good) {
        Ok(text.to_owned())
    } else {
        Err("must be 1 to 32 of a-z, 0-9 and -".to_owned())
    }
}

impl ProviderOptions {
    /// Returns the providers; an empty value counts as none.
    pub(crate) fn into_config(self) -> anyhow::Result<ProvidersConfig> {
        let given = |value: Option<String>| value.filter(|value| !value.is_empty());
        let oidc = match (given(self.oidc_issuer), self.oidc_client_id, self.oidc_client_secret) {
            (Some(issuer), Some(client_id), Some(secret)) => Some(OidcConfig {
                name: self.oidc_name,
                issuer,
                client_id,
                client_secret: ClientSecret(secret),
            }),
            _ => None,
        };
        let github = match (given(self.github_client_id), self.github_client_secret) {
            (Some(client_id), Some(secret)) => Some(GitHubConfig {
                client_id,
                client_secret: ClientSecret(secret),
                web_url: self.github_url.parse().context("WRENN_GITHUB_URL: must be an address")?,
                api_url: self.github_api_url.parse().context("WRENN_GITHUB_API_URL: must be an address")?,
            }),
            _ => None,
        };
        Ok(ProvidersConfig { oidc, github })
    }
}
