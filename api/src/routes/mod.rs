//! The table of routes. One file per operation: its error, its answer, its documentation, its handler.

mod admin;
mod api_keys;
mod auth;
mod capsules;
mod docs;
mod faults;
mod health;
mod hosts;
mod me;
mod metrics_page;
mod snapshots;
mod teams;

use actix_web::{
    http::Method,
    web::{self, ServiceConfig},
};

pub(crate) use self::{
    capsules::{OutputBudget, open_answer},
    docs::openapi,
};
use crate::{
    dashboard,
    http::resource::{on, resource},
};
use wrenn_actors::FaultInjection;

/// Mounts everything.
pub(crate) fn configure(app: &mut ServiceConfig, fault_injection: FaultInjection) {
    for prefix in ["/v1", "/api/v1"] {
        let v1 = web::scope(prefix).configure(|config| v1(config, fault_injection));
        // Scopes within a scope do not inherit what becomes of addresses that nobody has.
        app.service(v1.default_service(web::to(dashboard::serve)));
    }
    app.service(resource("/health", [on(Method::GET, health::health)]))
        .service(resource("/metrics", [on(Method::GET, metrics_page::metrics)]))
        .configure(docs::configure)
        .default_service(web::to(dashboard::serve));
}

fn v1(v1: &mut ServiceConfig, fault_injection: FaultInjection) {
    v1.service(resource("/auth/signup", [on(Method::POST, auth::signup::signup)]))
        .service(resource("/auth/login", [on(Method::POST, auth::login::login)]))
        .service(resource("/me", [on(Method::GET, me::get_me)]))
        .service(resource("/hosts", [on(Method::GET, hosts::list_hosts)]))
        .service(resource("/teams", [on(Method::GET, teams::list_teams)]))
        .service(resource(
            "/api-keys",
            [
                on(Method::GET, api_keys::list::list_api_keys),
                on(Method::POST, api_keys::create::create_api_key),
            ],
        ))
        .service(resource("/api-keys/{id}", [on(Method::DELETE, api_keys::delete::delete_api_key)]))
        .service(resource(
            "/snapshots",
            [
                on(Method::GET, snapshots::list::list_snapshots),
                on(Method::POST, snapshots::create::create_snapshot),
            ],
        ))
        .service(resource("/snapshots/{name}", [on(Method::DELETE, snapshots::delete::delete_snapshot)]))
        .configure(admin);
    if fault_injection == FaultInjection::On {
        v1.service(resource("/admin/faults/panic", [on(Method::POST, faults::inject_panic)]))
            .service(resource("/admin/faults/cut", [on(Method::POST, faults::inject_cut)]));
    }
    // The second name is the one that older clients know.
    for name in ["/capsules", "/sandboxes"] {
        let capsules = web::scope(name).configure(capsules);
        v1.service(capsules.default_service(web::to(dashboard::serve)));
    }
}

fn admin(v1: &mut ServiceConfig) {
    use self::admin::{builds, templates};
    v1.service(resource(
        "/admin/builds",
        [on(Method::GET, builds::list::list_builds), on(Method::POST, builds::create::create_build)],
    ))
    .service(resource("/admin/builds/{id}", [on(Method::GET, builds::get::get_build)]))
    .service(resource("/admin/builds/{id}/cancel", [on(Method::POST, builds::cancel::cancel_build)]))
    .service(resource("/admin/builds/{id}/logs", [on(Method::GET, builds::logs::follow_build)]))
    .service(resource("/admin/templates", [on(Method::GET, templates::list::list_all_templates)]))
    .service(resource(
        "/admin/templates/{name}",
        [on(Method::DELETE, templates::delete::delete_any_template)],
    ));
}

fn capsules(capsules: &mut ServiceConfig) {
    use self::capsules::{
        create, destroy, exec, exec_stream, get, list, pause, ping, preview, processes, pty, resume,
    };
    capsules
        .service(resource(
            "",
            [on(Method::GET, list::list_capsules), on(Method::POST, create::create_capsule)],
        ))
        .service(resource("/{id}/exec", [on(Method::POST, exec::exec)]))
        .service(resource("/{id}/exec/stream", [on(Method::GET, exec_stream::exec_stream)]))
        .service(resource("/{id}/pty", [on(Method::GET, pty::pty)]))
        .service(resource("/{id}/processes", [on(Method::GET, processes::list::list_processes)]))
        .service(resource("/{id}/processes/{selector}", [on(Method::DELETE, processes::kill::kill_process)]))
        .service(resource(
            "/{id}/processes/{selector}/stream",
            [on(Method::GET, processes::stream::follow_process)],
        ))
        .service(resource("/{id}/pause", [on(Method::POST, pause::pause_capsule)]))
        .service(resource("/{id}/resume", [on(Method::POST, resume::resume_capsule)]))
        .service(resource("/{id}/preview", [on(Method::PUT, preview::set_capsule_preview)]))
        .service(resource("/{id}/ping", [on(Method::POST, ping::ping_capsule)]))
        .configure(files)
        .service(resource(
            "/{id}",
            [on(Method::GET, get::get_capsule), on(Method::DELETE, destroy::destroy_capsule)],
        ));
}

fn files(files: &mut ServiceConfig) {
    use self::capsules::files::{exists, list, mkdir, read, remove, rename, stat, watch, write};
    files
        .service(resource("/{id}/files/list", [on(Method::POST, list::list_dir)]))
        .service(resource("/{id}/files/read", [on(Method::POST, read::read_file)]))
        .service(resource("/{id}/files/write", [on(Method::POST, write::write_file)]))
        .service(resource("/{id}/files/mkdir", [on(Method::POST, mkdir::make_dir)]))
        .service(resource("/{id}/files/remove", [on(Method::POST, remove::remove_file)]))
        .service(resource("/{id}/files/stat", [on(Method::POST, stat::stat_file)]))
        .service(resource("/{id}/files/exists", [on(Method::POST, exists::file_exists)]))
        .service(resource("/{id}/files/rename", [on(Method::POST, rename::rename_file)]))
        .service(resource("/{id}/files/move", [on(Method::POST, rename::rename_file)]))
        .service(resource("/{id}/files/watch", [on(Method::GET, watch::watch_files)]))
        .service(resource("/{id}/files/stream/read", [on(Method::POST, read::stream_read_file)]))
        .service(resource("/{id}/files/stream/write", [on(Method::POST, write::stream_write_file)]));
}
