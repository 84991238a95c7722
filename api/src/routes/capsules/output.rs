//! The output of a buffered command: bounded while it arrives, text or base64 when it leaves.

use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::exec::OutputEncoding;

/// How much of each stream is kept.
pub(crate) const MAX_BYTES: usize = 16 * 1024 * 1024;

/// The beginning of a stream.
#[derive(Debug, Default)]
pub(crate) struct Bounded {
    bytes: Vec<u8>,
    is_truncated: bool,
}

impl Bounded {
    /// Keeps what still fits. The rest is read and forgotten, so that the command can go on.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let room = MAX_BYTES - self.bytes.len();
        self.is_truncated |= bytes.len() > room;
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// Removes the beginning of a character that the end was cut off.
    fn without_half_character(mut self) -> Self {
        if self.is_truncated
            && let Err(error) = std::str::from_utf8(&self.bytes)
            && error.error_len().is_none()
        {
            self.bytes.truncate(error.valid_up_to());
        }
        self
    }
}

/// Both streams as they are sent.
#[derive(Debug)]
pub(crate) struct Text {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) encoding: OutputEncoding,
    pub(crate) truncated: bool,
}

/// Makes text of both streams, or base64 of both.
pub(crate) fn text(stdout: Bounded, stderr: Bounded) -> Text {
    let truncated = stdout.is_truncated || stderr.is_truncated;
    let stdout = String::from_utf8(stdout.without_half_character().bytes);
    let stderr = String::from_utf8(stderr.without_half_character().bytes);
    match (stdout, stderr) {
        (Ok(stdout), Ok(stderr)) => Text { stdout, stderr, encoding: OutputEncoding::Utf8, truncated },
        (stdout, stderr) => {
            let encode = |text: Result<String, std::string::FromUtf8Error>| {
                BASE64_STANDARD.encode(text.map_or_else(|error| error.into_bytes(), String::into_bytes))
            };
            let (stdout, stderr) = (encode(stdout), encode(stderr));
            Text { stdout, stderr, encoding: OutputEncoding::Base64, truncated }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(bytes: &[u8]) -> Bounded {
        let mut stream = Bounded::default();
        stream.push(bytes);
        stream
    }

    #[test]
    fn text_stays_text() {
        let text = text(stream("grüße".as_bytes()), stream(b""));
        assert_eq!((text.stdout.as_str(), text.encoding), ("grüße", OutputEncoding::Utf8));
        assert!(!text.truncated);
    }

    #[test]
    fn one_stream_that_is_no_text_turns_both_into_base64() {
        let text = text(stream(b"plain"), stream(b"\xff\x00"));
        assert_eq!((text.stdout.as_str(), text.stderr.as_str()), ("cGxhaW4=", "/wA="));
        assert_eq!(text.encoding, OutputEncoding::Base64);
    }

    #[test]
    fn too_much_is_cut_between_characters() {
        let mut long = stream(&vec![b'a'; MAX_BYTES - 1]);
        long.push("ß and more".as_bytes());
        long.push(b"and more");
        let text = text(long, stream(b""));
        assert_eq!((text.stdout.len(), text.encoding), (MAX_BYTES - 1, OutputEncoding::Utf8));
        assert!(text.truncated);
    }
}
