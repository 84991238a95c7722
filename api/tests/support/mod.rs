//! A control plane with its endpoint for agents, without REST.

use sqlx::PgPool;
use wrenn_actors::{Config, ControlPlane};
use wrenn_api::agents::AgentListener;
use wrenn_base::{Clock, Rng};
use wrenn_control::{AccountsConfig, Control, agent_authority::AgentsAccess};
use wrenn_testkit::server::{self, ServerThread, Stopped};

/// Starts one, whose endpoint goes by `clock`; returns also the address for agents, which `addr` may leave to the system.
pub(crate) async fn start(
    pool: &PgPool,
    addr: &str,
    config: Config,
    clock: Clock,
) -> (ServerThread, ControlPlane, String) {
    let listener = AgentListener::bind(addr).unwrap();
    let addr = listener.to_string();
    let serve = |control_plane: ControlPlane, stopped: Stopped| async move {
        let accounts = AccountsConfig::none();
        let agents = AgentsAccess::at(String::new(), control_plane.store(), &Clock::process()).await.unwrap();
        let (clock_of_control, rng) = (Clock::process(), Rng::process());
        let control = Control::new(control_plane, 5, accounts, agents, clock_of_control, rng).unwrap();
        listener.serve(control, clock, stopped.wait()).await.unwrap();
    };
    let (thread, control_plane) = server::control_plane(pool, config, serve).await;
    (thread, control_plane, addr)
}
