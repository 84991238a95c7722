//! The routes: one handler for each action of the table, one file for each handler.
//!
//! ```text
//!   Action ─▶ bindings! ─┬─▶ resources: path, methods, names of older clients
//!                        └─▶ OpenAPI: the handler's description, security and common errors from the table
//! ```
//!
//! A handler decodes, calls its use case in `wrenn-control`, and encodes.

mod admin;
mod api_keys;
mod audit_logs;
mod auth;
mod builds;
mod capsules;
mod channels;
mod docs;
mod events;
mod faults;
mod health;
mod hosts;
mod limit_schemas;
mod me;
mod metrics_page;
mod read_error;
mod snapshots;
mod teams;
mod users;

use actix_web::{
    Route,
    web::{self, ServiceConfig},
};
use wrenn_actors::FaultInjection;
use wrenn_domain::action::{Action, Documented};

use self::docs::FromTable;
pub(crate) use self::{
    capsules::{OutputBudget, open_error},
    docs::openapi,
};
use crate::{
    dashboard,
    http::resource::{bound, page, resource},
};

/// Binds each action to its handler, and makes the OpenAPI document of the documented ones.
macro_rules! bindings {
    (
        documented { $($action:ident => $($handler:ident)::+;)+ }
        hidden { $($hidden_action:ident => $($hidden_handler:ident)::+;)+ }
    ) => {
        /// Returns the route of every action.
        pub(crate) fn bindings() -> Vec<(Action, Route)> {
            vec![
                $((Action::$action, bound(Action::$action, $($handler)::+)),)+
                $((Action::$hidden_action, bound(Action::$hidden_action, $($hidden_handler)::+)),)+
            ]
        }

        /// Returns each documented action with the path of its handler.
        #[cfg(test)]
        fn documented() -> Vec<(Action, &'static str)> {
            vec![$((Action::$action, stringify!($($handler)::+)),)+]
        }

        #[derive(utoipa::OpenApi)]
        #[openapi(paths($($($handler)::+),+), modifiers(&FromTable))]
        #[openapi(info(
            title = "Wrenn",
            description = "MicroVMs that start in milliseconds, over REST. Everything under `/v1` answers under \
                           `/api/v1` too, and `/v1/sandboxes` is another name of `/v1/capsules`."
        ))]
        pub(in crate::routes) struct Document;
    };
}

