//! Access to previews: a token of a capsule's previews, in the places where a client can send it.
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
use wrenn_domain::{
    permission::permit,
    preview::{self, ParsePreviewTokenError, Preview, PreviewAccess, PreviewHolder, PreviewToken},
};

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

/// A token that came with a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct GivenToken {
    token: Result<PreviewToken, ParsePreviewTokenError>,
    place: Place,
}

/// Place of a token in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Address,
    HeaderOrCookie,
}

impl GivenToken {
    /// Returns the token of a request, if it has one.
    pub(super) fn of(request: &HttpRequest) -> Option<Self> {
        if let Some(token) = query_token(request.query_string()) {
            return Some(Self { token: token.parse(), place: Place::Address });
        }
        let header = request.headers().get(HEADER).map(|token| token.to_str().unwrap_or_default().to_owned());
        let token = header.or_else(|| request.cookie(NAME).map(|cookie| cookie.value().to_owned()))?;
        Some(Self { token: token.parse(), place: Place::HeaderOrCookie })
    }

    /// Returns the principal to which the token was shown, as the token says.
    pub(super) fn holder(&self) -> Option<PreviewHolder> {
        self.token.as_ref().ok().map(PreviewToken::holder)
    }
}

/// Decides if a request is admitted.
pub(super) fn decide(given: Option<&GivenToken>, preview: &Preview) -> Entry {
    let by_link = given.is_some_and(|given| given.place == Place::Address);
    let entry = if by_link { Entry::ByLink } else { Entry::Open };
    if preview.access == PreviewAccess::Public {
        // A link from before the capsule became public still works.
        return entry;
    }
    let Some(given) = given else { return Entry::NoToken };
    let is_genuine = given.token.as_ref().is_ok_and(|token| token.is_of(&preview.secret));
    let may_enter = preview.holder.is_some_and(|holder| permit(&holder, preview::ACTION).is_ok());
    if is_genuine && may_enter { entry } else { Entry::WrongToken }
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

#[cfg(test)]
mod tests {
    use actix_web::{http::header, test::TestRequest};
    use wrenn_domain::{
        ids::{TeamId, UserId},
        principal::{Membership, Principal},
        team::Role,
    };

    use super::*;

    fn holder() -> Principal {
        let membership = Some(Membership { team: TeamId::new(), role: Role::Member });
        Principal::User { id: UserId::new(), membership, is_admin: false, epoch: 2 }
    }

    /// A preview with a token, and that token.
    fn token_only() -> (Preview, String) {
        let holder = holder();
        let token = PreviewToken::issue("secret", &holder).unwrap().to_string();
        (Preview { access: PreviewAccess::Token, secret: "secret".into(), holder: Some(holder) }, token)
    }

    fn decide_on(request: TestRequest, preview: &Preview) -> Entry {
        decide(GivenToken::of(&request.to_http_request()).as_ref(), preview)
    }

    #[test]
    fn the_token_is_taken_from_address_header_and_cookie() {
        let (preview, token) = token_only();
        let decide = |request| decide_on(request, &preview);
        assert_eq!(decide(TestRequest::get().uri("/")), Entry::NoToken);
        let link = |token: &str| TestRequest::get().uri(&format!("/?a=1&wrenn_token={token}"));
        assert_eq!(decide(link(&token)), Entry::ByLink);
        assert_eq!(decide(link("other")), Entry::WrongToken);
        let header = |token: &str| TestRequest::get().insert_header((HEADER, token));
        assert_eq!(decide(header(&token)), Entry::Open);
        assert_eq!(decide(header(&token[1..])), Entry::WrongToken);
        let cookie = |text: String| TestRequest::get().insert_header((header::COOKIE, text));
        assert_eq!(decide(cookie(format!("a=b; wrenn_token={token}"))), Entry::Open);
        assert_eq!(decide(cookie("wrenn_token=".into())), Entry::WrongToken);
        assert_eq!(decide(cookie(format!("xwrenn_token={token}"))), Entry::NoToken);
    }

    #[test]
    fn a_token_is_worth_nothing_without_its_secret_or_its_holder() {
        let (preview, token) = token_only();
        let request = || TestRequest::get().insert_header((HEADER, token.clone()));
        let rotated = Preview { secret: "new".into(), ..preview.clone() };
        assert_eq!(decide_on(request(), &rotated), Entry::WrongToken);
        let left = Preview { holder: None, ..preview.clone() };
        assert_eq!(decide_on(request(), &left), Entry::WrongToken);
        let without_team = Principal::User { id: UserId::new(), membership: None, is_admin: true, epoch: 2 };
        let elsewhere = Preview { holder: Some(without_team), ..preview };
        assert_eq!(decide_on(request(), &elsewhere), Entry::WrongToken);
    }

    #[test]
    fn everybody_may_enter_what_is_public() {
        let preview = Preview { access: PreviewAccess::Public, holder: None, ..token_only().0 };
        assert_eq!(decide_on(TestRequest::get().uri("/"), &preview), Entry::Open);
        assert_eq!(decide_on(TestRequest::get().uri("/?wrenn_token=old"), &preview), Entry::ByLink);
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
