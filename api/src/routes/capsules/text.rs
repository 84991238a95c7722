//! Incremental decoding of text from bytes that arrive in pieces.

/// Longest piece of output in one frame, in bytes.
pub(super) const PIECE_BYTES: usize = 16 * 1024;

/// Decoder that joins characters across pieces, and replaces invalid bytes by U+FFFD.
#[derive(Debug, Default)]
pub(super) struct Utf8Stream {
    /// Bytes of an incomplete character; at most three.
    cut: Vec<u8>,
}

impl Utf8Stream {
    /// Decodes a piece; an incomplete character at its end waits for the next one.
    pub(super) fn push(&mut self, bytes: &[u8]) -> String {
        let joined;
        let mut rest = if self.cut.is_empty() {
            bytes
        } else {
            joined = [&std::mem::take(&mut self.cut), bytes].concat();
            &joined
        };
        let mut text = String::with_capacity(rest.len());
        loop {
            match std::str::from_utf8(rest) {
                Ok(valid) => {
                    text.push_str(valid);
                    return text;
                }
                Err(error) => {
                    let (valid, after) = rest.split_at(error.valid_up_to());
                    text.push_str(std::str::from_utf8(valid).unwrap_or_default());
                    let Some(length) = error.error_len() else {
                        self.cut = after.to_vec();
                        return text;
                    };
                    text.push(char::REPLACEMENT_CHARACTER);
                    rest = &after[length..];
                }
            }
        }
    }

    /// Returns a replacement for the incomplete character, if there is one, when nothing follows.
    pub(super) fn finish(&mut self) -> String {
        if std::mem::take(&mut self.cut).is_empty() {
            String::new()
        } else {
            char::REPLACEMENT_CHARACTER.to_string()
        }
    }
}

/// Splits a text into pieces of at most [`PIECE_BYTES`], between characters.
pub(super) fn pieces(mut text: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let (piece, rest) = text.split_at(text.floor_char_boundary(PIECE_BYTES));
        text = rest;
        (!piece.is_empty()).then_some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_that_are_cut_anywhere_are_put_together() {
        let text = "grüße €🦀 end";
        for size in 1..5 {
            let mut stream = Utf8Stream::default();
            let joined: String = text.as_bytes().chunks(size).map(|chunk| stream.push(chunk)).collect();
            assert_eq!((joined.as_str(), stream.finish().as_str()), (text, ""));
        }
    }

    #[test]
    fn what_is_no_text_is_replaced() {
        let mut stream = Utf8Stream::default();
        assert_eq!(stream.push(b"a\xffb\xe2\x82"), "a\u{fffd}b");
        assert_eq!(stream.push(b"c\xf0\x9f"), "\u{fffd}c");
        assert_eq!((stream.finish().as_str(), stream.finish().as_str()), ("\u{fffd}", ""));
    }

    #[test]
    fn pieces_are_whole_characters_and_all_of_them() {
        let text = "€".repeat(PIECE_BYTES);
        let all: Vec<&str> = pieces(&text).collect();
        assert_eq!(all.len(), 4);
        assert!(all.iter().all(|piece| piece.len() <= PIECE_BYTES) && all.concat() == text);
        assert_eq!(pieces("").count(), 0);
    }
}
