//! `wrenn`: the one binary, from the developer's `up` to the processes of a large installation.
//!
//! Each command is a module with an arguments struct and a `run`. Commands that only wait (`up`,
//! `services`) run on one thread: the thread that starts a process must live as long as `up` does, because
//! the kernel ties "end with the parent" to it.

pub mod admin;
pub mod agent;
pub mod bench;
pub mod client;
pub mod data;
pub mod doctor;
pub mod down;
pub mod process;
pub mod progress;
mod providers;
pub mod server;
pub mod services;
pub mod sockets;
pub mod stopwatch;
mod telemetry;
pub mod up;

use std::{io, process::ExitCode};

use anyhow::Context;
use clap::{Parser, Subcommand};
use wrenn_base::{Clock, Rng};

use self::telemetry::Telemetry;

/// Runs untrusted code in microVMs that start in milliseconds.
#[derive(Debug, Parser)]
#[command(name = "wrenn", version, max_term_width = 110)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything on this machine until Ctrl-C; capsules survive it.
    Up(up::UpCommand),
    /// Stop `up`, destroy every capsule and release what they hold on this machine.
    Down(down::DownCommand),
    /// Check whether this machine can run Wrenn, and how to fix what is missing.
    Doctor(doctor::DoctorCommand),
    /// Run the control plane: REST, dashboard, the hosts' agents.
    Server(Box<server::ServerCommand>),
    /// Run the host agent; its settings are in the environment (docs/operations.md).
    Agent(agent::AgentCommand),
    /// Make accounts, reset passwords, rotate keys, directly in the database.
    Admin(admin::AdminCommand),
    /// Run a private Postgres and Redis, for tests and development.
    Services(services::ServicesCommand),
    /// Measure a running installation.
    Bench(bench::BenchCommand),
    /// Print the OpenAPI document of the REST interface.
    Openapi,
    /// Become another program that ends together with us.
    #[command(hide = true)]
    Launch(process::Launch),
}

impl Command {
    fn run(self, clock: Clock, rng: Rng) -> anyhow::Result<ExitCode> {
        match self {
            Self::Up(command) => one_thread()?.block_on(command.run(clock, rng))?,
            Self::Down(command) => one_thread()?.block_on(command.run(clock))?,
            Self::Doctor(command) => return one_thread()?.block_on(command.run(clock)),
            Self::Server(command) => watched("wrenn-server", command.run(clock, rng))?,
            Self::Agent(command) => watched("wrenn-agent", command.run(clock, rng))?,
            Self::Admin(command) => one_thread()?.block_on(command.run(rng))?,
            Self::Services(command) => one_thread()?.block_on(command.run(clock, rng))?,
            Self::Bench(command) => one_thread()?.block_on(command.run(clock, rng))?,
            Self::Openapi => progress::note(serde_json::to_string_pretty(&wrenn_api::openapi())?),
            Self::Launch(command) => command.exec()?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Runs a service on an actix system, with its logs and traces.
fn watched(service: &'static str, run: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    actix_rt::System::new().block_on(async {
        let telemetry = Telemetry::start(service)?;
        let ended = run.await;
        telemetry.end().await;
        ended
    })
}

fn one_thread() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start the runtime")
}

/// Loads `.env` of the working directory; what the environment already has stands.
fn load_env_file() -> anyhow::Result<()> {
    match dotenvy::from_path(".env") {
        Err(dotenvy::Error::Io(error)) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.context("cannot load .env"),
    }
}

/// Runs the command that the process's arguments name.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where the process makes its clock and its chance"
)]
pub fn main() -> ExitCode {
    let (clock, rng) = (Clock::process(), Rng::process());
    let result = load_env_file().and_then(|()| Arguments::parse().command.run(clock, rng));
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::Arguments;

    #[test]
    fn arguments_of_all_commands_are_consistent() {
        Arguments::command().debug_assert();
    }
}
