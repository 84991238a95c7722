//! Pages of lists: the query by which a client requests one, and the header that leads to the next.
//!
//! Without a query a list is answered as a whole, up to 10,000 rows. A token says behind which row a page begins; its
//! form is nobody's business but this file's.

use actix_web::HttpResponse;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Datelike as _, Utc};
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;
use uuid::Uuid;
use wrenn_domain::{
    error_code::ErrorCode,
    limits,
    page::{MAX_ROWS, PAGE_ROWS, Page, PageRequest, Position},
};

use crate::error::ApiError;

/// Header with the token of the next page.
pub(crate) const NEXT_TOKEN: &str = "X-Next-Token";
/// Years that both RFC 3339 and the database have.
const YEARS: std::ops::RangeInclusive<i32> = 0..=9999;

/// The page that is requested.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// Most rows to answer with; without it, all of them, up to 10,000.
    #[param(nullable = false, required = false, minimum = 1, maximum = 1000)]
    limit: Option<i64>,
    /// Token of the page, from the header `X-Next-Token` of the page before.
    #[param(nullable = false, required = false)]
    after: Option<String>,
}

impl PageQuery {
    /// Returns the request for the page.
    ///
    /// # Errors
    /// If a value is not valid.
    pub(crate) fn request(&self) -> Result<PageRequest, ApiError> {
        self.request_of(MAX_ROWS)
    }

    /// Returns the request for the page, of at most `default` rows if the client does not say how many.
    ///
    /// # Errors
    /// If a value is not valid.
    pub(crate) fn request_of(&self, default: u32) -> Result<PageRequest, ApiError> {
        let limit = self.limit.map_or(Ok(default), |limit| limits::in_range("limit", limit, PAGE_ROWS));
        let limit = limit.map_err(|error| ApiError::new(ErrorCode::InvalidRequest, error.to_string()))?;
        Ok(PageRequest { limit, after: self.after.as_deref().map(position_of).transpose()? })
    }
}

/// Returns the token of a position.
pub(crate) fn token_of(position: Position) -> String {
    let mut bytes = [0; 24];
    bytes[..8].copy_from_slice(&position.at.timestamp_micros().to_be_bytes());
    bytes[8..].copy_from_slice(position.id.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Returns the position of a token.
///
/// # Errors
/// If it is none.
pub(crate) fn position_of(token: &str) -> Result<Position, ApiError> {
    let message = "after: is not a token; send the header `X-Next-Token` of the page before";
    read(token).ok_or_else(|| ApiError::new(ErrorCode::InvalidRequest, message))
}

fn read(token: &str) -> Option<Position> {
    let bytes: [u8; 24] = URL_SAFE_NO_PAD.decode(token).ok()?.try_into().ok()?;
    let (micros, id) = bytes.split_first_chunk::<8>()?;
    let at = DateTime::from_timestamp_micros(i64::from_be_bytes(*micros))?;
    is_storable(at).then_some(Position { at, id: Uuid::from_slice(id).ok()? })
}

/// Returns true if the database can hold a time.
pub(crate) fn is_storable(at: DateTime<Utc>) -> bool {
    YEARS.contains(&at.year())
}

/// Answers with a page of a list, and the token of the next one if there is one.
pub(crate) fn respond<T: Serialize>(page: Page<T>) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    if let Some(next) = page.next {
        response.insert_header((NEXT_TOKEN, token_of(next)));
    }
    response.json(page.items)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_lead_to_the_position_that_they_were_made_of_and_others_are_refused() {
        let at = DateTime::from_timestamp_micros(1_795_000_000_123_456).unwrap();
        let position = Position { at, id: Uuid::from_u128(7) };
        assert_eq!(read(&token_of(position)), Some(position));
        let forever = URL_SAFE_NO_PAD.encode([&i64::MAX.to_be_bytes()[..], &[0; 16]].concat());
        let long_ago =
            URL_SAFE_NO_PAD.encode([&(-100_000_000_000_000_000_i64).to_be_bytes()[..], &[0; 16]].concat());
        for bad in ["", "!", "AAAA", &token_of(position)[1..], &forever, &long_ago] {
            assert!(position_of(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_limit_is_checked_and_has_a_default() {
        let query = |limit| PageQuery { limit, after: None };
        assert_eq!(query(None).request().unwrap(), PageRequest::WHOLE);
        assert_eq!(query(Some(1000)).request().unwrap().limit, 1000);
        for bad in [0, -1, 1001, i64::MAX] {
            assert!(query(Some(bad)).request().unwrap_err().message.starts_with("limit: "), "{bad}");
        }
    }
}
