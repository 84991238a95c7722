//! What all handlers share.

use actix_web::{HttpRequest, web::Data};
use tokio_util::sync::CancellationToken;
use wrenn_base::{Clock, Rng};
use wrenn_control::{Control, public_url::PublicUrl};

use crate::{auth::token::TokenSigner, preview::Previews, routes::OutputBudget};

/// State of the server, one for all workers.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) control: Control,
    pub(crate) tokens: TokenSigner,
    pub(crate) output: OutputBudget,
    pub(crate) previews: Previews,
    pub(crate) public_url: PublicUrl,
    pub(crate) clock: Clock,
    pub(crate) rng: Rng,
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
