//! Address of the previews of this installation, and the connections to the ports behind it.

use std::time::Duration;

use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioTimer},
};
use wrenn_actors::ControlPlane;
use wrenn_domain::ids::SandboxId;

use super::{address::PreviewUrl, connect::Connector, forward::PortClient};

/// Time for which an idle connection is kept.
const IDLE: Duration = Duration::from_secs(30);
/// Most idle connections to one port.
const IDLE_MAX: usize = 8;

/// The previews of all capsules.
#[derive(Debug)]
pub(crate) struct Previews {
    pub(super) url: PreviewUrl,
    pub(super) client: PortClient,
}

impl Previews {
    pub(crate) fn new(url: PreviewUrl, control_plane: ControlPlane) -> Self {
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_MAX)
            .pool_timer(TokioTimer::new())
            .build(Connector::new(control_plane));
        Self { url, client }
    }

    /// Returns the address of a capsule's previews, with `{port}` in place of the port.
    pub(crate) fn url_of(&self, capsule: SandboxId) -> String {
        self.url.of(capsule)
    }
}
