//! Builds: who has them, and what those can write who do not.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{collections::BTreeMap, time::Duration};

use sqlx::PgPool;
use uuid::Uuid;
use wrenn_domain::{
    build::{
        BuildEnd, BuildOrder, BuildStage, BuildStatus, BuildableTeams, Claim, LogStream, LoggedLine,
        NewBuild, StepEnd,
    },
    ids::{BuildId, TeamId, TemplateId},
    page::PageRequest,
    sandbox::NewSandbox,
};
use wrenn_store::{Store, builds::BuildInsertError};
use wrenn_testkit::rows::{attached_host, intent, new_sandbox};

const LEASE: Duration = Duration::from_secs(60);
/// All teams that run on the platform's hosts.
const ALL_TEAMS: BuildableTeams = BuildableTeams { of_platform: true, with_own_hosts: Vec::new() };
const OVER: Duration = Duration::ZERO;

fn new_build(name: &str) -> NewBuild {
    let order = BuildOrder {
        team_id: TeamId::PLATFORM,
        name: name.to_owned(),
        base_template: "minimal".to_owned(),
        recipe: vec!["RUN true".to_owned()],
        healthcheck: None,
        vcpus: 1,
        memory_mb: 512,
        disk_size_mb: 5120,
        skip_pre_post: true,
        no_cache: false,
        created_by: None,
    };
    NewBuild { id: BuildId::new(), order, archive: None, total_steps: 1 }
}

async fn claimed(store: &Store, lease: Duration) -> Claim {
    store.build_claim(lease, &ALL_TEAMS).await.unwrap().expect("there is a build").0
}

