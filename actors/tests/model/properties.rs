//! What must be true, as plain predicates over a world.
//!
//! | | invariant | predicates |
//! |---|---|---|
//! | 1 | at most one live virtual machine | [`one_vm`] |
//! | 2 | nothing older has an effect after something newer | [`generations_only_grow`], [`nothing_is_achieved_late`], [`intents_are_committed`] |
//! | 3 | settled rows agree with hosts | [`settled_rows_agree`] |
//! | 4 | every operation settles | [`everything_settles`], [`unreachable_is_missing`] |
//! | 5 | destroyed means gone | [`destroyed_is_gone`] |
//! | 6 | what is paused survives | [`paused_is_whole`], [`nothing_stops_without_cause`], [`memory_fits`] |
//! | 7 | templates | [`templates_are_whole`], [`published_templates_exist`] |
//! | – | the rules of the state machine | [`rules_are_kept`] |

use stateright::Property;
use wrenn_domain::{
    lifecycle::{End, SandboxStatus},
    sandbox::invariants::check_lifecycle,
};

use crate::{
    host::{Content, Cpus, Files, Fitting, Machine, Phase, Rest, Saved, Vcpus},
    model::System,
    rest::comes_to_rest,
    rules::Witness,
    world::{Actor, Look, Sandbox, Session, TemplateRow, World},
};

fn every(world: &World, holds: impl Fn(&Sandbox) -> bool) -> bool {
    world.sandboxes.iter().all(holds)
}

fn one_vm(_: &System, world: &World) -> bool {
    every(world, |sandbox| sandbox.machine.vms.len() <= 1)
}

/// What is written down on the host never falls behind what was.
fn generations_only_grow(_: &System, world: &World) -> bool {
    every(world, |Sandbox { machine, .. }| {
        let written = machine.record.as_ref().map(|record| record.generation).or(machine.tombstone);
        written.unwrap_or_default() == machine.past.highest
    })
}

fn nothing_is_achieved_late(_: &System, world: &World) -> bool {
    every(world, |sandbox| !sandbox.machine.past.late_effect)
}

/// A host knows no generation that the database does not, but for those with which remains are removed.
fn intents_are_committed(_: &System, world: &World) -> bool {
    every(world, |Sandbox { row, machine, .. }| {
        let accepted = machine.agent.accepted.unwrap_or_default().max(machine.past.highest);
        row.lifecycle.end == End::Reached || accepted <= row.lifecycle.generation.0
    })
}

/// True if its actor, if one lives, knows the row; not so after a late write, until the next look.
fn knows_row(sandbox: &Sandbox) -> bool {
    match &sandbox.actor {
        Actor::Absent => true,
        Actor::Restarting => false,
        Actor::Knows(known) => known.lifecycle == sandbox.row.lifecycle,
    }
}

/// Nothing about the sandbox is on its way, and nobody does anything.
fn is_quiet(world: &World, sandbox: &Sandbox) -> bool {
    let host = &world.hosts[sandbox.host];
    let Machine { agent, .. } = &sandbox.machine;
    host.session == Session::Up
        && host.look == Look::Idle
        && !host.look_due
        && sandbox.row.lifecycle.operation.is_none()
        && sandbox.late_write.is_none()
        && knows_row(sandbox)
        && sandbox.mailbox.is_empty()
        && sandbox.orders.is_empty()
        && sandbox.frames.is_empty()
        && agent.work.is_none()
        && !sandbox.machine.died_unnoticed()
}

/// The row is settled, and says what is true of the machine.
fn agrees(Sandbox { row, machine, .. }: &Sandbox) -> bool {
    let Some(record) = &machine.record else {
        return row.lifecycle.end == End::Reached || row.lifecycle.status == SandboxStatus::Error;
    };
    let runs = machine.vms.iter().any(|vm| vm.cpus == Cpus::Running);
    let is_so = match row.lifecycle.status {
        SandboxStatus::Running => record.phase == Phase::Running && runs,
        SandboxStatus::Paused => matches!(record.phase, Phase::Paused(_)) && machine.vms.is_empty(),
        SandboxStatus::Stopped | SandboxStatus::Hibernated => {
            row.lifecycle.end != End::Reached && record.phase == Phase::Stopped && machine.vms.is_empty()
        }
        _ => false,
    };
    is_so && record.generation == row.lifecycle.generation.0
}

fn settled_rows_agree(_: &System, world: &World) -> bool {
    every(world, |sandbox| !is_quiet(world, sandbox) || agrees(sandbox))
}

fn everything_settles(system: &System, world: &World) -> bool {
    comes_to_rest(system, world, |world| {
        every(world, |sandbox| {
            let life = &sandbox.row.lifecycle;
            // The actor of a sandbox that is gone may have been overtaken by the write that said so.
            let is_known = knows_row(sandbox) || life.end == End::Reached;
            life.operation.is_none() && is_known && agrees(sandbox)
        })
    })
}

fn unreachable_is_missing(_: &System, world: &World) -> bool {
    every(world, |sandbox| {
        let life = &sandbox.row.lifecycle;
        let is_told = world.hosts[sandbox.host].unreachable
            && sandbox.mailbox.is_empty()
            && knows_row(sandbox)
            && sandbox.late_write.is_none()
            && !world.hosts[sandbox.host].look_due;
        !is_told
            || life.end == End::Reached
            || matches!(life.status, SandboxStatus::Missing | SandboxStatus::Error)
    })
}

