//! The address at which browsers reach the dashboard, and the links that lead there.

use std::{fmt, str::FromStr};

use url::Url;

/// Address of the dashboard, as `https://wrenn.example.com`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl(Url);

/// The reason for which a text is not such an address.
#[derive(Debug, thiserror::Error)]
pub enum PublicUrlError {
    /// The text cannot be parsed.
    #[error("not an address like https://wrenn.example.com")]
    Parse(#[from] url::ParseError),
    /// The scheme is another one.
    #[error("must begin with http:// or https://")]
    Scheme,
    /// There is more than a scheme, a host and a path.
    #[error("must have no user, query or fragment")]
    Extra,
}

impl FromStr for PublicUrl {
    type Err = PublicUrlError;

    fn from_str(text: &str) -> Result<Self, PublicUrlError> {
        let url = Url::parse(text)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(PublicUrlError::Scheme);
        }
        let has_user = !url.username().is_empty() || url.password().is_some();
        if has_user || url.query().is_some() || url.fragment().is_some() {
            return Err(PublicUrlError::Extra);
        }
        Ok(Self(url))
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Page of the dashboard to which a link leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// Makes the first administrator.
    SetUp,
    /// Proves an address.
    Activate,
    /// Replaces a password.
    ResetPassword,
    /// Accepts an invitation to a team.
    Invitation,
}

impl PublicUrl {
    /// Returns the address of a dashboard on this machine.
    #[expect(clippy::expect_used, reason = "the text is an address")]
    pub(crate) fn localhost() -> Self {
        "http://localhost".parse().expect("an address")
    }

    /// Returns true if browsers reach the dashboard over TLS.
    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Returns the host, without brackets around an address.
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default().trim_matches(['[', ']'])
    }

    /// Returns the port, if it is not the standard one of the scheme.
    pub fn port(&self) -> Option<u16> {
        self.0.port()
    }

    /// Returns the address of a path below it.
    pub fn address_of(&self, segments: &[&str]) -> Url {
        let mut url = self.0.clone();
        url.set_path(&format!("{}/{}", self.0.path().trim_end_matches('/'), segments.join("/")));
        url
    }

    /// Returns the link to a page with a token. The link is a secret, which no log may have.
    pub fn link(&self, page: Page, token: &str) -> String {
        let page = match page {
            Page::SetUp => "setup",
            Page::Activate => "activate",
            Page::ResetPassword => "reset-password",
            Page::Invitation => "invitation",
        };
        let mut url = self.address_of(&[page]);
        url.query_pairs_mut().append_pair("token", token);
        url.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_keep_the_path_of_the_address() {
        let link = |url: &str| url.parse::<PublicUrl>().unwrap().link(Page::SetUp, "abc");
        assert_eq!(link("https://wrenn.example.com"), "https://wrenn.example.com/setup?token=abc");
        assert_eq!(link("http://[::1]:8000/wrenn/"), "http://[::1]:8000/wrenn/setup?token=abc");
        for bad in ["wrenn.example.com", "ftp://a", "https://a?b", "https://u@a", "https://a#b"] {
            assert!(bad.parse::<PublicUrl>().is_err(), "{bad}");
        }
    }
}
