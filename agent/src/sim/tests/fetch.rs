//! Templates that were made on other hosts: fetched by the first machine that needs them, whole or not at all.

use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::{future::BoxFuture, stream};
use wrenn_proto::{
    agent::{TemplateHead, TemplatePart, template_part::Part},
    transfer::Follow,
};

use super::*;
use crate::machines::{
    library::{DiskForm, Source},
    source::{TemplateParts, TemplateSource},
};

/// Gives what was recorded of a template, as often as it is wanted.
struct Recorded {
    parts: Vec<Result<TemplatePart, String>>,
    /// Nothing comes after this many parts.
    stalls_after: usize,
    fetches: AtomicU32,
}

impl Recorded {
    fn new(parts: Vec<TemplatePart>) -> Self {
        let parts = parts.into_iter().map(Ok).collect();
        Self { parts, stalls_after: usize::MAX, fetches: AtomicU32::new(0) }
    }
}

impl TemplateSource for Recorded {
    fn fetch(&self, _: TemplateId) -> BoxFuture<'_, Result<TemplateParts, String>> {
        self.fetches.fetch_add(1, Ordering::Relaxed);
        let parts: Vec<_> = self.parts.iter().take(self.stalls_after).cloned().collect();
        let stalls = self.stalls_after < self.parts.len();
        let rest = stream::once(async move {
            if stalls {
                std::future::pending::<()>().await;
            }
            Err("nothing follows".to_owned())
        });
        Box::pin(async move { Ok(stream::iter(parts).chain(rest).boxed()) })
    }
}

/// Makes a template on one host, and records what it would send of it.
async fn recorded(source: Source) -> (TemplateId, Vec<TemplatePart>) {
    let mut agent = Agent::start();
    let (id, template) = (SandboxId::new(), TemplateId::new());
    agent.started(id, 1).await;
    agent.shell(id, "set k v; write note kept").await;
    match source {
        Source::Snapshot => agent.order_snapshot(id, 2, template),
        Source::Disk(_) => agent.order_flatten(id, 2, template),
    }
    agent.was_made(2).await;
    let mut reader = agent.host.backend.read_template(template).await.unwrap().unwrap();
    let manifest = serde_json::to_vec(&reader.manifest).unwrap().into();
    let mut parts = vec![Part::Head(TemplateHead { manifest, files: reader.files })];
    while let Some(extent) = reader.extents.next().await {
        parts.push(Part::Extent(extent.unwrap()));
    }
    let mut parts: Vec<_> = parts.into_iter().map(|part| TemplatePart { part: Some(part) }).collect();
    let mut follow = Follow::default();
    parts.iter().for_each(|part| assert!(follow.take(part).is_ok()));
    parts.push(follow.seal().unwrap());
    assert!(source != Source::Snapshot || parts.len() > 5, "several extents");
    (template, parts)
}

fn from(agent: &Agent, source: Recorded) -> Arc<Recorded> {
    let source = Arc::new(source);
    agent.host.upstream.open(source.clone());
    source
}

async fn was_fetched(agent: &mut Agent, template: TemplateId) {
    match agent.frame().await {
        Frame::TemplateFetched(fetched) => assert_eq!(fetched.template_id, template.to_string()),
        other => panic!("expected a fetched template, got {other:?}"),
    }
}

#[actix_rt::test]
async fn a_machine_of_a_template_of_another_host_is_what_was_made_there() {
    for (source, restored, said) in
        [(Source::Snapshot, true, "v\nkept"), (Source::Disk(DiskForm::Small), false, "\nkept")]
    {
        let (template, parts) = recorded(source).await;
        let mut agent = Agent::start();
        let source = from(&agent, Recorded::new(parts));
        for _ in 0..2 {
            let id = SandboxId::new();
            agent.order_start_from(id, 1, template);
            if agent.world.tries(SimStep::Boot) + agent.world.tries(SimStep::Restore) == 0 {
                was_fetched(&mut agent, template).await;
            }
            assert_eq!(agent.was_started(1).await.restored, restored);
            assert_eq!(agent.shell(id, "get k; read note").await, said);
        }
        assert_eq!(agent.host.backend.template_ids(), [template]);
        assert_eq!(source.fetches.load(Ordering::Relaxed), 1);
    }
}

#[actix_rt::test]
async fn two_starts_of_a_template_fetch_it_once() {
    let (template, parts) = recorded(Source::Snapshot).await;
    let mut agent = Agent::start();
    let source = from(&agent, Recorded::new(parts));
    let ids = [SandboxId::new(), SandboxId::new(), SandboxId::new()];
    for id in ids {
        agent.order_start_from(id, 1, template);
    }
    was_fetched(&mut agent, template).await;
    for _ in ids {
        assert!(agent.was_started(1).await.restored);
    }
    assert_eq!(source.fetches.load(Ordering::Relaxed), 1);
}

