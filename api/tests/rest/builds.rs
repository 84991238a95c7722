//! Builds as their administrators see them. No worker takes them up here: what they do is tested on real machines.

use std::{io::Write as _, path::Path};

use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use sqlx::PgPool;
use wrenn_api::ObjectsLocation;

use crate::support::{Answer, As, TestServer, config};

/// A server on which builds wait, with its objects in a folder.
async fn server(pool: PgPool, objects: &Path) -> (TestServer, As) {
    let config = wrenn_api::ServerConfig {
        build_workers: 0,
        objects: ObjectsLocation::Folder(objects.to_owned()),
        ..config(&pool)
    };
    let server = TestServer::start_with(pool, config).await;
    // The first account is the platform's administrator.
    let admin = server.token("ada").await;
    (server, admin)
}

fn tar(files: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        // As it is: `append_data` refuses names that lead out.
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        archive.append(&header, content.as_bytes()).unwrap();
    }
    archive.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gz.write_all(bytes).unwrap();
    gz.finish().unwrap()
}

async fn send(server: &TestServer, who: &As, form: Form) -> Answer {
    server.send(server.request("POST", "/v1/admin/builds", who).multipart(form)).await
}

fn form(config: &Value, archive: Vec<u8>) -> Form {
    Form::new().text("config", config.to_string()).part("archive", Part::bytes(archive).file_name("a.tar"))
}