fn destroyed_is_gone(_: &System, world: &World) -> bool {
    every(world, |Sandbox { row, machine, .. }| {
        let Machine { record, files, draft, vms, .. } = machine;
        row.lifecycle.end != End::Reached
            || (record.is_none() && *files == Files::default() && draft.is_none() && vms.is_empty())
    })
}

/// Memory and disk of a machine that says that it is paused, or was and did not run since, are there and fit.
fn paused_is_whole(_: &System, world: &World) -> bool {
    every(world, |Sandbox { machine, .. }| {
        let is_paused = match machine.record.as_ref().map(|record| record.phase) {
            Some(
                Phase::Paused(saved)
                | Phase::Resuming { vcpus: Vcpus::NotStarted, from: Rest::Paused(saved) }
                | Phase::MakingTemplate { of: Rest::Paused(saved), .. },
            ) => saved != Saved::Unsound,
            _ => false,
        };
        !is_paused || machine.files == Files { disk: true, memory: true, state: Some(Fitting::Fits) }
    })
}

/// A machine falls back to its disk only if it died, its host lost power, or somebody gave its memory up.
fn nothing_stops_without_cause(_: &System, world: &World) -> bool {
    every(world, |Sandbox { machine, .. }| {
        let has_stopped = machine.record.as_ref().is_some_and(|record| record.phase == Phase::Stopped);
        !has_stopped || machine.past.memory_forfeit
    })
}

/// No machine was restored from memory on which it had run on.
fn memory_fits(_: &System, world: &World) -> bool {
    every(world, |sandbox| sandbox.machine.vms.iter().all(|vm| vm.memory == Fitting::Fits))
}

fn templates_are_whole(_: &System, world: &World) -> bool {
    every(world, |sandbox| sandbox.machine.templates.iter().all(|made| made.content == Content::Whole))
}

fn published_templates_exist(_: &System, world: &World) -> bool {
    every(world, |Sandbox { row, machine, .. }| {
        let exists = |id| machine.templates.iter().any(|made| made.template == id);
        row.templates.iter().all(|&(id, state)| state != TemplateRow::Ready || exists(id))
    })
}

/// What the state machine says of its own steps, and of rows.
fn rules_are_kept(_: &System, world: &World) -> bool {
    world.broken.is_none() && every(world, |sandbox| check_lifecycle(&sandbox.row.lifecycle).is_ok())
}

/// The invariants.
pub(crate) fn invariants() -> Vec<Property<System>> {
    vec![
        Property::always("1: at most one virtual machine", one_vm),
        Property::always("2: generations only grow on a host", generations_only_grow),
        Property::always(
            "2: nothing is achieved after something newer was accepted",
            nothing_is_achieved_late,
        ),
        Property::always("2: a host knows no intent that is not committed", intents_are_committed),
        Property::always("3: settled rows agree with their hosts", settled_rows_agree),
        Property::always("4: every operation settles", everything_settles),
        Property::always("4: what is on an unreachable host is missing", unreachable_is_missing),
        Property::always("5: destroyed means gone", destroyed_is_gone),
        Property::always("6: what is paused is whole", paused_is_whole),
        Property::always("6: no machine stops without cause", nothing_stops_without_cause),
        Property::always("6: memory that ran on is never restored", memory_fits),
        Property::always("7: templates are of one moment", templates_are_whole),
        Property::always("7: templates that are published exist", published_templates_exist),
        Property::always("the state machine keeps its rules", rules_are_kept),
    ]
}

fn was_seen<const WITNESS: u8>(system: &System, _: &World) -> bool {
    system.rules.has_seen(WITNESS)
}

/// What must be reached, or else the model shows nothing.
pub(crate) fn witnesses() -> Vec<Property<System>> {
    vec![
        Property::sometimes("a pause", was_seen::<{ Witness::Paused as u8 }>),
        Property::sometimes("a resumption from memory", was_seen::<{ Witness::Resumed as u8 }>),
        Property::sometimes(
            "a boot from the disk that is left",
            was_seen::<{ Witness::BootedFromDisk as u8 }>,
        ),
        Property::sometimes("a template", was_seen::<{ Witness::TemplateMade as u8 }>),
        Property::sometimes("a removal", was_seen::<{ Witness::Destroyed as u8 }>),
        Property::sometimes(
            "a removal that overtakes a pause",
            was_seen::<{ Witness::PauseOvertaken as u8 }>,
        ),
        Property::sometimes("an outcome that is told again", was_seen::<{ Witness::OutcomeReplayed as u8 }>),
        Property::sometimes(
            "a command that comes too late",
            was_seen::<{ Witness::StaleCommandRefused as u8 }>,
        ),
        Property::sometimes(
            "a row that an inventory changed",
            was_seen::<{ Witness::SettledByInventory as u8 }>,
        ),
        Property::sometimes("a machine without a row", was_seen::<{ Witness::UnknownMachineRemoved as u8 }>),
        Property::sometimes("a late write", was_seen::<{ Witness::LateWriteCommitted as u8 }>),
        Property::sometimes(
            "a late write that its fence stops",
            was_seen::<{ Witness::LateWriteRefused as u8 }>,
        ),
        Property::sometimes("an actor that reads its row again", was_seen::<{ Witness::RowReadAgain as u8 }>),
        Property::sometimes("a command that fails", was_seen::<{ Witness::FailureTold as u8 }>),
    ]
}
