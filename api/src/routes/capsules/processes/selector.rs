//! Selection of a process by its pid or tag.

use std::str::FromStr;

use actix_web::{FromRequest, HttpRequest, dev::Payload};
use wrenn_domain::error_code::ErrorCode;
use wrenn_proto::guest::{ProcessSelector, process_selector::By};

use crate::error::ApiError;

/// Longest tag, in bytes.
const MAX_TAG_BYTES: usize = 64;

/// The reason for which a text is not a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TagError {
    #[error("a tag has 1 to {MAX_TAG_BYTES} letters, digits, dots, hyphens, underscores and colons")]
    Characters,
    #[error("a tag must not be a number, since that would be a pid")]
    Number,
    #[error("no process has so large a pid")]
    Pid,
}

/// Checks the tag of a new process.
///
/// # Errors
/// See [`TagError`].
pub(crate) fn check_tag(tag: &str) -> Result<(), TagError> {
    match tag.parse()? {
        Selector::Tag(_) => Ok(()),
        Selector::Pid(_) => Err(TagError::Number),
    }
}

/// A pid if it consists of digits, else a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Selector {
    Pid(u32),
    Tag(String),
}

impl FromStr for Selector {
    type Err = TagError;

    fn from_str(text: &str) -> Result<Self, TagError> {
        let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || b"._-:".contains(&byte);
        if text.is_empty() || text.len() > MAX_TAG_BYTES || !text.bytes().all(is_inner) {
            Err(TagError::Characters)
        } else if text.bytes().all(|byte| byte.is_ascii_digit()) {
            text.parse().map(Self::Pid).map_err(|_| TagError::Pid)
        } else {
            Ok(Self::Tag(text.to_owned()))
        }
    }
}

impl From<Selector> for ProcessSelector {
    fn from(selector: Selector) -> Self {
        let by = match selector {
            Selector::Pid(pid) => By::Pid(pid),
            Selector::Tag(tag) => By::Tag(tag),
        };
        Self { by: Some(by) }
    }
}

/// The selector in the path, under the name `selector`.
#[derive(Debug)]
pub(crate) struct PathSelector(pub(crate) Selector);

impl FromRequest for PathSelector {
    type Error = ApiError;
    type Future = std::future::Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let selector = request.match_info().get("selector").unwrap_or_default();
        let refuse = |error: TagError| ApiError::new(ErrorCode::InvalidRequest, format!("selector: {error}"));
        std::future::ready(selector.parse().map(Self).map_err(refuse))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_a_pid_and_anything_else_a_tag() {
        assert_eq!("12".parse(), Ok(Selector::Pid(12)));
        assert_eq!("12a".parse(), Ok(Selector::Tag("12a".into())));
        assert_eq!("99999999999".parse::<Selector>(), Err(TagError::Pid));
        assert_eq!(check_tag("dev.server-1_x:y"), Ok(()));
        assert_eq!(check_tag("1"), Err(TagError::Number));
        for bad in ["", "a b", "ü", "a/b", "a\n", &"x".repeat(MAX_TAG_BYTES + 1)] {
            assert_eq!(check_tag(bad), Err(TagError::Characters), "{bad:?}");
        }
    }
}
