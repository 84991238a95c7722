//! The whole system on real VMs, through its REST interface, as somebody who uses it would.
//!
//! ```text
//!   WRENN_E2E=1 cargo test -p wrenn-cli --test e2e [-- NAME]      as root; scripts/test does it
//!   WRENN_E2E_TESTS=NAMES                                         only tests whose names begin with one of these lines
//! ```
//!
//! Most tests share one installation, which the first of them starts with `wrenn up` in a data folder and on a
//! port of its own. They run one after the other, because they kill processes of it. Whatever happens, it is
//! taken down at the end. Every wait is for a condition and has a limit; when it is over, the message says what
//! was waited for.

#![allow(clippy::disallowed_methods, reason = "the whole system runs in real time")]

mod bad_input;
mod builds;
mod capsules;
mod clocks;
mod crashes;
mod databases;
mod endings;
mod faults;
mod files;
mod hosts;
mod installation;
mod isolation;
mod kernel;
mod lifecycle;
mod measurements;
mod monitoring;
mod networks;
mod packages;
mod pausing;
mod previews;
mod readme;
mod snapshots;
mod soak;
mod socket;
mod telemetry;
mod terminals;
mod tools;
mod traces;
mod upgrades;
mod wait;
mod whole_machine;
mod windows;

use std::{env, process::ExitCode, sync::LazyLock};

use libtest_mimic::{Arguments, Failed, Trial};

use crate::installation::Installation;

#[expect(clippy::expect_used, reason = "a process that cannot start threads cannot test anything")]
static RUNTIME: LazyLock<tokio::runtime::Runtime> =
    LazyLock::new(|| tokio::runtime::Runtime::new().expect("start the runtime"));

/// A test on the shared installation.
fn shared(
    name: impl Into<String>,
    test: impl AsyncFnOnce(&Installation) -> anyhow::Result<()> + Send + 'static,
) -> Trial {
    alone(name, async move || test(Installation::shared().await?).await)
}

/// A test that starts what it needs.
fn alone(name: impl Into<String>, test: impl AsyncFnOnce() -> anyhow::Result<()> + Send + 'static) -> Trial {
    Trial::test(name, move || RUNTIME.block_on(test()).map_err(|error| Failed::from(format!("{error:#}"))))
        .with_ignored_flag(!is_enabled())
}

fn is_enabled() -> bool {
    env::var("WRENN_E2E").is_ok_and(|value| value == "1") && rustix::process::geteuid().is_root()
}

