//! Ids of events: places in the outbox, in a form that is nobody's business but this file's.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use wrenn_domain::error_code::ErrorCode;
use wrenn_store::outbox::OutboxCursor;

use crate::error::ApiError;

/// Returns the id of a place.
pub(super) fn id_of(cursor: OutboxCursor) -> String {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&cursor.xid.to_be_bytes());
    bytes[8..].copy_from_slice(&cursor.id.to_be_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Returns the place of an id that a client sends as `field`.
///
/// # Errors
/// If it is none.
pub(super) fn cursor_of(field: &str, id: &str) -> Result<OutboxCursor, ApiError> {
    let wrong = || {
        let message =
            format!("{field}: is no id of an event; send the last `id` that the stream has told, or none");
        ApiError::new(ErrorCode::InvalidRequest, message)
    };
    read(id).ok_or_else(wrong)
}

fn read(id: &str) -> Option<OutboxCursor> {
    let bytes: [u8; 16] = URL_SAFE_NO_PAD.decode(id).ok()?.try_into().ok()?;
    let (xid, rest) = bytes.split_first_chunk::<8>()?;
    let id = rest.first_chunk::<8>()?;
    let cursor = OutboxCursor { xid: i64::from_be_bytes(*xid), id: i64::from_be_bytes(*id) };
    // The database numbers nothing below zero.
    (cursor.xid >= 0 && cursor.id >= 0).then_some(cursor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_lead_to_the_place_that_they_were_made_of_and_others_are_refused() {
        for cursor in [
            OutboxCursor::default(),
            OutboxCursor { xid: 7, id: i64::MAX },
            OutboxCursor { xid: i64::MAX, id: 1 },
        ] {
            assert_eq!(cursor_of("last_event_id", &id_of(cursor)), Ok(cursor));
        }
        let negative = id_of(OutboxCursor { xid: -1, id: 1 });
        let good = id_of(OutboxCursor { xid: 1, id: 1 });
        for bad in ["", "17", "!", &good[1..], &format!("{good}AA"), &negative] {
            let error = cursor_of("last_event_id", bad).unwrap_err();
            assert!(error.message.starts_with("last_event_id: "), "{bad}: {}", error.message);
        }
    }
}
