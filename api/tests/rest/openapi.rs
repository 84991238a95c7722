//! The OpenAPI document: complete, true, and with every field of the contract.

use serde_json::{Value, json};
use sqlx::PgPool;

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
            "DELETE /v1/admin/templates/{name} delete_any_template",
            "DELETE /v1/api-keys/{id} delete_api_key",
            "DELETE /v1/capsules/{id} destroy_capsule",
            "DELETE /v1/capsules/{id}/processes/{selector} kill_process",
            "DELETE /v1/snapshots/{name} delete_snapshot",
            "GET /health health",
            "GET /v1/admin/builds list_builds",
            "GET /v1/admin/builds/{id} get_build",
            "GET /v1/admin/builds/{id}/logs follow_build",
            "GET /v1/admin/templates list_all_templates",
            "GET /v1/api-keys list_api_keys",
            "GET /v1/capsules list_capsules",
            "GET /v1/capsules/{id} get_capsule",
            "GET /v1/capsules/{id}/exec/stream exec_stream",
            "GET /v1/capsules/{id}/files/watch watch_files",
            "GET /v1/capsules/{id}/processes list_processes",
            "GET /v1/capsules/{id}/processes/{selector}/stream follow_process",
            "GET /v1/capsules/{id}/pty pty",
            "GET /v1/hosts list_hosts",
            "GET /v1/me get_me",
            "GET /v1/snapshots list_snapshots",
            "GET /v1/teams list_teams",
            "POST /v1/admin/builds create_build",
            "POST /v1/admin/builds/{id}/cancel cancel_build",
            "POST /v1/api-keys create_api_key",
            "POST /v1/auth/login login",
            "POST /v1/auth/signup signup",
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
            "POST /v1/snapshots create_snapshot",
            "PUT /v1/capsules/{id}/preview set_capsule_preview",
        ]
    );
}

#[test]
fn every_operation_says_how_it_fails_and_who_may_call_it() {
    for (method, path, operation) in operations(&document()) {
        let security = operation["security"].as_array().unwrap();
        if path == "/health" || path.starts_with("/v1/auth/") {
            assert_eq!(security, &[json!({})], "{method} {path} is open");
            continue;
        }
        assert!(security.contains(&json!({"bearerAuth": []})), "{method} {path}");
        let takes_key = security.contains(&json!({"apiKeyAuth": []}));
        let is_for_programs = path.starts_with("/v1/capsules") || path.starts_with("/v1/snapshots");
        assert_eq!(takes_key, is_for_programs, "{method} {path}");
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
        ("Error", "error", ""),
        ("SignupRequest", "email password name", ""),
        ("LoginRequest", "email password", ""),
        ("AuthResponse", "token user_id team_id email name is_admin", ""),
        ("CreateApiKeyRequest", "", "name"),
        ("ApiKeyResponse", "id team_id name key_prefix created_at last_used", "key"),
        ("MeResponse", "user_id team_id name email is_admin has_password providers", ""),
        ("TeamWithRole", "id name slug is_byoc created_at role", ""),
        (
            "CreateCapsuleRequest",
            "",
            "template vcpus memory_mb disk_size_mb timeout_sec envs metadata auto_resume preview_access wait",
        ),
        (
            "Capsule",
            "id status operation last_error stop_reason template template_id host_id vcpus memory_mb \
             disk_size_mb timeout_sec auto_resume default_user metadata created_at started_at \
             last_active_at last_updated preview_access preview_token preview_url",
            "guest_ip host_ip",
        ),
        ("ResumeCapsuleRequest", "", "drop_memory"),
        ("SetTimeoutRequest", "timeout_sec", ""),
        ("CreateSnapshotRequest", "sandbox_id", "name type"),
        (
            "Template",
            "id name type team_id platform vcpus memory_mb disk_size_mb size_bytes default_user created_at",
            "",
        ),
        ("BackgroundResponse", "sandbox_id cmd pid tag", ""),
        ("Process", "pid tag cmd args terminal user started_at", ""),
        ("ExecRequest", "cmd", "args timeout_sec background tag envs cwd user"),
        ("ExecResponse", "sandbox_id cmd stdout stderr exit_code duration_ms encoding truncated", ""),
        (
            "Host",
            "id type team_id provider availability_zone arch cpu_cores memory_mb disk_gb address status \
             last_heartbeat_at created_at updated_at",
            "created_by",
        ),
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
        if path == "/health" {
            continue;
        }
        let path =
            path.replace("{id}", "nonsense").replace("{name}", "nonsense").replace("{selector}", "nonsense");
        let mut names = vec![path.clone(), format!("/api{path}")];
        names.extend(path.contains("/capsules").then(|| path.replace("/capsules", "/sandboxes")));
        for name in names {
            let answer = server.send(server.request(&method, &name, &As::Nobody)).await;
            // Without credentials and without a body: known addresses complain about just that.
            let is_open = operation["security"] == json!([{}]);
            let complaint = if is_open { (400, "invalid_request") } else { (401, "unauthorized") };
            assert_eq!(answer.error(), complaint, "{method} {name}");
        }
    }
}
