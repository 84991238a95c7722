//! Members of a team.

pub(crate) mod add;
pub(crate) mod list;
pub(crate) mod remove;
pub(crate) mod set_role;

use std::future::{Ready, ready};

use actix_web::{FromRequest, HttpRequest, dev::Payload};
use wrenn_domain::ids::UserId;

use crate::http::extract::{PathId, PathIdError};

/// The member that the path names as `{uid}`.
#[derive(Debug)]
pub(crate) struct MemberId(UserId);

impl FromRequest for MemberId {
    type Error = PathIdError;
    type Future = Ready<Result<Self, PathIdError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(PathId::named(request, "uid").map(|PathId(id)| Self(id)))
    }
}
