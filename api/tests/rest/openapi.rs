//! The OpenAPI document: complete, true, and with every field of the contract.

use serde_json::{Value, json};
use sqlx::PgPool;
use wrenn_domain::action::{Access, Action};

use crate::support::{As, TestServer};

fn document() -> Value {
    serde_json::to_value(wrenn_api::openapi()).unwrap()
}

/// Every operation: method, path, description.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().unwrap();
    let operations = paths.iter().flat_map(|(path, item)| {
        let item = item.as_object().unwrap();
        item.iter().map(move |(method, operation)| (method.to_uppercase(), path.clone(), operation.clone()))
    });
    operations.collect()
}

#[test]
fn operations_have_the_names_that_clients_are_generated_with() {
    let document = document();
    let mut found: Vec<_> = operations(&document)
        .iter()
        .map(|(method, path, operation)| {
            format!("{method} {path} {}", operation["operationId"].as_str().unwrap())
        })
        .collect();
    found.sort();
    assert_eq!(
        found,
        [
            "DELETE /v1/admin/teams/{id} delete_any_team",
            "DELETE /v1/admin/templates/{name} delete_any_template",
            "DELETE /v1/api-keys/{id} delete_api_key",
            "DELETE /v1/capsules/{id} destroy_capsule",
            "DELETE /v1/capsules/{id}/processes/{selector} kill_process",
            "DELETE /v1/channels/{id} delete_channel",
            "DELETE /v1/hosts/{id} delete_host",
            "DELETE /v1/hosts/{id}/tags/{tag} remove_host_tag",
            "DELETE /v1/me delete_me",
            "DELETE /v1/me/providers/{provider} disconnect_provider",
            "DELETE /v1/me/totp disable_totp",
            "DELETE /v1/snapshots/{name} delete_snapshot",
            "DELETE /v1/teams/{id} delete_team",
            "DELETE /v1/teams/{id}/invitations/{iid} delete_invitation",
            "DELETE /v1/teams/{id}/members/{uid} remove_member",
            "GET /health health",
            "GET /v1/admin/audit-logs list_all_audit_logs",
            "GET /v1/admin/builds list_builds",
            "GET /v1/admin/builds/{id} get_build",
            "GET /v1/admin/builds/{id}/logs follow_build",
            "GET /v1/admin/capsules list_all_capsules",
            "GET /v1/admin/events follow_all_events",
            "GET /v1/admin/settings get_settings",
            "GET /v1/admin/teams list_all_teams",
            "GET /v1/admin/templates list_all_templates",
            "GET /v1/admin/users list_all_users",
            "GET /v1/api-keys list_api_keys",
            "GET /v1/audit-logs list_audit_logs",
            "GET /v1/auth/methods get_auth_methods",
            "GET /v1/auth/oauth/{provider} sign_in_with_provider",
            "GET /v1/auth/oauth/{provider}/callback complete_provider_sign_in",
            "GET /v1/builds list_team_builds",
            "GET /v1/builds/{id} get_team_build",
            "GET /v1/builds/{id}/logs follow_team_build",
            "GET /v1/capsules list_capsules",
            "GET /v1/capsules/stats get_capsule_stats",
            "GET /v1/capsules/usage get_capsule_usage",
            "GET /v1/capsules/{id} get_capsule",
            "GET /v1/capsules/{id}/events list_capsule_events",
            "GET /v1/capsules/{id}/exec/stream exec_stream",
            "GET /v1/capsules/{id}/files/watch watch_files",
            "GET /v1/capsules/{id}/metrics get_capsule_metrics",
            "GET /v1/capsules/{id}/processes list_processes",
            "GET /v1/capsules/{id}/processes/{selector}/stream follow_process",
            "GET /v1/capsules/{id}/pty pty",
            "GET /v1/channels list_channels",
            "GET /v1/channels/{id} get_channel",
            "GET /v1/events follow_events",
            "GET /v1/hosts list_hosts",
            "GET /v1/hosts/{id} get_host",
            "GET /v1/hosts/{id}/delete-preview preview_host_deletion",
            "GET /v1/hosts/{id}/tags list_host_tags",
            "GET /v1/me get_me",
            "GET /v1/me/providers/{provider}/connect connect_provider",
            "GET /v1/snapshots list_snapshots",
            "GET /v1/teams list_teams",
            "GET /v1/teams/{id} get_team",
            "GET /v1/teams/{id}/invitations list_invitations",
            "GET /v1/teams/{id}/members list_members",
            "GET /v1/teams/{id}/quota get_team_quota",
            "GET /v1/users/search search_users",
            "PATCH /v1/channels/{id} update_channel",
            "PATCH /v1/me rename_me",
            "PATCH /v1/teams/{id} rename_team",
            "PATCH /v1/teams/{id}/members/{uid} set_member_role",
            "POST /v1/admin/builds create_build",
            "POST /v1/admin/builds/{id}/cancel cancel_build",
            "POST /v1/admin/settings/token-key rotate_token_key",
            "POST /v1/admin/users/{id}/reset-link create_reset_link",
            "POST /v1/api-keys create_api_key",
            "POST /v1/auth/activate activate",
            "POST /v1/auth/login login",
            "POST /v1/auth/logout logout",
            "POST /v1/auth/signup signup",
            "POST /v1/auth/switch-team switch_team",
            "POST /v1/builds create_team_build",
            "POST /v1/builds/check check_build",
            "POST /v1/builds/{id}/cancel cancel_team_build",
            "POST /v1/capsules create_capsule",
            "POST /v1/capsules/{id}/exec exec",
            "POST /v1/capsules/{id}/files/exists file_exists",
            "POST /v1/capsules/{id}/files/list list_dir",
            "POST /v1/capsules/{id}/files/mkdir make_dir",
            "POST /v1/capsules/{id}/files/read read_file",
            "POST /v1/capsules/{id}/files/remove remove_file",
            "POST /v1/capsules/{id}/files/rename rename_file",
            "POST /v1/capsules/{id}/files/stat stat_file",
            "POST /v1/capsules/{id}/files/stream/read stream_read_file",
            "POST /v1/capsules/{id}/files/stream/write stream_write_file",
            "POST /v1/capsules/{id}/files/write write_file",
            "POST /v1/capsules/{id}/pause pause_capsule",
            "POST /v1/capsules/{id}/ping ping_capsule",
            "POST /v1/capsules/{id}/resume resume_capsule",
            "POST /v1/capsules/{id}/timeout set_capsule_timeout",
            "POST /v1/channels create_channel",
            "POST /v1/channels/test test_channel",
            "POST /v1/hosts create_host",
            "POST /v1/hosts/auth/refresh refresh_host_token",
            "POST /v1/hosts/register register_host",
            "POST /v1/hosts/{id}/drain drain_host",
            "POST /v1/hosts/{id}/heartbeat host_heartbeat",
            "POST /v1/hosts/{id}/tags add_host_tag",
            "POST /v1/hosts/{id}/token issue_host_token",
            "POST /v1/invitations/accept accept_invitation",
            "POST /v1/me/activation send_activation",
            "POST /v1/me/password change_password",
            "POST /v1/me/password/reset forget_password",
            "POST /v1/me/password/reset/confirm reset_password",
            "POST /v1/me/totp begin_totp",
            "POST /v1/me/totp/confirm confirm_totp",
            "POST /v1/snapshots create_snapshot",
            "POST /v1/teams create_team",
            "POST /v1/teams/{id}/invitations create_invitation",
            "POST /v1/teams/{id}/leave leave_team",
            "POST /v1/teams/{id}/members add_member",
            "PUT /v1/admin/settings set_settings",
            "PUT /v1/admin/teams/{id}/byoc set_team_byoc",
            "PUT /v1/admin/teams/{id}/quota set_team_quota",
            "PUT /v1/admin/users/{id}/active set_user_active",
            "PUT /v1/admin/users/{id}/admin set_user_admin",
            "PUT /v1/capsules/{id}/preview set_capsule_preview",
            "PUT /v1/channels/{id}/config rotate_channel_config",
        ]
    );
}

