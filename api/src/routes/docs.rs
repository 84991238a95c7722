//! `/openapi.json` and `/docs`: the API described by its own code.

use std::sync::{Arc, LazyLock};

use actix_web::{
    HttpResponse,
    http::{Method, header},
    web::{Path, ServiceConfig},
};
use utoipa::{
    Modify, OpenApi,
    openapi::{
        self,
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};
use utoipa_swagger_ui::Config;

use crate::{
    dashboard::NothingHere,
    http::resource::{on, resource},
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Wrenn",
        description = "MicroVMs that start in milliseconds, over REST. Everything under `/v1` answers under \
                       `/api/v1` too, and `/v1/sandboxes` is another name of `/v1/capsules`."
    ),
    paths(
        super::auth::signup::signup,
        super::auth::login::login,
        super::me::get_me,
        super::teams::list_teams,
        super::api_keys::list::list_api_keys,
        super::api_keys::create::create_api_key,
        super::api_keys::delete::delete_api_key,
        super::capsules::list::list_capsules,
        super::capsules::create::create_capsule,
        super::capsules::get::get_capsule,
        super::capsules::destroy::destroy_capsule,
        super::capsules::pause::pause_capsule,
        super::capsules::resume::resume_capsule,
        super::capsules::ping::ping_capsule,
        super::capsules::exec::exec,
        super::capsules::files::list::list_dir,
        super::capsules::files::read::read_file,
        super::capsules::files::write::write_file,
        super::capsules::files::mkdir::make_dir,
        super::capsules::files::remove::remove_file,
        super::capsules::files::stat::stat_file,
        super::capsules::files::exists::file_exists,
        super::capsules::files::rename::rename_file,
        super::capsules::files::watch::watch_files,
        super::capsules::files::read::stream_read_file,
        super::capsules::files::write::stream_write_file,
        super::capsules::exec_stream::exec_stream,
        super::capsules::pty::pty,
        super::capsules::processes::list::list_processes,
        super::capsules::processes::kill::kill_process,
        super::capsules::processes::stream::follow_process,
        super::capsules::preview::set_capsule_preview,
        super::snapshots::list::list_snapshots,
        super::snapshots::create::create_snapshot,
        super::snapshots::delete::delete_snapshot,
        super::admin::builds::list::list_builds,
        super::admin::builds::create::create_build,
        super::admin::builds::get::get_build,
        super::admin::builds::cancel::cancel_build,
        super::admin::builds::logs::follow_build,
        super::admin::templates::list::list_all_templates,
        super::admin::templates::delete::delete_any_template,
        super::hosts::list_hosts,
        super::health::health,
    ),
    modifiers(&SecuritySchemes),
)]
struct Document;

struct SecuritySchemes;

impl Modify for SecuritySchemes {
    fn modify(&self, document: &mut openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let jwt = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
        components.add_security_scheme("bearerAuth", SecurityScheme::Http(jwt));
        let key = ApiKey::Header(ApiKeyValue::new("X-API-Key"));
        components.add_security_scheme("apiKeyAuth", SecurityScheme::ApiKey(key));
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
    app.service(resource("/openapi.json", [on(Method::GET, document)]))
        .service(resource("/docs", [on(Method::GET, to_folder)]))
        .service(resource("/docs/{file:.*}", [on(Method::GET, page)]));
}

async fn document() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(JSON.as_str())
}

async fn to_folder() -> HttpResponse {
    HttpResponse::PermanentRedirect().insert_header((header::LOCATION, "/docs/")).finish()
}

async fn page(file: Path<String>) -> Result<HttpResponse, NothingHere> {
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
