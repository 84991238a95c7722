//! An object: the parts of a template, each with its length in front.

use bytes::{Buf as _, Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _, stream};
use prost::Message as _;
use wrenn_proto::{
    agent::TemplatePart,
    transfer::{EXTENT_MAX_BYTES, TransferError},
};

use super::FetchError;
use crate::objects::ObjectError;

/// Longest part: the head's manifest, or an extent, and what is around it.
const PART_MAX_BYTES: usize = 4 * EXTENT_MAX_BYTES + 4096;
/// Of the length in front of a part.
const LENGTH_BYTES: usize = 4;

/// Packs a part.
pub(super) fn encode(part: &TemplatePart) -> Result<Bytes, TransferError> {
    let length = part.encoded_len();
    if length > PART_MAX_BYTES {
        return Err(TransferError::Malformed);
    }
    let mut packed = BytesMut::with_capacity(LENGTH_BYTES + length);
    packed.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
    part.encode(&mut packed).map_err(|_| TransferError::Malformed)?;
    Ok(packed.freeze())
}

/// Unpacks the parts of an object; ends after the first error.
pub(super) fn decode(
    pieces: impl Stream<Item = Result<Bytes, ObjectError>> + Unpin + Send + 'static,
) -> impl Stream<Item = Result<TemplatePart, FetchError>> + Send {
    let state = Some((pieces, BytesMut::new()));
    stream::unfold(state, async |state| {
        let (mut pieces, mut waiting) = state?;
        loop {
            match next(&mut waiting) {
                Ok(Some(part)) => return Some((Ok(part), Some((pieces, waiting)))),
                Ok(None) => {}
                Err(error) => return Some((Err(FetchError::Stored(error)), None)),
            }
            match pieces.next().await {
                Some(Ok(piece)) => waiting.extend_from_slice(&piece),
                Some(Err(error)) => return Some((Err(error.into()), None)),
                None if waiting.is_empty() => return None,
                None => return Some((Err(FetchError::Stored(TransferError::CutOff)), None)),
            }
        }
    })
}

/// Takes the next part out of what has come; none if more must come first.
fn next(waiting: &mut BytesMut) -> Result<Option<TemplatePart>, TransferError> {
    let Some(length) = waiting.first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
    let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
    if length > PART_MAX_BYTES {
        return Err(TransferError::Malformed);
    }
    if waiting.len() < LENGTH_BYTES + length {
        return Ok(None);
    }
    waiting.advance(LENGTH_BYTES);
    let part = waiting.split_to(length).freeze();
    TemplatePart::decode(part).map(Some).map_err(|_| TransferError::Malformed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wrenn_proto::agent::{TemplateExtent, template_part::Part};

    use super::*;

    fn parts() -> Vec<TemplatePart> {
        let extent = |length: usize| {
            let data = vec![7; length].into();
            TemplatePart { part: Some(Part::Extent(TemplateExtent { file: 1, offset: 3, data })) }
        };
        vec![extent(0), extent(1), TemplatePart { part: None }, extent(1000), extent(EXTENT_MAX_BYTES)]
    }

    async fn decoded(pieces: Vec<Bytes>) -> Vec<Result<TemplatePart, FetchError>> {
        decode(stream::iter(pieces.into_iter().map(Ok))).collect().await
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn parts_are_read_as_they_were_written_however_they_arrive(piece_bytes in 1_usize..2000) {
            let packed: Vec<u8> = parts().iter().flat_map(|part| encode(part).unwrap()).collect();
            let pieces = packed.chunks(piece_bytes).map(Bytes::copy_from_slice).collect();
            let read = futures_util::FutureExt::now_or_never(decoded(pieces)).unwrap();
            let read: Vec<_> = read.into_iter().map(Result::unwrap).collect();
            prop_assert_eq!(read, parts());
        }
    }

    #[tokio::test]
    async fn what_is_cut_off_or_no_part_is_an_error() {
        let mut packed = encode(&parts()[3]).unwrap().to_vec();
        packed.truncate(500);
        assert!(matches!(
            decoded(vec![packed.into()]).await[..],
            [Err(FetchError::Stored(TransferError::CutOff))]
        ));
        for garbage in [vec![0xff; 8], [4, 0, 0, 0, 0xff, 0xff, 0xff, 0xff].to_vec()] {
            let read = decoded(vec![garbage.into()]).await;
            assert!(matches!(read[..], [Err(FetchError::Stored(TransferError::Malformed))]), "{read:?}");
        }
        let large = Part::Extent(TemplateExtent { file: 1, offset: 0, data: vec![0; PART_MAX_BYTES].into() });
        assert_eq!(encode(&TemplatePart { part: Some(large) }), Err(TransferError::Malformed));
    }
}