fn line(seq: u64) -> LoggedLine {
    LoggedLine { seq, step: 1, stream: LogStream::Stdout, line: format!("line {seq}") }
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn builds_are_taken_up_in_order_and_by_one_each(pool: PgPool) {
    let store = Store::from_pool(pool);
    let ids: Vec<BuildId> = {
        let mut ids = Vec::new();
        for name in ["a", "b", "c"] {
            ids.push(store.build_insert(&new_build(name), &intent()).await.unwrap().id);
        }
        ids
    };
    assert!(matches!(store.build_insert(&new_build("a"), &intent()).await, Err(BuildInsertError::NameInUse)));
    for id in &ids {
        assert!(store.build_is_claimable().await.unwrap());
        assert_eq!(claimed(&store, LEASE).await, Claim { build: *id, attempt: 1 });
    }
    assert!(!store.build_is_claimable().await.unwrap());
    assert_eq!(store.build_claim(LEASE, &ALL_TEAMS).await.unwrap(), None);
    let end = BuildEnd::Failed("no".into());
    assert!(store.build_finish(Claim { build: ids[0], attempt: 1 }, &end).await.unwrap());
    assert!(store.build_insert(&new_build("a"), &intent()).await.is_ok(), "the name is free again");
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn an_attempt_that_has_lost_its_build_writes_nothing(pool: PgPool) {
    let store = Store::from_pool(pool);
    let id = store.build_insert(&new_build("a"), &intent()).await.unwrap().id;
    let first = claimed(&store, OVER).await;
    assert!(store.build_step_begin(first, 1, "recipe", "RUN true", false).await.unwrap());
    assert!(store.build_lines_append(first, &[line(1), line(2)]).await.unwrap());
    let second = claimed(&store, LEASE).await;
    assert_eq!((second.build, second.attempt), (id, 2));
    assert!(store.build_steps(id).await.unwrap().is_empty(), "what an earlier attempt has logged is gone");
    assert!(store.build_lines(id, 0, 10).await.unwrap().is_empty());

    let end = StepEnd { exit: Some(0), ok: true, elapsed_ms: 1 };
    assert!(!store.build_renew(first, LEASE).await.unwrap());
    assert!(!store.build_step_begin(first, 1, "recipe", "RUN true", false).await.unwrap());
    assert!(!store.build_step_end(first, 1, end).await.unwrap());
    assert!(!store.build_lines_append(first, &[line(3)]).await.unwrap());
    assert!(!store.build_stage(first, BuildStage::Steps).await.unwrap());
    assert!(!store.build_defaults(first, "x", &BTreeMap::new()).await.unwrap());
    assert!(!store.build_give_back(first, "no", OVER).await.unwrap());
    assert!(!store.build_finish(first, &BuildEnd::Failed("no".into())).await.unwrap());

    assert!(store.build_renew(second, LEASE).await.unwrap());
    assert!(store.build_step_begin(second, 1, "recipe", "RUN true", false).await.unwrap());
    assert!(store.build_lines_append(second, &[line(11), line(12)]).await.unwrap());
    assert!(!store.build_lines_append(second, &[line(12)]).await.unwrap(), "twice is once");
    assert_eq!(store.build_lines(id, 11, 10).await.unwrap(), [line(12)]);
    assert!(store.build_step_end(second, 1, end).await.unwrap());
    assert_eq!(store.build_steps(id).await.unwrap()[0].ok, Some(true));
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_cancelled_build_stays_cancelled(pool: PgPool) {
    let store = Store::from_pool(pool);
    let id = store.build_insert(&new_build("a"), &intent()).await.unwrap().id;
    let claim = claimed(&store, LEASE).await;
    let cancelled = store.build_cancel(id, None, &intent()).await.unwrap().unwrap();
    assert!(cancelled.status == BuildStatus::Cancelled && cancelled.completed_at.is_some());
    assert!(!store.build_finish(claim, &BuildEnd::Success(TemplateId(Uuid::from_u128(1)))).await.unwrap());
    assert_eq!(store.build_cancel(id, None, &intent()).await.unwrap(), None);
    assert_eq!(store.build_claim(LEASE, &ALL_TEAMS).await.unwrap(), None);
    assert_eq!(store.build_fetch(id, None).await.unwrap().unwrap().status, BuildStatus::Cancelled);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn what_is_given_back_waits_for_its_time(pool: PgPool) {
    let store = Store::from_pool(pool);
    let id = store.build_insert(&new_build("a"), &intent()).await.unwrap().id;
    let claim = claimed(&store, LEASE).await;
    assert!(store.build_give_back(claim, "the host went away", Duration::from_secs(3600)).await.unwrap());
    assert_eq!(store.build_claim(LEASE, &ALL_TEAMS).await.unwrap(), None);
    let build = store.build_fetch(id, None).await.unwrap().unwrap();
    assert_eq!((build.status, build.error.as_deref()), (BuildStatus::Pending, Some("the host went away")));
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn capsules_of_an_attempt_that_is_over_are_found(pool: PgPool) {
    let store = Store::from_pool(pool);
    let host = attached_host(&store).await;
    store.build_insert(&new_build("a"), &intent()).await.unwrap();
    let sandbox = |claim| NewSandbox { build: Some(claim), ..new_sandbox() };
    let first = claimed(&store, OVER).await;
    let row = store.sandbox_insert(&sandbox(first), host, &intent()).await.unwrap().unwrap();
    assert!(store.build_sandboxes_left(host.server).await.unwrap().is_empty());
    claimed(&store, LEASE).await;
    assert_eq!(store.build_sandboxes_left(host.server).await.unwrap(), [(row.id, TeamId::PLATFORM)]);
    assert!(
        store.sandbox_insert(&sandbox(first), host, &intent()).await.unwrap().is_none(),
        "its attempt is over"
    );
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn the_last_known_key_is_found_and_the_least_used_disks_go_first(pool: PgPool) {
    let store = Store::from_pool(pool.clone());
    let step = async |number: u128, size_bytes: i64| {
        let id = TemplateId(Uuid::from_u128(number));
        sqlx::query(
            "INSERT INTO templates (id, team_id, name, type, disk_size_mb, purpose, size_bytes)
             VALUES ($1, '00000000-0000-0000-0000-000000000000', $2, 'base', 1, 'step', $3)",
        )
        .bind(id.0)
        .bind(format!("step.{number}"))
        .bind(size_bytes)
        .execute(&pool)
        .await
        .unwrap();
        id
    };
    let (old, new, useless) = (step(10, 100).await, step(11, 100).await, step(12, 100).await);
    store.build_cache_put(&[1; 32], old).await.unwrap();
    store.build_cache_put(&[2; 32], new).await.unwrap();
    let find = async |keys: &[[u8; 32]]| store.build_cache_find(TeamId::PLATFORM, keys).await.unwrap();
    assert_eq!(find(&[[1; 32], [2; 32], [3; 32]]).await, Some((1, new)));
    assert_eq!(find(&[[1; 32], [9; 32]]).await, Some((0, old)));
    assert_eq!(find(&[[9; 32]]).await, None);
    assert_eq!(find(&[]).await, None);
    // `old` was used last.
    let excess = async |limit| {
        let found = store.build_cache_excess(limit).await.unwrap().into_iter();
        found.map(|(id, _)| id).collect::<Vec<_>>()
    };
    assert_eq!(excess(150).await, [useless, new]);
    assert_eq!(excess(1000).await, [useless]);
    store.build_cache_put(&[1; 32], new).await.unwrap();
    assert_eq!(excess(1000).await, [old, useless]);
    let listed = store.template_list(TeamId::PLATFORM, None, PageRequest::WHOLE).await.unwrap().items;
    assert_eq!(listed.len(), 1, "steps are nobody's to see");
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_step_that_ends_leaves_an_entry_with_the_end_of_its_output(pool: PgPool) {
    let store = Store::from_pool(pool.clone());
    let id = store.build_insert(&new_build("a"), &intent()).await.unwrap().id;
    let claim = claimed(&store, OVER).await;
    let entries = async || store.build_entries(&[id]).await.unwrap().remove(&id).unwrap();
    assert!(store.build_step_begin(claim, 1, "pre-build", "USER a", true).await.unwrap());
    assert!(!store.build_step_begin(claim, 1, "pre-build", "USER a", true).await.unwrap(), "twice is once");
    assert!(store.build_step_begin(claim, 2, "recipe", "RUN make", false).await.unwrap());
    assert_eq!(entries().await.len(), 1, "the second step has not ended");

    let line = |seq: u64, stream, line: String| LoggedLine { seq, step: 2, stream, line };
    let long = "ä".repeat(4000);
    let mut lines = vec![line(1, LogStream::Stdout, "first".into()), line(2, LogStream::Stderr, "oh".into())];
    lines.extend((3..8).map(|seq| line(seq, LogStream::Stdout, long.clone())));
    lines.push(line(8, LogStream::Stdout, "last".into()));
    assert!(store.build_lines_append(claim, &lines).await.unwrap());
    let end = StepEnd { exit: Some(2), ok: false, elapsed_ms: 7 };
    for _ in 0..2 {
        // The answer to the first may have been lost.
        assert!(store.build_step_end(claim, 2, end).await.unwrap());
    }
    let found = entries().await;
    assert_eq!(found.len(), 2, "{found:?}");
    let (cached, made) = (&found[0], &found[1]);
    assert!(cached.step.cached && cached.step.ok == Some(true) && cached.stdout.is_empty());
    assert_eq!((made.step.exit, made.step.ok, made.step.elapsed_ms), (Some(2), Some(false), 7));
    assert_eq!(made.stderr, "oh\n");
    assert!(made.stdout.starts_with('ä') && made.stdout.ends_with("ä\nlast\n"));
    assert!((16 * 1024 - 1..=16 * 1024).contains(&made.stdout.len()), "{}", made.stdout.len());
    let keys: Vec<String> = sqlx::query_scalar(
        "SELECT jsonb_object_keys(logs -> 1) AS key FROM template_builds WHERE id = $1 ORDER BY key",
    )
    .bind(id.0)
    .fetch_all(&pool)
    .await
    .unwrap();
    let names =
        ["cached", "cmd", "elapsed_ms", "exit", "ok", "phase", "started_at", "stderr", "stdout", "step"];
    assert_eq!(keys, names);

    let second = claimed(&store, LEASE).await;
    assert_eq!(entries().await, [], "a new attempt begins with an empty log");
    assert!(!store.build_step_end(claim, 2, end).await.unwrap());
    assert!(!store.build_step_begin(claim, 3, "recipe", "RUN true", true).await.unwrap());
    assert!(store.build_step_begin(second, 1, "pre-build", "USER a", true).await.unwrap());
    assert_eq!(entries().await.len(), 1);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_list_is_bounded_and_its_first_builds_have_their_logs(pool: PgPool) {
    let store = Store::from_pool(pool.clone());
    let mut ids = Vec::new();
    for name in ["a", "b", "c"] {
        ids.push(store.build_insert(&new_build(name), &intent()).await.unwrap().id);
        sqlx::query(
            r#"UPDATE template_builds SET logs = jsonb_build_array('{"step": 1, "phase": "recipe", "cmd": "RUN true",
                "stderr": "", "exit": 0, "ok": true, "elapsed_ms": 1, "cached": false, "started_at": "2026-01-01T00:00:00Z"}'
                ::jsonb || jsonb_build_object('stdout', repeat('x', 7 * 1024 * 1024))) WHERE name = $1"#,
        )
        .bind(name)
        .execute(&pool)
        .await
        .unwrap();
    }
    ids.reverse();
    let entries = store.build_entries(&ids).await.unwrap();
    let lengths: Vec<_> = ids.iter().map(|id| entries.get(id).map(Vec::len)).collect();
    assert_eq!(lengths, [Some(1), Some(1), None]);
}

/// Makes a team.
async fn team(pool: &PgPool, name: &str) -> TeamId {
    let team = TeamId::new();
    sqlx::query("INSERT INTO teams (id, name, slug) VALUES ($1, $2, $2)")
        .bind(team.0)
        .bind(name)
        .execute(pool)
        .await
        .unwrap();
    team
}

fn new_build_of(team_id: TeamId, name: &str) -> NewBuild {
    let new = new_build(name);
    NewBuild { order: BuildOrder { team_id, ..new.order.clone() }, ..new }
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn teams_take_turns_and_a_server_takes_up_what_its_hosts_can_build(pool: PgPool) {
    let store = Store::from_pool(pool.clone());
    let (ada, bob) = (team(&pool, "ada").await, team(&pool, "bob").await);
    for (team, name) in [(ada, "a"), (ada, "b"), (ada, "c"), (ada, "d"), (bob, "a"), (bob, "b")] {
        store.build_insert(&new_build_of(team, name), &intent()).await.unwrap();
    }
    let claim = async |teams: &BuildableTeams| {
        let claimed = store.build_claim(LEASE, teams).await.unwrap();
        claimed.map(|(claim, build)| (claim, build.order.team_id, build.order.name))
    };
    let turn = async || {
        let (_, team, name) = claim(&ALL_TEAMS).await.unwrap();
        (team, name)
    };
    let named = |team, name: &str| (team, name.to_owned());
    let only = |teams: &[TeamId]| BuildableTeams { of_platform: false, with_own_hosts: teams.to_vec() };
    let own_hosts = async |is_byoc: bool| {
        let set = sqlx::query("UPDATE teams SET is_byoc = $2 WHERE id = $1").bind(bob.0).bind(is_byoc);
        set.execute(&pool).await.unwrap();
    };
    assert_eq!(claim(&only(&[])).await, None);
    assert_eq!(claim(&only(&[TeamId::PLATFORM, bob])).await, None, "both run on the platform's hosts");
    own_hosts(true).await;
    let (first, team, name) = claim(&only(&[bob])).await.unwrap();
    assert_eq!((team, name), named(bob, "a"));
    let (_, team, _) = claim(&ALL_TEAMS).await.unwrap();
    assert_eq!(team, ada, "builds of a team that runs on its own hosts wait for them");
    own_hosts(false).await;
    assert_eq!(turn().await, named(ada, "b"), "both have one, and this is the oldest");
    assert_eq!(turn().await, named(bob, "b"));
    assert!(store.build_finish(first, &BuildEnd::Failed("no".into())).await.unwrap());
    store.build_insert(&new_build_of(bob, "a"), &intent()).await.unwrap();
    assert_eq!(turn().await, named(bob, "a"), "the newest of all, of the team with the fewest");
    sqlx::query("UPDATE teams SET deleted_at = now() WHERE id = $1")
        .bind(ada.0)
        .execute(&pool)
        .await
        .unwrap();
    assert_eq!(claim(&ALL_TEAMS).await, None, "nothing is built for a team that was deleted");
    let left = store.builds_of_deleted_teams().await.unwrap();
    assert!(left.len() == 4 && left.iter().all(|(team, _)| *team == ada), "{left:?}");
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn claims_at_the_same_time_take_turns_too(pool: PgPool) {
    let store = Store::from_pool(pool.clone());
    let mut teams = Vec::new();
    for name in ["a", "b", "c", "d"] {
        let team = team(&pool, name).await;
        teams.push(team);
        for build in 0..4 {
            store.build_insert(&new_build_of(team, &format!("build-{build}")), &intent()).await.unwrap();
        }
    }
    let claims = (0..8).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { store.build_claim(LEASE, &ALL_TEAMS).await.unwrap().unwrap().1 })
    });
    let mut counts: BTreeMap<TeamId, u32> = BTreeMap::new();
    for claim in claims.collect::<Vec<_>>() {
        *counts.entry(claim.await.unwrap().order.team_id).or_default() += 1;
    }
    assert_eq!(counts, teams.into_iter().map(|team| (team, 2)).collect());
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn what_a_team_has_is_no_other_teams(pool: PgPool) {
    let store = Store::from_pool(pool.clone());
    let (ada, bob) = (team(&pool, "ada").await, team(&pool, "bob").await);
    let id = store.build_insert(&new_build_of(ada, "a"), &intent()).await.unwrap().id;
    store.build_insert(&new_build_of(bob, "a"), &intent()).await.unwrap();
    assert!(store.build_fetch(id, Some(ada)).await.unwrap().is_some());
    assert_eq!(store.build_fetch(id, Some(bob)).await.unwrap(), None);
    assert_eq!(store.build_fetch(id, Some(TeamId::PLATFORM)).await.unwrap(), None);
    assert_eq!(store.build_cancel(id, Some(bob), &intent()).await.unwrap(), None);
    let listed = store.build_list(Some(ada), PageRequest::WHOLE).await.unwrap().items;
    assert_eq!(listed.iter().map(|build| build.id).collect::<Vec<_>>(), [id]);
    assert_eq!(store.build_list(None, PageRequest::WHOLE).await.unwrap().items.len(), 2);

    // The base of a team is its own template, else the platform's.
    assert_eq!(store.builds_from(TeamId::PLATFORM, "minimal").await.unwrap().len(), 2);
    let template = |purpose: &'static str, team: TeamId, name: &'static str| {
        sqlx::query_scalar::<_, Uuid>(
            "INSERT INTO templates (id, team_id, name, type, disk_size_mb, purpose)
             VALUES (gen_random_uuid(), $1, $2, 'base', 1, $3) RETURNING id",
        )
        .bind(team.0)
        .bind(name)
        .bind(purpose)
        .fetch_one(&pool)
    };
    template("template", ada, "minimal").await.unwrap();
    assert_eq!(store.builds_from(ada, "minimal").await.unwrap(), [id]);
    assert_eq!(store.builds_from(TeamId::PLATFORM, "minimal").await.unwrap().len(), 1);

    let step = TemplateId(template("step", ada, "step.1").await.unwrap());
    store.build_cache_put(&[1; 32], step).await.unwrap();
    assert_eq!(store.build_cache_find(ada, &[[1; 32]]).await.unwrap(), Some((0, step)));
    assert_eq!(store.build_cache_find(bob, &[[1; 32]]).await.unwrap(), None);
    for (team, name, is_reserved) in
        [(ada, "minimal", true), (TeamId::PLATFORM, "minimal", true), (bob, "app", false)]
    {
        assert_eq!(store.build_name_is_reserved(team, name).await.unwrap(), is_reserved);
    }
    template("template", TeamId::PLATFORM, "app").await.unwrap();
    assert!(store.build_name_is_reserved(bob, "app").await.unwrap());
    assert!(!store.build_name_is_reserved(TeamId::PLATFORM, "app").await.unwrap());
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn the_capsule_of_a_build_is_not_the_teams_to_see(pool: PgPool) {
    let store = Store::from_pool(pool.clone());
    let (ada, host) = (team(&pool, "ada").await, attached_host(&store).await);
    store.build_insert(&new_build_of(ada, "a"), &intent()).await.unwrap();
    let claim = claimed(&store, LEASE).await;
    let new = |build| NewSandbox { team_id: ada, build, ..new_sandbox() };
    let row = store.sandbox_insert(&new(Some(claim)), host, &intent()).await.unwrap().unwrap();
    let own = store.sandbox_insert(&new(None), host, &intent()).await.unwrap().unwrap();
    assert_eq!(
        store
            .sandbox_list(ada, PageRequest::WHOLE)
            .await
            .unwrap()
            .items
            .iter()
            .map(|row| row.id)
            .collect::<Vec<_>>(),
        [own.id]
    );
    assert_eq!(store.sandbox_fetch(ada, row.id).await.unwrap(), None);
    assert_eq!(store.sandbox_preview(row.id, None).await.unwrap(), None);
    assert!(store.sandbox_preview(own.id, None).await.unwrap().is_some());
    assert!(store.sandbox_load(row.id).await.unwrap().is_some_and(|row| row.team_id == ada));
    assert_eq!(store.build_sandboxes_left(host.server).await.unwrap(), []);
    store.build_cancel(claim.build, None, &intent()).await.unwrap();
    assert_eq!(store.build_sandboxes_left(host.server).await.unwrap(), [(row.id, ada)]);
}