/// How many files are below a folder.
fn files(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| if entry.path().is_dir() { files(&entry.path()) } else { 1 }).sum()
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn only_administrators_build(pool: PgPool) {
    let objects = tempfile::tempdir().unwrap();
    let (server, admin) = server(pool, objects.path()).await;
    let (other, key) = (server.token("bob").await, server.key(&admin).await);
    let created = server.post("/v1/admin/builds", &admin, json!({ "name": "a", "recipe": "RUN true" })).await;
    let id = created.text("id").to_owned();
    for (method, path) in [
        ("GET", "/v1/admin/builds".to_owned()),
        ("POST", "/v1/admin/builds".to_owned()),
        ("GET", format!("/v1/admin/builds/{id}")),
        ("GET", format!("/v1/admin/builds/{id}/logs")),
        ("POST", format!("/v1/admin/builds/{id}/cancel")),
        ("GET", "/v1/admin/templates".to_owned()),
        ("DELETE", "/v1/admin/templates/minimal".to_owned()),
    ] {
        for (who, status) in [(&As::Nobody, 401), (&key, 401), (&other, 403)] {
            let answer = server.send(server.request(method, &path, who)).await;
            assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
        }
    }
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_build_is_created_shown_listed_and_cancelled(pool: PgPool) {
    let objects = tempfile::tempdir().unwrap();
    let (server, admin) = server(pool, objects.path()).await;
    let config = json!({
        "name": "app", "recipe": ["RUN true", "COPY a.txt /a"], "healthcheck": "true", "memory_mb": 256,
    });
    let build = send(&server, &admin, form(&config, tar(&[("a.txt", "a")]))).await.ok(201);
    assert_eq!(build["status"], "pending");
    // Three before the recipe, two after it, and the healthcheck.
    assert_eq!((&build["total_steps"], &build["current_step"]), (&json!(8), &json!(0)));
    assert_eq!(
        (&build["memory_mb"], &build["vcpus"], &build["base_template"]),
        (&json!(256), &json!(1), &json!("minimal"))
    );
    assert_eq!(files(objects.path()), 1);

    let path = format!("/v1/admin/builds/{}", build["id"].as_str().unwrap());
    assert_eq!(server.get(&path, &admin).await.ok(200)["recipe"], json!(["RUN true", "COPY a.txt /a"]));
    let listed = server.get("/api/v1/admin/builds", &admin).await.ok(200);
    assert_eq!(listed[0]["id"], build["id"]);

    let again = send(&server, &admin, form(&config, tar(&[("a.txt", "a")]))).await;
    assert_eq!(again.error(), (409, "template_name_taken"), "{again:?}");
    let cancelled = server.post(&format!("{path}/cancel"), &admin, json!({})).await.ok(200);
    assert!(cancelled["status"] == "cancelled" && cancelled["completed_at"].is_string(), "{cancelled}");
    let twice = server.post(&format!("{path}/cancel"), &admin, json!({})).await;
    assert_eq!(twice.error(), (409, "invalid_state"));
    assert_eq!(files(objects.path()), 0, "the archives of builds that have ended are removed");

    let events = server.get(&format!("{path}/logs"), &admin).await;
    assert_eq!(events.headers["content-type"], "text/event-stream");
    let text = events.body.as_str().unwrap();
    assert!(
        text.starts_with("event: build\ndata: {") && text.ends_with("event: end\ndata: {}\n\n"),
        "{text}"
    );
    let unknown = "/v1/admin/builds/bld-0000000000000000000000000";
    for answer in [
        server.get(unknown, &admin).await,
        server.get(&format!("{unknown}/logs"), &admin).await,
        server.post(&format!("{unknown}/cancel"), &admin, json!({})).await,
    ] {
        assert_eq!(answer.error(), (404, "not_found"));
    }
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn what_is_wrong_is_named(pool: PgPool) {
    let objects = tempfile::tempdir().unwrap();
    let (server, admin) = server(pool, objects.path()).await;
    let with = |field: &str, value: Value| {
        let mut body = json!({ "name": "a", "recipe": "RUN true" });
        body[field] = value;
        body
    };
    for (body, status, words) in [
        (json!({ "recipe": "RUN true" }), 400, "name"),
        (json!({ "name": "a" }), 400, "recipe"),
        (with("name", json!("A b")), 400, "name"),
        (with("name", json!("minimal")), 409, "minimal"),
        (with("base_template", json!("nothing")), 404, "base_template"),
        (with("base_template", json!("../x")), 404, "base_template"),
        (with("vcpus", json!(0)), 400, "vcpus"),
        (with("memory_mb", json!(1)), 400, "memory_mb"),
        (with("disk_size_mb", json!(-5)), 400, "disk_size_mb"),
        (with("healthcheck", json!("--every=1s true")), 400, "healthcheck"),
        (with("healthcheck", json!("")), 400, "healthcheck"),
        (with("recipe", json!(["RUN true", "FLY"])), 400, "recipe: line 2"),
        (with("recipe", json!("RUN a\n\nRUN")), 400, "recipe: line 3: RUN"),
        (with("recipe", json!("USER Bad Name")), 400, "recipe: line 1: USER"),
        (with("recipe", json!("ENV X")), 400, "recipe: line 1: ENV"),
        (with("recipe", json!("RUN --timeout=x true")), 400, "recipe: line 1: RUN"),
        (with("recipe", json!("COPY a b")), 400, "archive"),
        (with("recipe", json!("RUN a \\")), 400, "line 1"),
        (with("recipe", json!(7)), 400, "recipe"),
        (with("unknown", json!(7)), 400, "unknown"),
    ] {
        let answer = server.post("/v1/admin/builds", &admin, body.clone()).await;
        let message = answer.message().to_owned();
        assert!(answer.status == status && message.contains(words), "{body}: {answer:?}");
    }
    assert_eq!(server.get("/v1/admin/builds", &admin).await.ok(200), json!([]));
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_hostile_archive_leaves_nothing(pool: PgPool) {
    let objects = tempfile::tempdir().unwrap();
    let (server, admin) = server(pool, objects.path()).await;
    let config = json!({ "name": "a", "recipe": "COPY . /srv" });
    let good = tar(&[("a.txt", "a")]);
    let zeros = "\0".repeat(64 * 1024 * 1024);
    for (what, archive, words) in [
        ("traversal", tar(&[("../../etc/passwd", "x")]), "../../etc/passwd"),
        ("absolute", tar(&[("/etc/passwd", "x")]), "/etc/passwd"),
        ("twice", tar(&[("a", "x"), ("a", "y")]), "a"),
        ("bomb", gzip(&tar(&[("zeros", &zeros)])), "zeros"),
        ("text", b"hello".to_vec(), "tar"),
        ("nothing", Vec::new(), "tar"),
        ("cut off", gzip(&good)[..40].to_vec(), "archive"),
        ("half a tar", good[..600].to_vec(), "archive"),
    ] {
        let answer = send(&server, &admin, form(&config, archive)).await;
        let message = answer.message().to_owned();
        assert_eq!(answer.error(), (400, "invalid_request"), "{what}: {answer:?}");
        assert!(message.starts_with("archive: ") && message.contains(words), "{what}: {message}");
        assert_eq!(files(objects.path()), 0, "{what}");
    }
    let config = |recipe: &str| json!({ "name": "a", "recipe": recipe });
    let part = |name: &'static str| Form::new().part(name, Part::bytes(good.clone()).file_name("a"));
    for (form, words) in [
        (form(&config("COPY b.txt /srv"), good.clone()), "recipe: line 1: COPY: the archive has no `b.txt`"),
        (form(&config("RUN true"), good.clone()), "archive: the recipe copies nothing"),
        (form(&config("COPY a.txt rel"), good.clone()).text("more", "x"), "`config` and `archive`"),
        (part("archive"), "config: is missing"),
        (form(&config("COPY . /srv"), good.clone()).part("archive", Part::bytes(good.clone())), "once only"),
        (part("archive").text("config", "{"), "config: "),
    ] {
        let answer = send(&server, &admin, form).await;
        let message = answer.message().to_owned();
        assert!(answer.status == 400 && message.contains(words), "{words}: {answer:?}");
        assert_eq!(files(objects.path()), 0, "{words}");
    }
    let large = vec![0; 100 * 1024 * 1024 + 1];
    let answer = send(&server, &admin, form(&config("COPY . /srv"), large)).await;
    assert_eq!(answer.error(), (413, "too_large"), "{answer:?}");
    assert_eq!(files(objects.path()), 0);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn templates_that_are_needed_stay(pool: PgPool) {
    let objects = tempfile::tempdir().unwrap();
    let (server, admin) = server(pool.clone(), objects.path()).await;
    sqlx::query(
        "INSERT INTO templates (id, team_id, name, type, disk_size_mb)
         VALUES (gen_random_uuid(), '00000000-0000-0000-0000-000000000000', 'base', 'base', 5120)",
    )
    .execute(&pool)
    .await
    .unwrap();
    let listed = server.get("/v1/admin/templates", &admin).await.ok(200);
    assert_eq!(listed.as_array().unwrap().len(), 2);
    assert!(listed[0]["team_name"] == "Platform" && listed[0]["name"] == "base", "{listed}");

    let config = json!({ "name": "app", "base_template": "base", "recipe": "RUN true" });
    let build = server.post("/v1/admin/builds", &admin, config).await.ok(201);
    let id = build["id"].as_str().unwrap();
    let needed = server.delete("/v1/admin/templates/base", &admin).await;
    assert_eq!(needed.error(), (409, "conflict"));
    assert!(needed.message().contains(id), "{needed:?}");
    server.post(&format!("/v1/admin/builds/{id}/cancel"), &admin, json!({})).await.ok(200);
    assert_eq!(server.delete("/v1/admin/templates/base", &admin).await.status, 204);
    for (path, status) in [
        ("/v1/admin/templates/base", 404),
        ("/v1/admin/templates/minimal", 409),
        ("/v1/admin/templates/minimal?team_id=team-0000000000000000000000001", 404),
        ("/v1/admin/templates/minimal?team_id=x", 400),
        ("/v1/admin/templates/No%20Name", 404),
    ] {
        assert_eq!(server.delete(path, &admin).await.status, status, "{path}");
    }
}
