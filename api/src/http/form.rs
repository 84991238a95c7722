//! Forms with files in them, read part by part.

use std::{cell::RefCell, future::poll_fn, rc::Rc, time::Duration};

use actix_multipart::{Field, Multipart, MultipartError};
use actix_web::{http::header::HeaderMap, web::Payload};
use futures_util::{StreamExt as _, stream};
use tokio::time::timeout;
use wrenn_domain::{error_code::ErrorCode, limits::ECHO_CHARACTERS};

use crate::error::ApiError;

/// How long a client may send nothing, or take nothing.
pub(crate) const STALLED: Duration = Duration::from_secs(10 * 60);
/// How much, and for how long, is still read of a form that was refused: a client that is still sending it would not
/// see the answer otherwise.
const REST_BYTES: u64 = 256 * 1024 * 1024;
const REST_WITHIN: Duration = Duration::from_secs(30);
/// A client that sends nothing for so long can read its answer.
const REST_PAUSE: Duration = Duration::from_secs(1);

/// Why a form was not accepted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FormError {
    #[error("the body must be a form (content-type: multipart/form-data; boundary=…)")]
    NoForm,
    #[error("the form is not valid: {0}")]
    Form(#[source] MultipartError),
    #[error("{part}: is missing in the form")]
    Missing { part: &'static str },
    #[error("{part}: must be in the form once only")]
    Twice { part: &'static str },
    #[error("the form takes the parts {parts}, not `{given}`")]
    Unknown { parts: &'static str, given: String },
    #[error("{part}: must be UTF-8")]
    NotText { part: &'static str },
    #[error("{part}: must have at most {limit} bytes")]
    LongText { part: &'static str, limit: usize },
    #[error("nothing more of the form came for {} minutes", STALLED.as_secs() / 60)]
    Stalled,
}

impl FormError {
    /// The error of a part that the form does not take.
    pub(crate) fn unknown(parts: &'static str, given: &str) -> Self {
        let given = given.chars().filter(|c| !c.is_control()).take(ECHO_CHARACTERS).collect();
        Self::Unknown { parts, given }
    }

    pub(crate) fn api_error(&self) -> ApiError {
        ApiError::new(ErrorCode::InvalidRequest, self.to_string())
    }
}

impl From<MultipartError> for FormError {
    fn from(error: MultipartError) -> Self {
        match error {
            MultipartError::ContentTypeMissing
            | MultipartError::ContentTypeParse
            | MultipartError::ContentTypeIncompatible => Self::NoForm,
            error => Self::Form(error),
        }
    }
}

/// The body of a request, part by part.
pub(crate) struct Form {
    parts: Multipart,
    body: Rc<RefCell<Payload>>,
}

impl Form {
    pub(crate) fn new(headers: &HeaderMap, payload: Payload) -> Self {
        let body = Rc::new(RefCell::new(payload));
        let shared = Rc::clone(&body);
        let read = stream::poll_fn(move |context| shared.borrow_mut().poll_next_unpin(context));
        Self { parts: Multipart::new(headers, read), body }
    }

    /// The next part; none after the last one.
    pub(crate) async fn next(&mut self) -> Result<Option<Field>, FormError> {
        let next = timeout(STALLED, self.parts.next()).await.map_err(|_| FormError::Stalled)?;
        Ok(next.transpose()?)
    }

    /// Reads on for a while without looking at it, so that the client comes to read the answer.
    pub(crate) async fn discard(self) {
        let Self { parts, body } = self;
        drop(parts);
        let rest = async {
            let mut bytes = 0;
            while bytes < REST_BYTES {
                let piece = poll_fn(|context| body.borrow_mut().poll_next_unpin(context));
                let Ok(Some(Ok(piece))) = timeout(REST_PAUSE, piece).await else { return };
                bytes += piece.len() as u64;
            }
        };
        let _ = timeout(REST_WITHIN, rest).await;
    }
}

/// Reads a part that is a text.
pub(crate) async fn text(
    part: &mut Field,
    name: &'static str,
    limit: usize,
    place: &mut Option<String>,
) -> Result<(), FormError> {
    if place.is_some() {
        return Err(FormError::Twice { part: name });
    }
    let read = timeout(STALLED, part.bytes(limit)).await.map_err(|_| FormError::Stalled)?;
    let bytes = read.map_err(|_| FormError::LongText { part: name, limit })??;
    let text = std::str::from_utf8(&bytes).map_err(|_| FormError::NotText { part: name })?;
    *place = Some(text.to_owned());
    Ok(())
}
