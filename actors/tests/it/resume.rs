//! Sandboxes that are resumed, by request or by use.

use sqlx::PgPool as Pool;
use wrenn_actors::{OperationError, SessionOpenError};
use wrenn_domain::{
    lifecycle::SandboxStatus,
    sandbox::{Memory, NewSandbox},
};
use wrenn_proto::agent::{MachineState, command};
use wrenn_testkit::{
    rows::{intent, new_sandbox},
    wait::PATIENCE,
};

use crate::{
    operations::{begin, is_command, pause},
    support::{BY, FakeAgent, Server, config},
};

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_resumption_is_commanded_with_the_user_and_the_environment_of_the_row_as_it_is_now(pool: Pool) {
    let server = Server::start(&pool, config()).await;
    let mut agent = FakeAgent::attach(&server, server.host().await, vec![]).await;
    let before = [("KEPT".to_owned(), "before".to_owned()), ("GONE".to_owned(), "before".to_owned())];
    let new = NewSandbox { default_user: "before".to_owned(), envs: before.into(), ..new_sandbox() };
    let id = server.running_new(new, &mut agent).await;
    for (generation, memory, user) in [(3, Memory::Keep, "now"), (5, Memory::Drop, "later")] {
        pause(&server, &mut agent, id).await;
        sqlx::query(
            "UPDATE sandboxes SET default_user = $2, envs = jsonb_build_object('KEPT', $2::text) WHERE id = $1",
        )
        .bind(id.0)
        .bind(user)
        .execute(&pool)
        .await
        .unwrap();
        let resumed =
            begin(&server, move |it| async move { it.sandbox_resume(id, memory, intent(), PATIENCE).await });
        let command = agent.command().await;
        let command::Command::Resume(resume) = is_command(&command, id, generation) else {
            panic!("{command:?}")
        };
        assert_eq!((resume.drop_memory, resume.default_user.as_str()), (memory == Memory::Drop, user));
        assert_eq!(resume.default_env, [("KEPT".to_owned(), user.to_owned())].into());
        agent.started(&command).await;
        assert_eq!(resumed.await.unwrap().unwrap().lifecycle.status, SandboxStatus::Running);
    }
    server.stop().await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn whoever_uses_a_paused_sandbox_wakes_it_if_it_may_be_woken_and_only_once(pool: Pool) {
    let server = Server::start(&pool, config()).await;
    let mut agent = FakeAgent::attach(&server, server.host().await, vec![]).await;
    let new = NewSandbox { auto_resume: true, ..new_sandbox() };
    let id = server.running_new(new, &mut agent).await;

    // A user who comes while it is being paused waits for that, too.
    let paused = begin(&server, move |it| async move { it.sandbox_pause(id, intent(), PATIENCE).await });
    let pausing = agent.command().await;
    let users: Vec<_> =
        (0..5).map(|_| begin(&server, move |it| async move { it.sandbox_awake(id, BY).await })).collect();
    agent.paused(&pausing).await;
    assert!(paused.await.unwrap().is_ok());
    let command = agent.command().await;
    assert!(matches!(is_command(&command, id, 3), command::Command::Resume(_)), "{command:?}");
    agent.started(&command).await;
    for user in users {
        assert_eq!(user.await.unwrap().unwrap(), agent.host);
    }
    agent.assert_silent();

    // A ping wakes nobody, and a sandbox that may not be woken stays paused.
    pause(&server, &mut agent, id).await;
    assert!(matches!(
        server.control_plane.sandbox_use(id).await,
        Err(SessionOpenError::InvalidState { status: SandboxStatus::Paused, operation: None })
    ));
    let other = server.running(&mut agent).await;
    pause(&server, &mut agent, other).await;
    assert!(matches!(
        server.control_plane.sandbox_awake(other, BY).await,
        Err(SessionOpenError::InvalidState { status: SandboxStatus::Paused, operation: None })
    ));
    agent.assert_silent();
    server.stop().await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_sandbox_that_cannot_be_woken_says_why(pool: Pool) {
    let server = Server::start(&pool, config()).await;
    let mut agent = FakeAgent::attach(&server, server.host().await, vec![]).await;
    let new = NewSandbox { auto_resume: true, ..new_sandbox() };
    let id = server.running_new(new, &mut agent).await;
    pause(&server, &mut agent, id).await;
    let user = begin(&server, move |it| async move { it.sandbox_awake(id, BY).await });
    let command = agent.command().await;
    agent.failed(&command, MachineState::Paused).await;
    let error = user.await.unwrap().unwrap_err();
    let SessionOpenError::Wake(cause) = error else { panic!("{error:?}") };
    assert!(matches!(*cause, OperationError::Failed(ref reason) if reason.contains("no space")), "{cause:?}");
    server.stop().await;
}
