//! Quotas under races: statements of several connections at once, which no actor puts in order.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic, also in its helpers")]

use sqlx::PgPool;
use wrenn_domain::{
    audit::AuditChange,
    ids::{SandboxId, TeamId},
    lifecycle::{End, Hold, Lifecycle, Operation, SandboxStatus},
    page::PageRequest,
    quota::{NotAdmitted, Quota, QuotaExceeded, QuotaResource},
    sandbox::NewSandbox,
};
use wrenn_store::{
    Store,
    sandboxes::{InsertError, TransitionError},
    teams::TeamDeletion,
};
use wrenn_testkit::rows::{attached_host, attachment, intent, new_sandbox, running};

async fn team(pool: &PgPool, quota: Quota) -> TeamId {
    let team = TeamId::new();
    sqlx::query("INSERT INTO teams (id, name, slug, quota) VALUES ($1, 'team', $2, $3)")
        .bind(team.0)
        .bind(team.to_string())
        .bind(sqlx::types::Json(quota))
        .execute(pool)
        .await
        .unwrap();
    team
}

fn limited(running_capsules: u64, paused_capsules: u64) -> Quota {
    Quota {
        running_capsules: Some(running_capsules),
        paused_capsules: Some(paused_capsules),
        ..Quota::default()
    }
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn inserts_of_many_connections_at_once_keep_to_the_quota(pool: PgPool) {
    let store = Store::from_pool(pool.clone());
    let host = attached_host(&store).await;
    let (one, other) = (team(&pool, limited(10, 0)).await, team(&pool, Quota::default()).await);
    let tasks: Vec<_> = (0..50)
        .flat_map(|_| [one, other])
        .map(|team_id| {
            let store = store.clone();
            tokio::spawn(async move {
                let new = NewSandbox { id: SandboxId::new(), team_id, ..new_sandbox() };
                (team_id, store.sandbox_insert(&new, host, &intent()).await)
            })
        })
        .collect();
    let mut refused = 0;
    for task in tasks {
        let (team_id, inserted) = task.await.unwrap();
        match inserted {
            Ok(row) => assert!(row.is_some()),
            Err(InsertError::NotAdmitted(refusal)) => {
                let resource = QuotaResource::RunningCapsules;
                let exceeded = QuotaExceeded { resource, limit: 10, used: 10 };
                assert_eq!((team_id, refusal), (one, NotAdmitted::Exceeded(exceeded)));
                refused += 1;
            }
            Err(error) => panic!("{error:?}"),
        }
    }
    assert_eq!(refused, 40);
    for (team, expected) in [(one, 10), (other, 50)] {
        let rows = store.sandbox_list(team, PageRequest::WHOLE).await.unwrap().items;
        assert_eq!(rows.len(), expected);
        assert_eq!(store.team_quota(team).await.unwrap().unwrap().usage.running_capsules, expected as u64);
    }
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn one_connection_admits_changes_of_every_kind_in_turn(pool: PgPool) {
    let quota =
        Quota::of(|resource| Some(if resource == QuotaResource::PausedCapsules { 0 } else { 100_000 }));
    let limited = team(&pool, quota).await;
    let free = team(&pool, Quota::default()).await;
    // Plans are kept with the connection.
    let mut connection = pool.acquire().await.unwrap();
    for _ in 0..2 {
        for (team, demand, is_admitted) in [
            (limited, "1, 1, 512, 5120, 0, 0, NULL", true),
            (limited, "0, 0, 0, 0, 0, 0, 'template'", true),
            (limited, "0, 0, 0, 0, 1, 0, NULL", false),
            (limited, "0, 0, 0, 0, 0, 1, 'template'", true),
            (free, "1, 1, 512, 5120, 0, 0, NULL", true),
            (free, "0, 0, 0, 0, 1, 0, NULL", true),
            (TeamId::PLATFORM, "0, 0, 0, 0, 0, 1, 'template'", true),
        ] {
            let ask = format!("SELECT team_admits($1, {demand})");
            let ask = sqlx::query_scalar::<_, bool>(sqlx::AssertSqlSafe(ask)).bind(team.0);
            let answer = ask.fetch_one(&mut *connection).await;
            match answer {
                Ok(admitted) => assert!(admitted && is_admitted, "{demand}"),
                Err(error) => {
                    let code = error.as_database_error().and_then(|error| error.code().map(String::from));
                    assert_eq!((code.as_deref(), is_admitted), (Some("WRN01"), false), "{demand}: {error}");
                }
            }
        }
    }
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn resumes_and_pauses_at_once_keep_to_the_quota_and_a_deleted_team_gets_nothing(pool: PgPool) {
    let store = Store::from_pool(pool.clone());
    let host = attached_host(&store).await;
    let team_id = team(&pool, Quota::default()).await;
    let mut rows = Vec::new();
    for _ in 0..8 {
        let new = NewSandbox { id: SandboxId::new(), team_id, ..new_sandbox() };
        let row = store.sandbox_insert(&new, host, &intent()).await.unwrap().unwrap();
        let to = running(&row.lifecycle);
        let audit = AuditChange::default();
        let done = store.sandbox_transition(row.id, host, &row.lifecycle, &to, None, &audit).await;
        rows.push(done.unwrap().unwrap());
    }
    let set = "UPDATE teams SET quota = $2 WHERE id = $1";
    let quota = sqlx::types::Json(limited(3, 3));
    sqlx::query(set).bind(team_id.0).bind(quota).execute(&pool).await.unwrap();
    let tasks: Vec<_> = rows
        .iter()
        .cloned()
        .map(|row| {
            let store = store.clone();
            tokio::spawn(async move {
                let to = Lifecycle {
                    operation: Some(Operation::Pausing),
                    generation: row.lifecycle.generation.next(),
                    ..row.lifecycle.clone()
                };
                let audit = AuditChange { begins: Some(intent()), ends: None };
                let host = attachment(&store, row.host_id).await;
                store.sandbox_transition(row.id, host, &row.lifecycle, &to, None, &audit).await
            })
        })
        .collect();
    let mut begun = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(row) => {
                assert!(row.is_some());
                begun += 1;
            }
            Err(TransitionError::NotAdmitted(NotAdmitted::Exceeded(exceeded))) => {
                assert_eq!(exceeded.resource, QuotaResource::PausedCapsules);
            }
            Err(error) => panic!("{error:?}"),
        }
    }
    assert_eq!(begun, 3);

    // Three are paused now, and five run: there is room for one of them.
    sqlx::query("UPDATE sandboxes SET status = 'paused', operation = NULL WHERE operation = 'pausing'")
        .execute(&pool)
        .await
        .unwrap();
    let quota = sqlx::types::Json(limited(6, 3));
    sqlx::query(set).bind(team_id.0).bind(quota).execute(&pool).await.unwrap();
    let all = store.sandbox_list(team_id, PageRequest::WHOLE).await.unwrap().items;
    let paused = all.into_iter().filter(|row| row.lifecycle.status == SandboxStatus::Paused);
    let tasks: Vec<_> = paused
        .map(|row| {
            let store = store.clone();
            tokio::spawn(async move {
                let to = Lifecycle {
                    operation: Some(Operation::Resuming),
                    generation: row.lifecycle.generation.next(),
                    ..row.lifecycle.clone()
                };
                let audit = AuditChange { begins: Some(intent()), ends: None };
                store.sandbox_transition(row.id, host, &row.lifecycle, &to, None, &audit).await
            })
        })
        .collect();
    let mut outcomes = Vec::new();
    for task in tasks {
        outcomes.push(match task.await.unwrap() {
            Ok(row) => row.map(|row| row.lifecycle.operation).ok_or("overtaken"),
            Err(TransitionError::NotAdmitted(NotAdmitted::Exceeded(exceeded))) => {
                assert_eq!(exceeded.resource, QuotaResource::RunningCapsules);
                Err("exceeded")
            }
            Err(error) => panic!("{error:?}"),
        });
    }
    outcomes.sort_unstable_by_key(Result::is_err);
    assert_eq!(outcomes, [Ok(Some(Operation::Resuming)), Err("exceeded"), Err("exceeded")]);

    let delete = intent().in_team(team_id).of(team_id);
    store.team_delete(team_id, TeamDeletion::ByPlatform, &delete).await.unwrap();
    let new = NewSandbox { team_id, ..new_sandbox() };
    let refused = store.sandbox_insert(&new, host, &intent()).await;
    assert!(matches!(refused, Err(InsertError::NotAdmitted(NotAdmitted::TeamGone))), "{refused:?}");
}

/// The rule stands in the database, which counts, and in the domain, by which hosts are filled.
#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_capsule_counts_as_long_as_its_host_holds_something_for_it(pool: PgPool) {
    let store = Store::from_pool(pool.clone());
    let host = attached_host(&store).await;
    let ends = [End::NotRequested, End::Requested, End::Reached];
    let operations: Vec<_> = [None].into_iter().chain(Operation::ALL.iter().copied().map(Some)).collect();
    let mut compared = 0;
    for (&status, &operation, end) in SandboxStatus::ALL.iter().flat_map(|status| {
        let beside = operations.iter().flat_map(move |operation| ends.map(|end| (status, operation, end)));
        beside.collect::<Vec<_>>()
    }) {
        // The table says that gone sandboxes are settled.
        if end == End::Reached && (status, operation) != (SandboxStatus::Stopped, None) {
            continue;
        }
        let team_id = team(&pool, Quota::default()).await;
        let new = NewSandbox {
            id: SandboxId::new(),
            team_id,
            vcpus: 2,
            memory_mb: 300,
            disk_size_mb: 7000,
            ..new_sandbox()
        };
        store.sandbox_insert(&new, host, &intent()).await.unwrap().unwrap();
        sqlx::query(
            "UPDATE sandboxes SET status = $2, operation = $3, started_at = now(),
                operation_template_id = CASE WHEN $3 IN ('snapshotting', 'flattening') THEN template_id END,
                destroy_requested_at = CASE WHEN $4 THEN now() END, destroyed_at = CASE WHEN $5 THEN now() END
             WHERE id = $1",
        )
        .bind(new.id.0)
        .bind(status.as_str())
        .bind(operation.map(Operation::as_str))
        .bind(end != End::NotRequested)
        .bind(end == End::Reached)
        .execute(&pool)
        .await
        .unwrap();
        let row = store.sandbox_load(new.id).await.unwrap().unwrap();
        assert_eq!((row.lifecycle.status, row.lifecycle.operation), (status, operation));
        assert_eq!(row.lifecycle.end, end);
        let usage = store.team_quota(team_id).await.unwrap().unwrap().usage;
        let counted = (usage.running_capsules, usage.vcpus, usage.memory_mb, usage.disk_mb);
        let expected = match row.lifecycle.hold() {
            Hold::Nothing => (0, 0, 0, 0),
            Hold::Disk => (0, 0, 0, 7000),
            Hold::Machine => (1, 2, 300, 7000),
        };
        assert_eq!(counted, expected, "{status} {operation:?} {end:?}");
        compared += 1;
    }
    assert_eq!(compared, SandboxStatus::ALL.len() * operations.len() * 2 + 1);
}
