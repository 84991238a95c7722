//! Parts of a machine that could not be prepared, as its user is told.

use std::fmt::Display;

use wrenn_proto::MAX_WARNINGS;

/// Longest warning, in characters.
const MAX_CHARS: usize = 200;

/// A few short texts. Each is also printed on the console.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Warnings(Vec<String>);

impl Warnings {
    /// Adds a warning; one that is there already is not repeated.
    pub fn add(&mut self, warning: impl Display) {
        let text: String = warning.to_string().chars().take(MAX_CHARS).collect();
        eprintln!("wrenn-guest: {text}");
        self.keep(text);
    }

    /// Adds those of another list, which were printed before.
    pub fn extend(&mut self, others: Self) {
        others.0.into_iter().for_each(|text| self.keep(text));
    }

    fn keep(&mut self, text: String) {
        if self.0.len() < MAX_WARNINGS && !self.0.contains(&text) {
            self.0.push(text);
        }
    }

    /// Adds the error of a step that failed.
    pub fn note<E: Display>(&mut self, outcome: Result<(), E>) {
        if let Err(error) = outcome {
            self.add(error);
        }
    }

    /// Returns all of them, the oldest first.
    pub fn into_texts(self) -> Vec<String> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_few_short_and_different() {
        let mut warnings = Warnings::default();
        warnings.note(Ok::<(), String>(()));
        warnings.note(Err("one"));
        warnings.add("one");
        warnings.add("x".repeat(MAX_CHARS + 1));
        for number in 0..MAX_WARNINGS {
            warnings.add(number);
        }
        warnings.extend(Warnings(vec!["one".into(), "late".into()]));
        let texts = warnings.into_texts();
        assert_eq!(texts.len(), MAX_WARNINGS);
        assert_eq!((texts[0].as_str(), texts[1].len(), texts[2].as_str()), ("one", MAX_CHARS, "0"));
    }
}
