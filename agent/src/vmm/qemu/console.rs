//! What the guest said last, read from QEMU's ring buffer.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::json;

use super::args::{CONSOLE, CONSOLE_SIZE};
use crate::vmm::qmp::{Qmp, QmpError};

/// How much of the console is kept and shown, in bytes.
const TAIL_SIZE: usize = 16 * 1024;
const READ_TIMEOUT: Duration = Duration::from_secs(2);
/// How the kernel begins its last message.
const PANIC_MARK: &str = "Kernel panic - not syncing";

/// The end of the console's output. Reading QEMU's buffer empties it, so what was read is kept here.
#[derive(Default)]
pub(super) struct ConsoleTail {
    bytes: Vec<u8>,
}

impl ConsoleTail {
    /// Takes over what the guest has written since the last time.
    pub(super) async fn drain(&mut self, qmp: &Qmp) -> Result<(), QmpError> {
        let arguments = json!({ "device": CONSOLE, "size": CONSOLE_SIZE, "format": "base64" });
        let answer = qmp.execute("ringbuf-read", arguments, READ_TIMEOUT).await?;
        let encoded = answer.as_str().unwrap_or_default();
        let news = BASE64_STANDARD
            .decode(encoded)
            .map_err(|_| QmpError::Protocol("ringbuf-read: not base64".into()))?;
        self.push(&news);
        Ok(())
    }

    fn push(&mut self, news: &[u8]) {
        self.bytes.extend_from_slice(news);
        let excess = self.bytes.len().saturating_sub(TAIL_SIZE);
        self.bytes.drain(..excess);
    }

    /// The tail as lines of text, without control characters.
    pub(super) fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.bytes).replace('\r', "");
        let printable = text.chars().filter(|&it| it == '\n' || it == '\t' || !it.is_control());
        printable.collect::<String>().trim().to_owned()
    }

    /// Whether the kernel said that it panicked (or somebody wrote those words).
    pub(super) fn shows_panic(&self) -> bool {
        String::from_utf8_lossy(&self.bytes).contains(PANIC_MARK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_of_an_endless_console_is_kept() {
        let mut tail = ConsoleTail::default();
        for _ in 0..10 {
            tail.push(&[b'a'; 10_000]);
        }
        tail.push(b"the end");
        assert_eq!(tail.bytes.len(), TAIL_SIZE);
        assert!(tail.text().ends_with("aathe end"));
    }

    #[test]
    fn control_characters_do_not_reach_a_terminal() {
        let mut tail = ConsoleTail::default();
        tail.push(b"a\x1b]0;title\x07\r\nb\xff\x00\tc\r\n");
        assert_eq!(tail.text(), "a]0;title\nb\u{fffd}\tc");
    }

    #[test]
    fn a_panic_is_seen() {
        let mut tail = ConsoleTail::default();
        assert!(!tail.shows_panic());
        tail.push(b"[    1.0] Kernel panic - not syncing: Attempted to kill init!\r\n");
        assert!(tail.shows_panic());
    }
}
