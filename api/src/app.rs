//! What all handlers share.

use actix_web::{HttpRequest, web::Data};
use tokio_util::sync::CancellationToken;
use wrenn_actors::ControlPlane;
use wrenn_store::Store;

use crate::{
    auth::{bucket::HashLimit, password::Passwords, throttle::LoginThrottle, token::TokenSigner},
    preview::Previews,
    routes::OutputBudget,
};

/// State of the server, one for all workers.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) store: Store,
    pub(crate) control_plane: ControlPlane,
    pub(crate) passwords: Passwords,
    pub(crate) tokens: TokenSigner,
    pub(crate) hash_limit: HashLimit,
    pub(crate) login_throttle: LoginThrottle,
    pub(crate) output: OutputBudget,
    pub(crate) previews: Previews,
    /// Cancelled when the server is told to stop: what would go on for as long as its client likes ends then.
    pub(crate) stopping: CancellationToken,
}

impl App {
    /// The state behind a request.
    #[expect(clippy::expect_used, reason = "the server puts it into every application it makes")]
    pub(crate) fn of(request: &HttpRequest) -> &Self {
        request.app_data::<Data<Self>>().expect("the state is part of the application")
    }
}
