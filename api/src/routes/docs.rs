//! `/openapi.json` and `/docs`: the API described by its own code.
//!
//! A handler describes its request and its answers. What is the same for all of them comes from the table of actions: who
//! may call it, and how it answers whoever may not, or must wait.

use std::sync::{Arc, LazyLock};

use actix_web::{
    HttpResponse,
    http::header,
    web::{Path, ServiceConfig},
};
use utoipa::{
    Modify, OpenApi as _,
    openapi::{
        self, Content, Ref, RefOr, Response,
        path::{Operation, PathItem},
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    },
};
use utoipa_swagger_ui::Config;
use wrenn_domain::action::{Access, Action, ActionSpec, Documented, Method};

use super::Document;
use crate::{auth::HOST_TOKEN, dashboard::NothingHere, http::resource::page};

const TOKEN: &str = "bearerAuth";
const KEY: &str = "apiKeyAuth";
const HOST: &str = "hostTokenAuth";
/// Extension that tells the callers of an operation, for programs that show only the actions of their user.
const ACCESS: &str = "x-access";

/// Adds to the document what follows from the table of actions.
pub(super) struct FromTable;

impl Modify for FromTable {
    fn modify(&self, document: &mut openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let jwt = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
        components.add_security_scheme(TOKEN, SecurityScheme::Http(jwt));
        let key = ApiKey::Header(ApiKeyValue::new("X-API-Key"));
        components.add_security_scheme(KEY, SecurityScheme::ApiKey(key));
        let host = ApiKey::Header(ApiKeyValue::new(HOST_TOKEN));
        components.add_security_scheme(HOST, SecurityScheme::ApiKey(host));
        for action in Action::ALL {
            let spec = action.spec();
            let item = document.paths.paths.get_mut(spec.path);
            if let Some(operation) = item.and_then(|item| operation_of(item, spec.method)) {
                describe(operation, spec);
            }
        }
    }
}

fn operation_of(item: &mut PathItem, method: Method) -> Option<&mut Operation> {
    match method {
        Method::Get => item.get.as_mut(),
        Method::Post => item.post.as_mut(),
        Method::Put => item.put.as_mut(),
        Method::Patch => item.patch.as_mut(),
        Method::Delete => item.delete.as_mut(),
    }
}

/// Describes who may call an operation, and the answers that all operations have in common.
fn describe(operation: &mut Operation, spec: &ActionSpec) {
    debug_assert_eq!(spec.documented, Documented::Yes, "{} is described", spec.name);
    let requirement = |scheme: &str| SecurityRequirement::new(scheme, [] as [&str; 0]);
    let mut security = Vec::new();
    match spec.access {
        Access::Open => security.push(SecurityRequirement::default()),
        Access::Host => security.push(requirement(HOST)),
        _ => security.push(requirement(TOKEN)),
    }
    security.extend((!spec.scopes.is_empty()).then(|| requirement(KEY)));
    operation.security = Some(security);
    operation.extensions.get_or_insert_default().insert(ACCESS.to_owned(), access_name(spec.access).into());

    let mut common = vec![
        ("429", "The client or its team asks too often (`rate_limited`); see `Retry-After`"),
        ("503", "The server has too much to do (`overloaded`); see `Retry-After`"),
    ];
    match spec.access {
        // The server reports its health whatever its load.
        Access::Open if spec.name == Action::Health.name() => common.clear(),
        Access::Open => {}
        Access::SignedIn => common.extend([
            ("401", "Credentials are missing or wrong"),
            ("403", "The account is disabled (`account_disabled`)"),
        ]),
        Access::Team(_) => common.extend([
            ("401", "Credentials are missing or wrong"),
            ("403", "The account is disabled (`account_disabled`) or in no team (`no_team`), or may not do this (`forbidden`)"),
        ]),
        Access::NamedTeam(_) => common.extend([
            ("401", "Credentials are missing or wrong"),
            ("403", "The account is disabled (`account_disabled`), or may not do this (`forbidden`)"),
            ("404", "You belong to no such team"),
        ]),
        Access::Host => common.extend([
            ("401", "The host token is missing, wrong, or has expired"),
            ("403", "The token is another host's (`forbidden`)"),
        ]),
        Access::Platform => common.extend([
            ("401", "Credentials are missing or wrong"),
            ("403", "Only for administrators of the platform"),
        ]),
    }
    if spec.path.contains("{id}") {
        common.push(("400", "The id in the path is not valid"));
    }
    for (status, description) in common {
        let entry = operation.responses.responses.entry(status.to_owned());
        entry.or_insert_with(|| {
            let content = Content::new(Some(Ref::from_schema_name("Error")));
            let mut response = Response::new(description);
            response.content.insert("application/json".to_owned(), RefOr::T(content));
            response.into()
        });
    }
}

/// The least that a caller must be: for an action in a team, the role there.
const fn access_name(access: Access) -> &'static str {
    match access {
        Access::Open => "open",
        Access::SignedIn => "signed_in",
        Access::Team(role) | Access::NamedTeam(role) => role.as_str(),
        Access::Platform => "platform",
        Access::Host => "host",
    }
}

/// The OpenAPI document of this version.
pub(crate) fn openapi() -> openapi::OpenApi {
    Document::openapi()
}

/// The document as it is served; an error of the generator shows as an empty document and in tests.
static JSON: LazyLock<String> = LazyLock::new(|| openapi().to_json().unwrap_or_default());

/// Mounts both.
pub(crate) fn configure(app: &mut ServiceConfig) {
    app.service(page("/openapi.json", document))
        .service(page("/docs", to_folder))
        .service(page("/docs/{file:.*}", file));
}

async fn document() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(JSON.as_str())
}

async fn to_folder() -> HttpResponse {
    HttpResponse::PermanentRedirect().insert_header((header::LOCATION, "/docs/")).finish()
}

async fn file(file: Path<String>) -> Result<HttpResponse, NothingHere> {
    static CONFIG: LazyLock<Arc<Config<'static>>> =
        LazyLock::new(|| Arc::new(Config::from("/openapi.json").validator_url("none")));
    let file = utoipa_swagger_ui::serve(&file, CONFIG.clone()).ok().flatten().ok_or(NothingHere)?;
    let policy = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                  object-src 'none'; frame-ancestors 'none'";
    Ok(HttpResponse::Ok()
        .content_type(file.content_type)
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .insert_header((header::CONTENT_SECURITY_POLICY, policy))
        .body(file.bytes.into_owned()))
}