fn tests() -> Vec<Trial> {
    vec![
        alone("doctor says what accelerates machines here and why", tools::doctor_explains),
        alone("doctor names the command that fixes what is missing", tools::doctor_names_fixes),
        shared("server shows dashboard, documentation and openapi", tools::pages_are_served),
        shared("a capsule starts and runs commands", capsules::runs_commands),
        shared("a command that takes too long leaves no process", capsules::timeout_leaves_no_process),
        shared("five megabytes of output arrive whole", capsules::large_output),
        shared("bytes that are no text arrive as base64", capsules::binary_output),
        shared("a command finds no input", capsules::no_input),
        shared("arguments, environment, folder and user are as asked", capsules::arguments_and_environment),
        shared("settings are those of a server", whole_machine::settings_are_a_servers),
        shared("all commands have one environment", whole_machine::environment_is_one),
        shared("modules of the kernel are at hand", kernel::modules_are_at_hand),
        shared("modules are at hand after a pause and in a copy", kernel::modules_outlast_a_pause),
        shared("a tunnel device is used by policy", kernel::a_tunnel_is_used_by_policy),
        shared("bombs end in time", whole_machine::bombs_end_in_time),
        shared("files of the user are kept", whole_machine::files_of_the_user_are_kept),
        shared(
            "whatever is done to its disk a capsule is reached",
            whole_machine::whatever_is_done_to_its_disk_it_is_reached,
        ),
        shared("the clocks of a capsule are right", clocks::are_the_hosts),
        shared("templates keep folders of /run", whole_machine::folders_of_run_are_kept_by_templates),
        shared("a deleted capsule leaves nothing on the host", capsules::delete_leaves_nothing),
        shared("a capsule reaches neither host nor guest daemon nor metadata", isolation::guest_is_fenced_in),
        shared("a recipe with every instruction becomes templates", builds::recipes::every_instruction),
        shared("a recipe installs a package", builds::recipes::a_package),
        shared("steps that are known are not carried out again", builds::cache::steps_are_known),
        shared("builds that fail say why", builds::outcomes::say_why),
        shared("builds are taken up in order", builds::outcomes::in_order),
        alone("a cancelled build leaves nothing", builds::cancel::at_any_moment),
        alone("a build survives what is killed", builds::faults::every_build_ends),
        shared("bad input is a clear error and makes nothing", bad_input::is_refused),
        shared("callers without credentials are turned away", bad_input::credentials_are_needed),
        shared("another team's capsule does not exist", bad_input::foreign_capsules_are_hidden),
        alone(
            "a trace goes from the request to the guest",
            telemetry::a_trace_goes_from_the_request_to_the_guest,
        ),
        alone("a real Prometheus scrapes server and agent", monitoring::prometheus_scrapes_server_and_agent),
        alone("databases that are named are used, also by .env", databases::given_ones_are_used),
        alone("without a host the answer is 503", bad_input::no_host),
        shared("capsules survive a killed agent", crashes::agent_killed),
        shared("capsules survive a killed server", crashes::server_killed),
        shared("capsules survive a killed database", crashes::database_killed),
        shared("a killed machine is noticed, explained and cleaned up", crashes::machine_killed),
        shared(
            "measurements of a busy and an idle capsule are those of the host",
            measurements::are_those_of_the_host,
        ),
        shared(
            "measurements grow by what a capsule uses and outlast a pause",
            measurements::grow_by_what_is_used,
        ),
        shared("what is paused or running already stays so", pausing::what_is_so_already_stays_so),
        shared("twenty pauses lose nothing, and nothing grows", pausing::twenty_cycles),
        shared("a capsule that nobody uses is paused", pausing::idle_ones_are_paused),
        shared("the first requests after a resume work", pausing::first_requests_after_a_resume_work),
        shared("paused capsules survive the end of everything", pausing::paused_ones_survive_everything),
        shared(
            "memory of another vmm is refused, and its capsule can be booted",
            pausing::memory_of_another_vmm_is_refused,
        ),
        alone(
            "memory stays with the version of QEMU that saved it",
            pausing::memory_stays_with_its_version_of_qemu,
        )
        .with_ignored_flag(!is_enabled() || !pausing::has_second_qemu()),
        shared("while the host is away a resume says so", pausing::while_the_host_is_away),
        shared("capsules of a snapshot go on where it was made", snapshots::capsules_of_a_snapshot_go_on),
        shared(
            "names of templates are taken, reserved and replaced",
            snapshots::names_are_taken_and_replaced,
        ),
        shared("a flattened disk is small, and boots", snapshots::a_flattened_disk_is_small_and_boots),
        shared("a web server in a capsule is used from outside", previews::a_web_server_is_used_from_outside),
        shared(
            "who is let in to a preview is its owner's choice",
            previews::who_is_let_in_is_the_owners_choice,
        ),
        shared(
            "a request wakes a capsule that may be woken",
            previews::a_request_wakes_a_capsule_that_may_be_woken,
        ),
        shared(
            "visitors of a capsule that goes are not kept waiting",
            previews::visitors_of_a_capsule_that_goes_are_not_kept_waiting,
        ),
        shared("streams into a killed machine end with the reason", endings::killed),
        shared("streams into a paused capsule end with the reason", endings::paused),
        shared("streams into a destroyed capsule end with the reason", endings::destroyed),
        shared("streams to a lost host end with the reason", endings::host_lost),
        shared(
            "commands over sockets and terminals stay apart",
            terminals::fifty_streams_and_twenty_terminals_stay_apart,
        ),
        shared("a flood does not delay a key", terminals::a_flood_does_not_delay_a_key),
        shared("a terminal runs programs that fill the screen", terminals::programs_that_fill_the_screen),
        shared(
            "commands and terminals survive socket, agent and server",
            terminals::sessions_survive_socket_agent_and_server,
        ),
        shared("two gigabytes go up and down through little memory", files::a_large_file),
        shared("who does not read slows the capsule", files::slow_readers_slow_the_capsule),
        shared("an upload that is cut off leaves nothing", files::cut_uploads_leave_nothing),
        shared("files of every kind are read and written, or refused", files::of_every_kind),
        shared("changes are told until the machine dies", files::changes_are_told),
        alone("in no window of an operation is a capsule mistaken", windows::nobody_is_mistaken),
        alone("destroying overtakes in every window", windows::destroying_overtakes_in_every_window),
        alone(
            "what an older version saved has a way back",
            upgrades::what_an_older_version_saved_has_a_way_back,
        ),
        alone("a template reaches a second host", hosts::a_template_reaches_a_second_host),
        alone("hosts join from other networks", networks::hosts_join_from_other_networks),
        alone("soak: whatever is killed, nothing is lost and nothing is left", soak::nothing_is_lost),
        shared("a panic costs one request", faults::panic_costs_one_request),
        shared("the readme's walk-through works", readme::walk_through),
        shared("a second up on the same data folder is refused", lifecycle::second_up_is_refused),
        alone("two installations run side by side", lifecycle::side_by_side),
        shared(
            "ctrl-c leaves nothing but capsules, and the next start takes them up",
            lifecycle::interrupted,
        ),
        shared("a killed up takes its processes along, and the next one goes on", lifecycle::up_killed),
        shared("down leaves nothing", lifecycle::down_leaves_nothing),
    ]
}

/// Tests whose names begin with a line of `names`, or all if there is none; fails with a line that no test begins with.
fn chosen(tests: Vec<Trial>, names: &str) -> Result<Vec<Trial>, &str> {
    let begins = |test: &Trial, name: &str| test.name().starts_with(name);
    if let Some(unknown) = names.lines().find(|name| !tests.iter().any(|test| begins(test, name))) {
        return Err(unknown);
    }
    let is_chosen = |test: &Trial| names.is_empty() || names.lines().any(|name| begins(test, name));
    Ok(tests.into_iter().filter(is_chosen).collect())
}

fn main() -> ExitCode {
    // Clients of reqwest want one, although nothing here is encrypted. It cannot be set already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let arguments = Arguments { test_threads: Some(1), ..Arguments::from_args() };
    let packages = packages::cases().into_iter().map(|case| {
        let test = format!("packages: {}", case.name);
        shared(test, async move |installation| packages::are_used(case, installation).await)
    });
    let all = tests().into_iter().chain(packages).collect();
    let chosen = match chosen(all, &env::var("WRENN_E2E_TESTS").unwrap_or_default()) {
        Ok(chosen) => chosen,
        Err(name) => {
            eprintln!("WRENN_E2E_TESTS: there is no test {name:?}");
            return ExitCode::FAILURE;
        }
    };
    let conclusion = libtest_mimic::run(&arguments, chosen);
    let torn_down = RUNTIME.block_on(Installation::end_shared());
    if let Err(error) = &torn_down {
        eprintln!("the shared installation could not be taken down: {error:#}");
    }
    if conclusion.has_failed() || torn_down.is_err() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
