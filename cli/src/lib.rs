//! `wrenn`: the one binary, from the developer's `up` to the processes of a large installation.
//!
//! Each command is a module with an arguments struct and a `run`. Commands that only wait (`up`,
//! `services`) run on one thread: the thread that starts a process must live as long as `up` does, because
//! the kernel ties "end with the parent" to it.

pub mod data;
pub mod process;
pub mod progress;
pub mod services;

use std::{io, process::ExitCode};

use anyhow::Context;
use clap::{Parser, Subcommand};

/// Runs untrusted code in microVMs that start in milliseconds.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 110)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a private Postgres and Redis for tests and development.
    Services(services::ServicesCommand),
    /// Become another program that ends together with us.
    #[command(hide = true)]
    Launch(process::Launch),
}

impl Command {
    fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Services(command) => one_thread()?.block_on(command.run())?,
            Self::Launch(command) => command.exec()?,
        }
        Ok(ExitCode::SUCCESS)
    }
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
pub fn main() -> ExitCode {
    let result = load_env_file().and_then(|()| Arguments::parse().command.run());
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
