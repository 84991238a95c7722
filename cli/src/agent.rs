//! `wrenn agent`: the host agent.

use std::path::PathBuf;

use clap::Subcommand;
use wrenn_agent::config::{Config, ServerAddr};
use wrenn_base::{Clock, Rng};
use wrenn_pki::JoinToken;

use crate::process::EndSignal;

/// `wrenn agent`: runs capsules on this host for its control plane.
#[derive(Debug, clap::Args)]
pub struct AgentCommand {
    #[command(subcommand)]
    command: Option<AgentSubcommand>,
}

#[derive(Debug, Subcommand)]
enum AgentSubcommand {
    /// Register this host and run its agent. The host is remembered: afterwards `wrenn agent` is enough.
    Join(JoinCommand),
}

/// `wrenn agent join`: all that a new host needs is the token.
#[derive(Debug, clap::Args)]
struct JoinCommand {
    /// Registration token of the host (`registration_token` of POST /v1/hosts); valid once, for an hour.
    #[arg(env = "WRENN_REGISTRATION_TOKEN", hide_env_values = true)]
    token: JoinToken,
    /// Address of the control plane, as HOST:PORT or unix:/PATH, if it is not the one in the token.
    #[arg(long, env = "WRENN_SERVER")]
    server: Option<ServerAddr>,
    /// Folder of everything that the agent keeps [default: /var/lib/wrenn/agent].
    #[arg(long, env = "WRENN_AGENT_DATA")]
    data: Option<PathBuf>,
    /// Folder with kernel, initramfs and base images, as ./scripts/image makes them [default: /var/lib/wrenn/images].
    #[arg(long, env = "WRENN_IMAGES")]
    images: Option<PathBuf>,
}

impl AgentCommand {
    /// Serves the control plane until SIGINT or SIGTERM; capsules keep running. Must run on an actix system.
    pub async fn run(self, clock: Clock, rng: Rng) -> anyhow::Result<()> {
        let mut end = EndSignal::listen()?;
        let mut config = Config::from_env()?;
        if let Some(AgentSubcommand::Join(JoinCommand { token, server, data, images })) = self.command {
            config.registration_token = Some(token);
            config.server = server;
            config.data_dir = data.unwrap_or(config.data_dir);
            config.images_dir = images.unwrap_or(config.images_dir);
        }
        Ok(wrenn_agent::run(config, clock, rng, async move { end.received().await }).await?)
    }
}