bindings! {
    documented {
        SignUp => auth::signup::signup;
        LogIn => auth::login::login;
        LogOut => auth::logout::logout;
        AuthMethods => auth::methods::get_auth_methods;
        Activate => auth::activate::activate;
        TeamSwitch => auth::switch_team::switch_team;
        ProviderSignIn => auth::oauth::sign_in_with_provider;
        ProviderCallback => auth::oauth::complete_provider_sign_in;
        ProviderConnect => me::providers::connect_provider;
        ProviderDisconnect => me::providers::disconnect_provider;
        MeGet => me::get::get_me;
        MeRename => me::rename::rename_me;
        MeDelete => me::delete::delete_me;
        ActivationSend => me::activation::send_activation;
        PasswordChange => me::password::change_password;
        PasswordForget => me::password_reset::forget_password;
        PasswordReset => me::password_reset::reset_password;
        TotpBegin => me::totp::begin_totp;
        TotpConfirm => me::totp::confirm_totp;
        TotpDisable => me::totp::disable_totp;
        ResetLinkCreate => admin::users::reset_link::create_reset_link;
        TeamList => teams::list::list_teams;
        TeamCreate => teams::create::create_team;
        TeamGet => teams::get::get_team;
        TeamRename => teams::rename::rename_team;
        TeamDelete => teams::delete::delete_team;
        TeamLeave => teams::leave::leave_team;
        MemberList => teams::members::list::list_members;
        MemberAdd => teams::members::add::add_member;
        MemberSetRole => teams::members::set_role::set_member_role;
        MemberRemove => teams::members::remove::remove_member;
        InvitationList => teams::invitations::list::list_invitations;
        InvitationCreate => teams::invitations::create::create_invitation;
        InvitationDelete => teams::invitations::delete::delete_invitation;
        InvitationAccept => teams::invitations::accept::accept_invitation;
        UserSearch => users::search::search_users;
        TeamQuotaGet => teams::quota::get_team_quota;
        AuditList => audit_logs::list::list_audit_logs;
        EventFollow => events::follow::follow_events;
        ApiKeyList => api_keys::list::list_api_keys;
        ApiKeyCreate => api_keys::create::create_api_key;
        ApiKeyDelete => api_keys::delete::delete_api_key;
        SandboxList => capsules::list::list_capsules;
        SandboxCreate => capsules::create::create_capsule;
        SandboxStats => capsules::stats::get_capsule_stats;
        SandboxUsage => capsules::usage::get_capsule_usage;
        SandboxGet => capsules::get::get_capsule;
        SandboxMetrics => capsules::metrics::get_capsule_metrics;
        SandboxHistory => capsules::history::list_capsule_events;
        SandboxDestroy => capsules::destroy::destroy_capsule;
        SandboxPause => capsules::pause::pause_capsule;
        SandboxResume => capsules::resume::resume_capsule;
        SandboxPing => capsules::ping::ping_capsule;
        SandboxTimeout => capsules::timeout::set_capsule_timeout;
        Exec => capsules::exec::exec;
        FileList => capsules::files::list::list_dir;
        FileRead => capsules::files::read::read_file;
        FileWrite => capsules::files::write::write_file;
        FileMakeDir => capsules::files::mkdir::make_dir;
        FileRemove => capsules::files::remove::remove_file;
        FileStat => capsules::files::stat::stat_file;
        FileExists => capsules::files::exists::file_exists;
        FileRename => capsules::files::rename::rename_file;
        FileWatch => capsules::files::watch::watch_files;
        FileStreamRead => capsules::files::read::stream_read_file;
        FileStreamWrite => capsules::files::write::stream_write_file;
        ExecStream => capsules::exec_stream::exec_stream;
        Terminal => capsules::pty::pty;
        ProcessList => capsules::processes::list::list_processes;
        ProcessKill => capsules::processes::kill::kill_process;
        ProcessStream => capsules::processes::stream::follow_process;
        SandboxPreview => capsules::preview::set_capsule_preview;
        TemplateList => snapshots::list::list_snapshots;
        TemplateCreate => snapshots::create::create_snapshot;
        TemplateDelete => snapshots::delete::delete_snapshot;
        BuildList => builds::list::list_team_builds;
        BuildCreate => builds::create::create_team_build;
        BuildCheck => builds::check::check_build;
        BuildGet => builds::get::get_team_build;
        BuildCancel => builds::cancel::cancel_team_build;
        BuildFollow => builds::logs::follow_team_build;
        AdminBuildList => admin::builds::list::list_builds;
        AdminBuildCreate => admin::builds::create::create_build;
        AdminBuildGet => admin::builds::get::get_build;
        AdminBuildCancel => admin::builds::cancel::cancel_build;
        AdminBuildFollow => admin::builds::logs::follow_build;
        AdminTemplateList => admin::templates::list::list_all_templates;
        AdminTemplateDelete => admin::templates::delete::delete_any_template;
        AdminTeamList => admin::teams::list::list_all_teams;
        AdminTeamQuota => admin::teams::quota::set_team_quota;
        AdminTeamByoc => admin::switches::set_team_byoc;
        AdminTeamDelete => admin::teams::delete::delete_any_team;
        AdminUserList => admin::users::list::list_all_users;
        AdminUserActive => admin::switches::set_user_active;
        AdminUserAdmin => admin::switches::set_user_admin;
        AdminCapsuleList => admin::capsules::list_all_capsules;
        AdminAuditList => admin::audit_logs::list_all_audit_logs;
        AdminEventFollow => admin::events::follow_all_events;
        SettingsGet => admin::settings::get_settings;
        SettingsSet => admin::settings::set_settings;
        TokenKeyRotate => admin::token_key::rotate_token_key;
        HostRegister => hosts::register::register_host;
        HostRefresh => hosts::refresh::refresh_host_token;
        HostHeartbeat => hosts::heartbeat::host_heartbeat;
        HostList => hosts::list::list_hosts;
        HostCreate => hosts::create::create_host;
        HostGet => hosts::get::get_host;
        HostTokenIssue => hosts::token::issue_host_token;
        HostDrain => hosts::drain::drain_host;
        HostDeletePreview => hosts::delete_preview::preview_host_deletion;
        HostDelete => hosts::delete::delete_host;
        HostTagList => hosts::tags::list_host_tags;
        HostTagAdd => hosts::tags::add_host_tag;
        HostTagRemove => hosts::tags::remove_host_tag;
        ChannelList => channels::list::list_channels;
        ChannelCreate => channels::create::create_channel;
        ChannelTest => channels::test::test_channel;
        ChannelGet => channels::get::get_channel;
        ChannelUpdate => channels::update::update_channel;
        ChannelDelete => channels::delete::delete_channel;
        ChannelConfigure => channels::configure::rotate_channel_config;
        Health => health::health;
    }
    hidden {
        InjectPanic => faults::inject_panic;
        InjectCut => faults::inject_cut;
    }
}

/// Mounts everything.
pub(crate) fn configure(app: &mut ServiceConfig, fault_injection: FaultInjection) {
    for prefix in ["/v1", "/api/v1"] {
        let v1 = web::scope(prefix).configure(|config| v1(config, fault_injection));
        // Scopes within a scope do not inherit what becomes of addresses that nobody has.
        app.service(v1.default_service(web::to(dashboard::serve)));
    }
    for (path, routes) in resources(|_| true).into_iter().filter(|(path, _)| !path.starts_with("/v1/")) {
        app.service(resource(path, routes));
    }
    app.service(page("/metrics", metrics_page::metrics))
        .configure(docs::configure)
        .default_service(web::to(dashboard::serve));
}