#[test]
fn every_operation_says_how_it_fails_and_who_may_call_it() {
    for (method, path, operation) in operations(&document()) {
        let security = operation["security"].as_array().unwrap();
        let is_action = |action: &&Action| action.path() == path && action.spec().method.as_str() == method;
        let spec = Action::ALL.iter().find(is_action).unwrap().spec();
        if spec.access == Access::Open {
            assert_eq!(security, &[json!({})], "{method} {path} is open");
            continue;
        }
        let scheme = if spec.access == Access::Host { "hostTokenAuth" } else { "bearerAuth" };
        assert!(security.contains(&json!({scheme: []})), "{method} {path}");
        let takes_key = security.contains(&json!({"apiKeyAuth": []}));
        assert_eq!(takes_key, !spec.scopes.is_empty(), "{method} {path}");
        for status in ["401", "403"] {
            let body = &operation["responses"][status]["content"]["application/json"]["schema"]["$ref"];
            assert_eq!(body, "#/components/schemas/Error", "{method} {path} {status}");
        }
    }
}

#[test]
fn schemas_have_every_field_of_the_contract() {
    let document = document();
    let required = |schema: &str| -> Vec<String> {
        let list = document["components"]["schemas"][schema]["required"].as_array().cloned();
        list.unwrap_or_default().iter().map(|name| name.as_str().unwrap().to_owned()).collect()
    };
    for (schema, always, sometimes) in [
        ("Error", "error", "limit used capsule_ids sandbox_ids"),
        ("ErrorDetail", "code message", "limit used sandbox_ids"),
        (
            "AuditLogEntry",
            "id actor_type actor_id actor_name resource_type resource_id action scope status error metadata created_at \
             settled_at",
            "",
        ),
        ("SignupRequest", "email password name", "invitation_token setup_token"),
        ("LoginRequest", "email password", "totp_code"),
        ("AuthResponse", "token user_id team_id email name is_admin", ""),
        ("CreateApiKeyRequest", "", "name scopes expires_at"),
        (
            "ApiKeyResponse",
            "id team_id name key_prefix scopes created_by created_at expires_at last_used",
            "key",
        ),
        (
            "MeResponse",
            "user_id team_id name email is_admin has_password providers is_verified totp_enabled",
            "",
        ),
        ("ChangePasswordRequest", "new_password", "current_password confirm_password"),
        ("AuthMethodsResponse", "signup mail providers", ""),
        ("TeamWithRole", "id name slug is_byoc created_at role", ""),
        ("TeamDetail", "team members", ""),
        ("TeamMember", "user_id name email role joined_at", ""),
        ("Invitation", "id team_id email role invited_by created_at expires_at", "token"),
        ("UserSearchResult", "user_id name email", ""),
        (
            "CreateCapsuleRequest",
            "",
            "template vcpus memory_mb disk_size_mb timeout_sec envs metadata auto_resume preview_access wait",
        ),
        (
            "Capsule",
            "id status operation last_error stop_reason template template_id host_id vcpus memory_mb \
             disk_size_mb timeout_sec auto_resume default_user metadata created_by created_at started_at \
             last_active_at last_updated preview_access preview_token preview_url warnings",
            "guest_ip host_ip",
        ),
        ("CapsuleStats", "range current peaks series", ""),
        ("CurrentStats", "running_count vcpus_reserved memory_mb_reserved sampled_at", ""),
        ("PeakStats", "running_count vcpus memory_mb", ""),
        ("StatsSeries", "labels running vcpus memory_mb", ""),
        ("UsageResponse", "from to points", ""),
        ("UsagePoint", "date cpu_minutes ram_mb_minutes disk_mb_minutes template_mb_minutes", ""),
        (
            "CapsuleEvent",
            "id event status reason actor_type actor_id actor_name metadata created_at settled_at",
            "",
        ),
        ("Event", "type resource_type resource_id team_id at facts", ""),
        ("ResumeCapsuleRequest", "", "drop_memory"),
        ("SetTimeoutRequest", "timeout_sec", ""),
        ("CreateSnapshotRequest", "sandbox_id", "name type"),
        (
            "Template",
            "id name type team_id platform vcpus memory_mb disk_size_mb size_bytes default_user created_at",
            "",
        ),
        (
            "Build",
            "id team_id name base_template recipe healthcheck vcpus memory_mb disk_size_mb skip_pre_post no_cache status \
             stage current_step total_steps logs error sandbox_id host_id template_id default_user default_env attempt \
             created_at started_at completed_at",
            "",
        ),
        ("LogEntry", "step phase cmd stdout stderr exit ok elapsed_ms cached started_at", ""),
        ("CreateChannelRequest", "name provider config events", ""),
        ("UpdateChannelRequest", "name events", ""),
        ("RotateConfigRequest", "config", ""),
        ("TestChannelRequest", "provider config", ""),
        (
            "ChannelResponse",
            "id team_id name provider events created_at updated_at disabled_at last_error",
            "secret",
        ),
        ("BackgroundResponse", "sandbox_id cmd pid tag", ""),
        ("Process", "pid tag cmd args terminal user started_at", ""),
        ("ExecRequest", "cmd", "args timeout_sec background tag envs cwd user"),
        ("ExecResponse", "sandbox_id cmd stdout stderr exit_code duration_ms encoding truncated", ""),
        (
            "Host",
            "id type team_id provider availability_zone arch cpu_cores memory_mb disk_gb address status \
             last_heartbeat_at created_at updated_at",
            "created_by team_name",
        ),
        ("CreateHostRequest", "type", "team_id provider availability_zone"),
        ("CreateHostResponse", "host registration_token", ""),
        ("RegisterHostRequest", "token address", "arch cpu_cores memory_mb disk_gb"),
        ("RegisterHostResponse", "host token refresh_token", ""),
        ("RefreshHostTokenRequest", "refresh_token", ""),
        ("HostDeletePreview", "host sandbox_ids capsules templates", ""),
        ("AddTagRequest", "tag", ""),
    ] {
        let mut must: Vec<_> = always.split_whitespace().collect();
        let mut found = required(schema);
        must.sort_unstable();
        found.sort();
        assert_eq!(found, must, "required fields of {schema}");
        let mut all: Vec<_> = always.split_whitespace().chain(sometimes.split_whitespace()).collect();
        let properties = document["components"]["schemas"][schema]["properties"].as_object().unwrap();
        let mut found: Vec<_> = properties.keys().map(String::as_str).collect();
        all.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, all, "fields of {schema}");
    }
}

