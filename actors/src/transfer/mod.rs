//! Templates on their way from the host that made them to others, by way of object storage.
//!
//! ```text
//!   agent B ─ FetchTemplate ─▶ object there? ─ no ─▶ SendTemplate to a host that has it ─▶ agent A
//!      ▲                            │ yes                                                     │
//!      └──── parts ◀── object ◀─────┘ ◀──── checked, complete or not at all ◀── parts ────────┘
//! ```
//!
//! An object `templates/<id>` is the parts as they were sent, one after the other, each with its length in front. It is
//! written once, as long as its template exists, however many hosts want it; they share one upload. Nothing of a template is ever
//! whole in memory.
//!
//! | what fails | what happens |
//! |---|---|
//! | the host that sends | another one that has the template is asked; without one the fetch fails, with the reason |
//! | the host that fetches | the upload goes on, so that its next try finds the object |
//! | this server | nothing is half there: the object appears when it is complete |
//! | what was sent is damaged | it is not stored: the digest is checked here, and again by whoever fetches |
//!
//! A host gets only templates that its capsules may be made of, and gives only those that others may have of it: see
//! [`wrenn_store::template_hosts`].

mod codec;
mod desk;
mod fetch;
mod sweep;
mod upload;

use std::time::Duration;

use futures_util::stream::BoxStream;
use wrenn_proto::{agent::TemplatePart, ids::TemplateId, transfer::TransferError};
use wrenn_store::StoreError;

use crate::objects::ObjectError;

pub use self::desk::TransferAcceptor;
pub(crate) use self::{
    desk::{TransferDesk, Uploads},
    sweep::sweep_objects,
};

/// How long a host may take to begin to send a template.
const BEGUN_WITHIN: Duration = Duration::from_secs(30);
/// How long nothing may come of a template that is being sent.
const SILENT_FOR: Duration = Duration::from_secs(60);

/// Why a template cannot be fetched. Its text is for the owner of the capsule that was to be made of it.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// There is no such template, or the host may not have it.
    #[error("there is no such template for this host")]
    NotFound,
    /// No host that has it is attached.
    #[error("no host that has the template is attached")]
    NoSource,
    /// All hosts that have it have failed; this is what the last one said.
    #[error("the host that has the template could not send it: {0}")]
    Source(String),
    /// The database did not answer.
    #[error("the control plane's database does not answer")]
    Store(#[from] StoreError),
    /// It could not be stored or read.
    #[error("the control plane's object storage failed")]
    Objects(#[from] ObjectError),
    /// What is stored cannot be read.
    #[error("what is stored of the template cannot be read")]
    Stored(#[source] TransferError),
    /// The server is ending.
    #[error("the control plane is being stopped")]
    Interrupted,
}

/// The parts of a template, in order.
pub type Parts = BoxStream<'static, Result<TemplatePart, FetchError>>;

/// The name of a template's object.
pub(crate) fn object_name(template: TemplateId) -> String {
    format!("{OBJECTS}/{template}")
}

/// Where objects of templates are.
const OBJECTS: &str = "templates";
