//! Texts that agents send, before anything else sees them.

/// How much of a text is kept.
const MAX_CHARACTERS: usize = 500;

/// Makes a text harmless to store, to log and to show: no control characters, which Postgres refuses (NUL) or a
/// terminal obeys, and a bounded length.
pub(crate) fn harmless(text: &str) -> String {
    let spaced = text.chars().map(|c| if c.is_whitespace() { ' ' } else { c });
    spaced.filter(|c| !c.is_control()).take(MAX_CHARACTERS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_stored_or_is_too_long_is_left_out() {
        assert_eq!(harmless("no\0 \x1b[31mspace\nleft"), "no [31mspace left");
        assert_eq!(harmless(&"ß".repeat(10_000)).chars().count(), MAX_CHARACTERS);
    }
}