#[test]
fn every_operation_but_health_says_that_it_may_be_refused_for_load() {
    for (method, path, operation) in operations(&document()) {
        for status in ["429", "503"] {
            let is_described = operation["responses"].get(status).is_some();
            let is_refusable = path != "/health" || status == "503";
            assert_eq!(is_described, is_refusable, "{status} of {method} {path}");
        }
    }
}

#[test]
fn only_what_can_be_null_is_nullable() {
    let document = document();
    let property = |schema: &str, name: &str| {
        serde_json::to_string(&document["components"]["schemas"][schema]["properties"][name]).unwrap()
    };
    for (schema, name) in [
        ("Capsule", "operation"),
        ("Capsule", "last_error"),
        ("Capsule", "started_at"),
        ("Capsule", "template_id"),
        ("Template", "vcpus"),
        ("Template", "memory_mb"),
        ("ApiKeyResponse", "last_used"),
        ("Host", "cpu_cores"),
    ] {
        assert!(property(schema, name).contains("null"), "{schema}.{name}: {}", property(schema, name));
    }
    for (schema, name) in [
        ("Capsule", "guest_ip"),
        ("Capsule", "host_id"),
        ("ApiKeyResponse", "key"),
        ("CreateCapsuleRequest", "vcpus"),
        ("CreateCapsuleRequest", "template"),
        ("CreateCapsuleRequest", "envs"),
        ("CreateSnapshotRequest", "name"),
        ("CreateSnapshotRequest", "type"),
        ("ResumeCapsuleRequest", "drop_memory"),
        ("Template", "name"),
        ("ExecRequest", "args"),
        ("ExecRequest", "timeout_sec"),
    ] {
        assert!(!property(schema, name).contains("null"), "{schema}.{name}: {}", property(schema, name));
    }
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn every_documented_operation_exists_under_all_of_its_names(pool: PgPool) {
    let server = TestServer::start(pool).await;
    let served = server.get("/openapi.json", &As::Nobody).await.ok(200);
    assert_eq!(served, document());
    for (method, path, operation) in operations(&served) {
        // Open, and without a body that could be missing.
        let is_for_browsers = path.starts_with("/v1/auth/oauth/");
        if matches!(path.as_str(), "/health" | "/v1/auth/methods") || is_for_browsers {
            continue;
        }
        let parameters = ["{id}", "{name}", "{selector}", "{uid}", "{iid}", "{provider}", "{tag}"];
        let path = parameters.iter().fold(path, |path, parameter| path.replace(parameter, "nonsense"));
        let mut names = vec![path.clone(), format!("/api{path}")];
        names.extend(path.starts_with("/v1/capsules").then(|| path.replace("/capsules", "/sandboxes")));
        for name in names {
            let answer = server.send(server.request(&method, &name, &As::Nobody)).await;
            // Without credentials and without a body: known addresses complain about just that.
            let is_open = operation["security"] == json!([{}]);
            let complaint = if is_open { (400, "invalid_request") } else { (401, "unauthorized") };
            assert_eq!(answer.error(), complaint, "{method} {name}");
        }
    }
}
