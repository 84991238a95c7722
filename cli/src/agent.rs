//! `wrenn agent`: the host agent.

use wrenn_agent::config::Config;

use crate::process::EndSignal;

/// Serves its control plane until SIGINT or SIGTERM; capsules keep running. Must run on an actix system.
pub async fn run() -> anyhow::Result<()> {
    let mut end = EndSignal::listen()?;
    let config = Config::from_env()?;
    Ok(wrenn_agent::run(config, async move { end.received().await }).await?)
}
