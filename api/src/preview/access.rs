//! Access to previews: the token of a capsule's previews, in the places where a client can send it.
//!
//! | place | client |
//! |---|---|
//! | header `x-wrenn-token` | programs |
//! | `?wrenn_token=` in the address | a link that is opened: the browser is redirected with a cookie |
//! | cookie `wrenn_token` | later requests of the page |
//!
//! All of them are removed before a request is forwarded to the capsule.

use actix_web::{
    HttpRequest,
    cookie::{Cookie, SameSite},
    http::header::HeaderValue,
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use wrenn_domain::preview::{Preview, PreviewAccess};

/// The header that carries the token.
pub(super) const HEADER: &str = "x-wrenn-token";
/// The parameter and the cookie that carry the token.
pub(super) const NAME: &str = "wrenn_token";

/// Decision about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    /// Admitted.
    Open,
    /// Admitted by the token in its address, which should not stay there.
    ByLink,
    /// Refused: the token is missing.
    NoToken,
    /// Refused: the token is wrong.
    WrongToken,
}

/// Decides if a request is admitted.
pub(super) fn decide(request: &HttpRequest, preview: &Preview) -> Entry {
    let by_link = query_token(request.query_string());
    if preview.access == PreviewAccess::Public {
        // A link from before the capsule became public still works.
        return if by_link.is_some() { Entry::ByLink } else { Entry::Open };
    }
    if let Some(token) = by_link {
        return if is_same(&token, &preview.token) { Entry::ByLink } else { Entry::WrongToken };
    }
    let header = request.headers().get(HEADER).map(|token| token.to_str().unwrap_or_default().to_owned());
    let token = header.or_else(|| request.cookie(NAME).map(|cookie| cookie.value().to_owned()));
    match token {
        None => Entry::NoToken,
        Some(token) if is_same(&token, &preview.token) => Entry::Open,
        Some(_) => Entry::WrongToken,
    }
}

/// Returns the cookie of the redirect.
pub(super) fn cookie(token: &str, is_https: bool) -> Cookie<'static> {
    Cookie::build(NAME, token.to_owned())
        .path("/")
        .http_only(true)
        .secure(is_https)
        .same_site(SameSite::Lax)
        .finish()
}

/// Returns the token in a query, if there is one.
pub(super) fn query_token(query: &str) -> Option<String> {
    form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name == NAME)
        .map(|(_, token)| token.into_owned())
}

/// Returns a query without the token; the rest stays unchanged.
pub(super) fn query_without_token(query: &str) -> String {
    let is_token = |pair: &&str| form_urlencoded::parse(pair.as_bytes()).any(|(name, _)| name == NAME);
    query.split('&').filter(|pair| !is_token(pair)).collect::<Vec<_>>().join("&")
}

/// Returns the value of a `Cookie` header without the token; `None` if no cookie is left.
pub(super) fn cookies_without_token(value: &HeaderValue) -> Option<HeaderValue> {
    let text = String::from_utf8_lossy(value.as_bytes());
    if !text.contains(NAME) {
        return Some(value.clone());
    }
    let is_token = |pair: &&str| pair.split('=').next().is_some_and(|name| name.trim() == NAME);
    let rest = text.split(';').filter(|pair| !is_token(pair)).map(str::trim).collect::<Vec<_>>().join("; ");
    if rest.is_empty() { None } else { HeaderValue::from_str(&rest).ok() }
}

/// Compares two tokens in constant time.
fn is_same(given: &str, expected: &str) -> bool {
    // Any key will do: the digests are compared, and the time of that reveals nothing about the tokens.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(b"compare") else { return false };
    let mut expected_mac = mac.clone();
    mac.update(given.as_bytes());
    expected_mac.update(expected.as_bytes());
    mac.verify(&expected_mac.finalize().into_bytes()).is_ok()
}

#[cfg(test)]
mod tests {
    use actix_web::{http::header, test::TestRequest};

    use super::*;

    fn token_only() -> Preview {
        Preview { access: PreviewAccess::Token, token: "secret".into() }
    }

    fn decide_on(request: TestRequest) -> Entry {
        decide(&request.to_http_request(), &token_only())
    }

    #[test]
    fn the_token_is_taken_from_address_header_and_cookie() {
        assert_eq!(decide_on(TestRequest::get().uri("/")), Entry::NoToken);
        assert_eq!(decide_on(TestRequest::get().uri("/?a=1&wrenn_token=secret")), Entry::ByLink);
        assert_eq!(decide_on(TestRequest::get().uri("/?wrenn_token=other")), Entry::WrongToken);
        assert_eq!(decide_on(TestRequest::get().insert_header((HEADER, "secret"))), Entry::Open);
        assert_eq!(decide_on(TestRequest::get().insert_header((HEADER, "secre"))), Entry::WrongToken);
        let cookie = |text: &'static str| TestRequest::get().insert_header((header::COOKIE, text));
        assert_eq!(decide_on(cookie("a=b; wrenn_token=secret")), Entry::Open);
        assert_eq!(decide_on(cookie("wrenn_token=")), Entry::WrongToken);
        assert_eq!(decide_on(cookie("xwrenn_token=secret")), Entry::NoToken);
    }

    #[test]
    fn everybody_may_enter_what_is_public() {
        let preview = Preview { access: PreviewAccess::Public, ..token_only() };
        let enter = |uri: &str| decide(&TestRequest::get().uri(uri).to_http_request(), &preview);
        assert_eq!(enter("/"), Entry::Open);
        assert_eq!(enter("/?wrenn_token=old"), Entry::ByLink);
    }

    #[test]
    fn the_token_does_not_reach_the_capsule() {
        for (query, rest) in [
            ("wrenn_token=x", ""),
            ("a=1&wrenn_token=x&b=%20+c", "a=1&b=%20+c"),
            ("wrenn%5Ftoken=x&a", "a"),
            ("a=wrenn_token", "a=wrenn_token"),
        ] {
            assert_eq!(query_without_token(query), rest);
        }
        let cookies = |text| cookies_without_token(&HeaderValue::from_static(text));
        assert_eq!(cookies("a=b; wrenn_token=x; c=d").unwrap(), "a=b; c=d");
        assert_eq!(cookies("wrenn_token=x"), None);
        assert_eq!(cookies("a=b;c=d").unwrap(), "a=b;c=d");
    }
}
