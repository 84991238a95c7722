//! A pool spreads actors over named threads.

use actix::prelude::*;
use tokio::sync::oneshot;
use wrenn_supervision::{ArbiterPool, Child, ExitReason, PoolError, call};
use wrenn_testkit::wait::eventually;

use crate::probe::{Do, Probe, quick, run};

fn loads(pool: &ArbiterPool) -> Vec<usize> {
    pool.loads().into_iter().map(|(_, load)| load).collect()
}

#[test]
fn actors_go_where_the_fewest_are() {
    run(async {
        let pool = ArbiterPool::new(3).unwrap();
        let start = || pool.spawn(quick("pooled"), |_| Probe::default());
        let children: Vec<Child<Probe>> = (0..9).map(|_| start()).collect();
        assert_eq!(loads(&pool), [3, 3, 3]);
        let mut killed = Vec::new();
        for child in &children[..4] {
            child.kill();
            killed.push(child.wait_exit().await);
        }
        assert_eq!(killed, vec![ExitReason::Killed; 4]);
        assert_eq!(loads(&pool).iter().sum::<usize>(), 5);
        let _more: Vec<_> = (0..4).map(|_| start()).collect();
        assert_eq!(loads(&pool), [3, 3, 3]);
        pool.shutdown();
        assert_eq!(children[8].wait_exit().await, ExitReason::Aborted);
    });
}

#[test]
fn round_robin_visits_every_arbiter() {
    run(async {
        let pool = ArbiterPool::named("robin", 3).unwrap();
        let mut names = Vec::new();
        for _ in 0..6 {
            let (sender, receiver) = oneshot::channel();
            pool.round_robin().spawn_fn(move || {
                let name = std::fs::read_to_string("/proc/thread-self/comm").unwrap();
                sender.send(name.trim().to_owned()).unwrap();
            });
            names.push(receiver.await.unwrap());
        }
        assert_eq!(names, ["robin-0", "robin-1", "robin-2", "robin-0", "robin-1", "robin-2"]);
        assert_eq!(pool.len(), 3);
        pool.shutdown();
    });
}

#[test]
fn dropping_the_pool_aborts_its_actors() {
    run(async {
        let pool = ArbiterPool::new(0).unwrap();
        assert_eq!(pool.len(), 1);
        let child = pool.spawn(quick("dropped-pool"), |_| Probe::default());
        call(&child.addr(), Do::new(|_, _| ())).await.unwrap();
        drop(pool);
        assert_eq!(child.wait_exit().await, ExitReason::Aborted);
        eventually("the address is dead", async || !child.addr().connected()).await;
    });
}

#[test]
fn a_pool_needs_an_actix_system() {
    let made = std::thread::spawn(|| ArbiterPool::new(1).map(drop)).join().unwrap();
    assert!(matches!(made, Err(PoolError::NoSystem)));
}

#[test]
fn a_failure_on_one_arbiter_does_not_concern_another() {
    run(async {
        let pool = ArbiterPool::new(2).unwrap();
        let (failing, calm) = (
            pool.spawn(quick("pool-failing"), |_| Probe::default()),
            pool.spawn(quick("pool-calm"), |_| Probe::default()),
        );
        let _ = call(&failing.addr(), Do::panic()).await;
        call(&failing.addr(), Do::new(|_, ctx| ctx.stop())).await.unwrap();
        assert_eq!(failing.wait_exit().await, ExitReason::Stopped);
        call(&calm.addr(), Do::new(|_, _| ())).await.unwrap();
        assert_eq!(calm.snapshot().incarnation, 1);
        pool.shutdown();
    });
}
