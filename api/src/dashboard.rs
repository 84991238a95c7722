//! Serves the dashboard: a single-page application whose files are part of the binary.
//!
//! An address that names no file is the application's own, so it gets the start page. Addresses of the
//! API never do: what is unknown there is an error in the contract's shape.

use std::sync::LazyLock;

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        Method,
        header::{self, EntityTag, IfNoneMatch},
    },
    web::Header,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use rust_embed::{EmbeddedFile, RustEmbed};
use sha2::{Digest as _, Sha256};
use wrenn_domain::error_code::ErrorCode;

use crate::error::{ApiError, impl_response_error};

#[derive(RustEmbed)]
#[folder = "../frontend/build"]
struct Files;

const START_PAGE: &str = "index.html";
/// Files below it carry their hash in their name, so they never change.
const IMMUTABLE: &str = "_app/immutable/";

/// There is nothing at an address.
#[derive(Debug, thiserror::Error)]
#[error("there is nothing at this address")]
pub(crate) struct NothingHere;

impl NothingHere {
    fn api_error(&self) -> ApiError {
        ApiError::new(ErrorCode::NotFound, self.to_string())
    }
}
impl_response_error!(NothingHere);

/// Answers every request that no route took.
pub(crate) async fn serve(
    request: HttpRequest,
    known: Result<Header<IfNoneMatch>, actix_web::Error>,
) -> Result<HttpResponse, NothingHere> {
    let path = request.path().trim_start_matches('/');
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    if !is_read || is_api(path) {
        return Err(NothingHere);
    }
    let name = match path {
        "" => START_PAGE,
        path => path,
    };
    let (name, file) = match Files::get(name) {
        Some(file) => (name, file),
        // A missing asset is an error; a page of the application looks like a folder.
        None if name.rsplit('/').next().is_some_and(|last| last.contains('.')) => return Err(NothingHere),
        None => (START_PAGE, Files::get(START_PAGE).ok_or(NothingHere)?),
    };
    Ok(respond(name, file, known.ok().map(Header::into_inner)))
}

fn is_api(path: &str) -> bool {
    let first = path.split('/').next().unwrap_or_default();
    matches!(first, "v1" | "api" | "docs" | "openapi.json" | "health" | "metrics")
}

fn respond(name: &str, file: EmbeddedFile, known: Option<IfNoneMatch>) -> HttpResponse {
    let tag = EntityTag::new_strong(BASE64_STANDARD.encode(file.metadata.sha256_hash()));
    let is_known = match known {
        Some(IfNoneMatch::Any) => true,
        Some(IfNoneMatch::Items(tags)) => tags.iter().any(|known| known.weak_eq(&tag)),
        None => false,
    };
    let mut response = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    let cache = if name.starts_with(IMMUTABLE) { "public, max-age=31536000, immutable" } else { "no-cache" };
    response
        .insert_header((header::CACHE_CONTROL, cache))
        .insert_header(header::ETag(tag))
        .insert_header((header::CONTENT_TYPE, content_type(file.metadata.mimetype())))
        .insert_header((header::CONTENT_SECURITY_POLICY, POLICY.as_str()));
    if is_known { response.finish() } else { response.body(file.data) }
}

fn content_type(mime: &str) -> String {
    let is_text = mime.starts_with("text/") || mime == "application/javascript";
    if is_text { format!("{mime}; charset=utf-8") } else { mime.to_owned() }
}

/// The policy for pages: they may load files of this server, the inline scripts of the start page, and pictures that the page
/// itself has put together from an answer (`blob:`; a script in such a picture does not run).
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let page = Files::get(START_PAGE).map(|file| file.data).unwrap_or_default();
    let scripts: String = inline_scripts(&String::from_utf8_lossy(&page))
        .map(|script| format!(" 'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(script.as_bytes()))))
        .collect();
    format!(
        "default-src 'self'; script-src 'self'{scripts}; style-src 'self' 'unsafe-inline'; \
         img-src 'self' data: blob:; font-src 'self' data:; object-src 'none'; base-uri 'self'; \
         form-action 'self'; frame-ancestors 'none'"
    )
});

/// The texts of the scripts in a page that have no `src`.
fn inline_scripts(page: &str) -> impl Iterator<Item = &str> {
    page.split("<script").skip(1).filter_map(|rest| {
        let (attributes, rest) = rest.split_once('>')?;
        let (text, _) = rest.split_once("</script")?;
        (!attributes.contains("src=")).then_some(text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_scripts_without_a_source_are_inline() {
        let page =
            "<script src=\"a.js\"></script><p><script>one()</script><script type=\"module\">\ntwo()</script>";
        assert_eq!(inline_scripts(page).collect::<Vec<_>>(), ["one()", "\ntwo()"]);
    }

    #[test]
    fn addresses_of_the_api_are_told_from_pages() {
        for path in ["v1", "v1/nothing", "api/v1/x", "docs/x.css", "openapi.json"] {
            assert!(is_api(path), "{path}");
        }
        for path in ["", "capsules", "v1x", "_app/immutable/a.js"] {
            assert!(!is_api(path), "{path}");
        }
    }
}