/// Mounts the actions below `/v1`.
fn v1(v1: &mut ServiceConfig, fault_injection: FaultInjection) {
    let is_served = |action: Action| match action.spec().documented {
        Documented::Yes => true,
        Documented::FaultInjection => fault_injection == FaultInjection::On,
    };
    // The second name is the one that older clients know. A scope tells the many other addresses apart at once.
    const CAPSULES: &str = "/v1/capsules";
    for name in ["/capsules", "/sandboxes"] {
        let mut scope = web::scope(name);
        for (path, routes) in resources(is_served) {
            if let Some(path) = path.strip_prefix(CAPSULES) {
                scope = scope.service(resource(path, routes));
            }
        }
        v1.service(scope.default_service(web::to(dashboard::serve)));
    }
    for (path, routes) in resources(is_served) {
        if let Some(path) = path.strip_prefix("/v1").filter(|_| !path.starts_with(CAPSULES)) {
            v1.service(resource(path, routes));
        }
    }
}

/// Puts the routes of each path together; an alias is a path of its own.
fn resources(is_served: impl Fn(Action) -> bool) -> Vec<(&'static str, Vec<(Action, Route)>)> {
    let mut resources: Vec<(&'static str, Vec<(Action, Route)>)> = Vec::new();
    let named = bindings().into_iter().map(|(action, route)| (Some(action.path()), action, route));
    let aliases = bindings().into_iter().map(|(action, route)| (action.spec().alias, action, route));
    for (path, action, route) in named.chain(aliases) {
        let Some(path) = path.filter(|_| is_served(action)) else { continue };
        match resources.iter_mut().find(|(known, _)| *known == path) {
            Some((_, routes)) => routes.push((action, route)),
            None => resources.push((path, vec![(action, route)])),
        }
    }
    resources
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use utoipa::OpenApi as _;

    use super::*;

    #[test]
    fn each_action_has_one_handler_and_each_handler_an_action() {
        let bound: Vec<Action> = bindings().into_iter().map(|(action, _)| action).collect();
        let distinct: BTreeSet<Action> = bound.iter().copied().collect();
        assert_eq!(bound.len(), distinct.len(), "an action is bound twice");
        assert_eq!(distinct, Action::ALL.iter().copied().collect());
    }

    #[test]
    fn each_documented_action_is_described_at_its_own_address() {
        let document = serde_json::to_value(Document::openapi()).unwrap();
        let paths = document["paths"].as_object().unwrap();
        let described: BTreeSet<(String, String)> = paths
            .iter()
            .flat_map(|(path, item)| {
                let methods = item.as_object().unwrap().keys();
                methods.map(|method| (method.to_uppercase(), path.clone()))
            })
            .collect();
        let documented = Action::ALL.iter().filter(|action| action.spec().documented == Documented::Yes);
        let expected = documented
            .map(|action| (action.spec().method.as_str().to_owned(), action.path().to_owned()))
            .collect();
        assert_eq!(described, expected);
    }

    #[test]
    fn each_handler_describes_itself_at_the_address_of_the_action_that_it_is_bound_to() {
        let document = serde_json::to_value(Document::openapi()).unwrap();
        for (action, handler) in documented() {
            let name: String = handler.chars().filter(|c| !c.is_whitespace()).collect();
            let name = name.rsplit("::").next().unwrap();
            let method = action.spec().method.as_str().to_lowercase();
            let described = &document["paths"][action.path()][method]["operationId"];
            assert_eq!(described, name, "{action} is bound to {handler}");
        }
    }

    #[test]
    fn each_operation_says_who_may_call_it() {
        let document = serde_json::to_value(Document::openapi()).unwrap();
        let access = |path: &str, method: &str| document["paths"][path][method]["x-access"].clone();
        assert_eq!(access("/health", "get"), "open");
        assert_eq!(access("/v1/me", "get"), "signed_in");
        assert_eq!(access("/v1/capsules", "post"), "member");
        assert_eq!(access("/v1/teams/{id}/members", "post"), "admin");
        assert_eq!(access("/v1/teams/{id}", "delete"), "owner");
        assert_eq!(access("/v1/admin/users", "get"), "platform");
        assert_eq!(access("/v1/hosts/{id}/heartbeat", "post"), "host");
        let operations = document["paths"]
            .as_object()
            .unwrap()
            .values()
            .flat_map(|item| item.as_object().unwrap().values());
        assert!(operations.into_iter().all(|operation| operation["x-access"].is_string()));
    }
}
