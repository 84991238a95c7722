//! What every request passes through, before and after its handler.

pub(crate) mod extract;
pub(crate) mod form;
pub(crate) mod observe;
pub(crate) mod page;
pub(crate) mod resource;
pub(crate) mod sse;
