//! The model check of the sandbox protocol: actor, row, reconciler, client, link and host, in every order.
//!
//! ```text
//!   client ─▶ control ══ row         control:     the real steps and follow-ups; deaths of SandboxActor between them
//!               │  ▲                 link:        loses, repeats and reorders
//!               │  │ reconciler      reconciler:  the real comparison; what is read before it, and when
//!          link │  │ link            host, work:  the real fence; what MachineActor and its work do around it
//!               ▼  │                 recover:     what is done about each record after a crash
//!              host ══ record, files, virtual machine
//! ```
//!
//! These parts are not a model but the thing itself: the state machine with its invariants, the order of what follows
//! from a step, and the comparison of inventories (`step`, `handling` and `inventory` in `wrenn_domain::sandbox`), and the
//! fence of commands (`wrenn_agent::machines::fence`). The rest is written once more, in steps between which anything may
//! be killed. It has to be kept like what it stands for: the head of each file says what that is.
//!
//! **What is explored.** Every world that can be reached by any order of events within a budget of requests, faults
//! and unprompted looks; breadth first, so a counterexample is as short as it can be. Each world is checked against
//! the predicates in [`properties`], one of which lets it come to rest ([`rest`]).
//!
//! **Deeper.** `WRENN_MODEL_BUDGET=requests,faults,looks` replaces the budgets of all explorations, and
//! `WRENN_MODEL_DEPTH=steps` their depths (0: no bound). See `docs/architecture.md` for what the bounds are.

#![allow(clippy::disallowed_methods, reason = "the time that the search takes is measured")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic, also in its helpers")]

mod actions;
mod bugs;
mod client;
mod control;
mod host;
mod link;
mod model;
mod properties;
mod reconciler;
mod recover;
mod rest;
mod rules;
mod steps;
mod work;
mod world;

use std::{env, fmt::Write as _, time::Instant};

use stateright::{Checker, HasDiscoveries, Model, Path};

use actions::Action;
use bugs::Bug;
use client::Wish;
use model::{Beginning, Scope, System};
use world::{Budget, World};

/// The budget that an exploration is given, unless the environment names another.
fn budget(requests: u8, faults: u8, looks: u8) -> Budget {
    let Ok(text) = env::var("WRENN_MODEL_BUDGET") else { return Budget { requests, faults, looks } };
    let numbers: Vec<_> = text.split(',').map(|number| number.trim().parse().unwrap()).collect();
    let [requests, faults, looks] = numbers[..] else { panic!("WRENN_MODEL_BUDGET=requests,faults,looks") };
    Budget { requests, faults, looks }
}

fn depth(default: Option<usize>) -> Option<usize> {
    match env::var("WRENN_MODEL_DEPTH") {
        Ok(text) => Some(text.parse().unwrap()).filter(|&depth| depth > 0),
        Err(_) => default,
    }
}

fn scope(sandboxes: &[(usize, Beginning)], budget: Budget, depth: Option<usize>) -> Scope {
    Scope { sandboxes: sandboxes.to_vec(), budget, wishes: Wish::ALL.to_vec(), depth }
}

/// A counterexample in words.
fn tell(name: &str, path: Path<World, Action>) -> String {
    let mut text = format!("{name}\n");
    let worlds = path.clone().into_states();
    for (number, action) in path.into_actions().into_iter().enumerate() {
        writeln!(text, "{number:4} {action:?}").unwrap();
    }
    writeln!(text, "{:#?}", worlds.last().unwrap()).unwrap();
    text
}

/// Explores to the end, or to the first counterexample.
fn explore(scope: Scope, bug: Bug) -> (impl Checker<System>, String) {
    let begun = Instant::now();
    let depth = scope.depth;
    let mut builder = System::new(scope, bug).checker().finish_when(HasDiscoveries::AnyFailures);
    if let Some(depth) = depth {
        // The checker counts worlds, and not the steps between them.
        builder = builder.target_max_depth(depth + 1);
    }
    let checker = builder.spawn_bfs().join();
    let (worlds, depth) = (checker.unique_state_count(), checker.max_depth() - 1);
    let explored = format!("{worlds} worlds, {depth} steps deep, {:.1} s", begun.elapsed().as_secs_f32());
    (checker, explored)
}

/// Explores the system without a bug: every invariant must hold.
fn holds(what: &str, scope: Scope) -> impl Checker<System> {
    let (checker, explored) = explore(scope, Bug::None);
    println!("{what}: {explored}");
    let broken = properties::invariants()
        .into_iter()
        .filter_map(|property| checker.discovery(property.name).map(|path| tell(property.name, path)));
    let broken: Vec<_> = broken.collect();
    assert!(broken.is_empty(), "{what}:\n{}", broken.join("\n"));
    checker
}

#[test]
fn one_sandbox_keeps_every_invariant_and_does_everything() {
    for beginning in [Beginning::New, Beginning::Running, Beginning::Paused] {
        let scope = scope(&[(0, beginning)], budget(1, 1, 1), depth(None));
        holds(&format!("one sandbox, {beginning:?}"), scope);
    }
    let scope = scope(&[(0, Beginning::Running)], budget(2, 1, 1), depth(None));
    let checker = holds("one sandbox, two requests", scope);
    if ["WRENN_MODEL_BUDGET", "WRENN_MODEL_DEPTH"].into_iter().any(|name| env::var_os(name).is_some()) {
        // Other bounds may be too narrow for some of it.
        return;
    }
    for witness in properties::witnesses() {
        assert!(checker.discovery(witness.name).is_some(), "never reached: {}", witness.name);
    }
}

#[test]
fn two_sandboxes_on_two_hosts_keep_every_invariant() {
    let two = [(0, Beginning::Running), (1, Beginning::Paused)];
    holds("two sandboxes on two hosts", scope(&two, budget(1, 1, 0), depth(None)));
    holds("two sandboxes on two hosts, further", scope(&two, budget(2, 1, 0), depth(Some(9))));
}

#[test]
fn two_sandboxes_on_one_host_keep_every_invariant() {
    let two = [(0, Beginning::Running), (0, Beginning::Paused)];
    holds("two sandboxes on one host", scope(&two, budget(1, 1, 0), depth(None)));
}

#[test]
fn every_seeded_bug_is_found() {
    for bug in Bug::ALL {
        // As in the exploration in which everything holds without a bug.
        let scope = scope(&[(0, Beginning::Running)], budget(2, 1, 1), None);
        let (checker, explored) = explore(scope, bug);
        let found: Vec<_> = properties::invariants()
            .into_iter()
            .map(|property| property.name)
            .filter(|name| checker.discovery(name).is_some())
            .collect();
        println!("{bug:?}: {explored}: {found:?}");
        assert!(found.contains(&bug.breaks()), "{bug:?} broke {found:?}");
    }
}