#[actix_rt::test]
async fn what_does_not_arrive_whole_is_not_there_and_the_start_says_why() {
    let (template, parts) = recorded(Source::Snapshot).await;
    let mut damaged = parts.clone();
    let Some(Part::Extent(extent)) = &mut damaged[1].part else { panic!("an extent") };
    extent.data = vec![b'x'; extent.data.len()].into();
    let mut other = parts.clone();
    let Some(Part::Head(head)) = &mut other[0].part else { panic!("a head") };
    let text = String::from_utf8(head.manifest.to_vec()).unwrap();
    head.manifest = text.replace(&template.to_string(), &TemplateId::new().to_string()).into();
    let cut = parts[..parts.len() - 1].to_vec();
    let lost = [&parts[..2], &parts[3..]].concat();
    let mut agent = Agent::start();
    let id = SandboxId::new();
    let mut generation = 0;
    for (parts, why) in [
        (damaged, "damaged"),
        (other, "another template"),
        (cut, "nothing follows"),
        (lost, "makes no sense|not complete|damaged"),
        (vec![], "nothing follows"),
        (vec![parts[1].clone()], "wrong order"),
    ] {
        from(&agent, Recorded::new(parts));
        generation += 1;
        agent.order_start_from(id, generation, template);
        let failed = agent.failed(generation).await;
        assert_eq!(failed.kind(), wire::FailureKind::TemplateMissing, "{failed:?}");
        assert!(why.split('|').any(|why| failed.message.contains(why)), "{why}: {failed:?}");
        assert_eq!(agent.world.artifacts(), Vec::<String>::new(), "{why}");
        assert!(!agent.world.has_drafts(), "{why}");
    }
    // And then it does.
    from(&agent, Recorded::new(parts.clone()));
    for (step, kind) in [
        (SimStep::SizeFile, FailureKind::Internal),
        (SimStep::WriteExtent, FailureKind::Internal),
        (SimStep::FinishDraft, FailureKind::Internal),
    ] {
        agent.world.order_fault(step, SimFault::Fail, 1);
        generation += 1;
        agent.order_start_from(id, generation, template);
        assert_eq!(agent.failure().await, (generation, kind), "{step:?}");
        assert!(!agent.world.has_drafts(), "{step:?}");
    }
    agent.host.upstream.close();
    agent.order_start_from(id, generation + 1, template);
    assert!(agent.failed(generation + 1).await.message.contains("no template"));
    from(&agent, Recorded::new(parts));
    agent.order_start_from(id, generation + 2, template);
    was_fetched(&mut agent, template).await;
    agent.was_started(generation + 2).await;
}

#[actix_rt::test]
async fn a_template_whose_memory_cannot_be_restored_here_is_fetched_for_its_disk() {
    let (template, parts) = recorded(Source::Snapshot).await;
    let mut agent = Agent::start();
    agent.world.set_vmm_version("another");
    from(&agent, Recorded::new(parts));
    agent.order_start_from(SandboxId::new(), 1, template);
    was_fetched(&mut agent, template).await;
    let started = agent.was_started(1).await;
    assert!(!started.restored && started.warnings.len() == 1, "{started:?}");
    // Once its memory fits again, it is used.
    agent.world.set_vmm_version("1");
    agent.order_start_from(SandboxId::new(), 2, template);
    let started = agent.was_started(2).await;
    assert!(started.restored && started.warnings.is_empty(), "{started:?}");
}

#[actix_rt::test]
async fn a_removal_overtakes_a_fetch_and_the_next_one_fetches() {
    let (template, parts) = recorded(Source::Snapshot).await;
    for stalls_after in [0, 1, 3] {
        let mut agent = Agent::start();
        let (id, other) = (SandboxId::new(), SandboxId::new());
        from(&agent, Recorded { stalls_after, ..Recorded::new(parts.clone()) });
        agent.order_start_from(id, 1, template);
        let is_stuck = async {
            while stalls_after == 3 && agent.world.tries(SimStep::WriteExtent) < 2 {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, is_stuck).await.unwrap();
        // Not before: their records are written on two threads, and the first one to be done would fetch.
        agent.order_start_from(other, 1, template);
        let waits = async {
            while stalls_after == 3 && agent.world.tries(SimStep::Admit) < 2 {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, waits).await.unwrap();
        from(&agent, Recorded::new(parts.clone()));
        agent.order_destroy(id, 2);
        // The other one waited for its turn. Nothing says which of the two is told first.
        let mut told = [false; 4];
        while told != [true; 4] {
            match agent.frame().await {
                Frame::TemplateFetched(_) => told[0] = true,
                Frame::Result(result) => match result.outcome.unwrap() {
                    Outcome::Failed(failed) => {
                        assert_eq!(failed.kind(), FailureKind::StaleGeneration, "{failed:?}");
                        told[1] = true;
                    }
                    Outcome::Destroyed(_) => told[2] = true,
                    Outcome::Started(_) => told[3] = true,
                    other => panic!("unexpected {other:?}"),
                },
                other => panic!("unexpected {other:?}"),
            }
        }
        let left = agent.world.holdings();
        assert!(left.iter().all(|holding| !holding.contains(&id.to_string())), "{left:?}");
        assert!(!agent.world.has_drafts());
    }
}

#[actix_rt::test]
async fn an_agent_that_is_killed_while_it_fetches_leaves_no_template() {
    let (template, parts) = recorded(Source::Snapshot).await;
    let mut agent = Agent::start();
    let id = SandboxId::new();
    from(&agent, Recorded { stalls_after: 3, ..Recorded::new(parts.clone()) });
    agent.order_start_from(id, 1, template);
    let is_stuck = async {
        while agent.world.tries(SimStep::WriteExtent) < 2 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, is_stuck).await.unwrap();
    agent.restart().await;
    agent.wait_for_state(id, MachineState::Exited).await;
    assert_eq!(agent.failure().await, (1, FailureKind::BootFailed));
    assert_eq!(agent.host.backend.template_ids(), []);
    from(&agent, Recorded::new(parts));
    agent.order_start_from(id, 2, template);
    was_fetched(&mut agent, template).await;
    agent.was_started(2).await;
}

#[actix_rt::test]
async fn a_full_host_fetches_nothing() {
    let (template, parts) = recorded(Source::Snapshot).await;
    let mut agent = Agent::start();
    from(&agent, Recorded::new(parts));
    agent.world.set_full(true);
    agent.order_start_from(SandboxId::new(), 1, template);
    assert_eq!(agent.failure().await, (1, FailureKind::NoSpace));
    assert_eq!(agent.world.tries(SimStep::BeginDraft), 0);
}
