//! From text to logical lines: continuations joined, comments and empty lines left out.

use super::{Fault, RecipeError};

/// An instruction on one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LogicalLine {
    /// Line on which it begins, counted from 1.
    pub(super) number: usize,
    pub(super) text: String,
}

/// Splits a recipe into its instructions.
pub(super) fn logical_lines(text: &str) -> impl Iterator<Item = Result<LogicalLine, RecipeError>> {
    let mut lines = text.lines().enumerate();
    std::iter::from_fn(move || {
        let mut logical: Option<LogicalLine> = None;
        let mut last = 0;
        for (index, line) in lines.by_ref() {
            last = index + 1;
            let content = line.trim();
            if content.is_empty() || content.starts_with('#') {
                continue;
            }
            // Space at the beginning of a continued line separates words, as in a Dockerfile.
            let line = if logical.is_some() { line.trim_end() } else { content };
            if let Some(character) = line.chars().find(|c| c.is_control() && *c != '\t') {
                let fault = Fault::Character(character);
                return Some(Err(RecipeError { line: last, instruction: None, fault }));
            }
            let (piece, goes_on) = match line.strip_suffix('\\') {
                Some(piece) => (piece, true),
                None => (line, false),
            };
            let logical = logical.get_or_insert(LogicalLine { number: last, text: String::new() });
            logical.text.push_str(piece);
            if !goes_on {
                logical.text.truncate(logical.text.trim_end().len());
                return Some(Ok(std::mem::replace(logical, LogicalLine { number: 0, text: String::new() })));
            }
        }
        // The text ended within an instruction.
        logical.map(|_| Err(RecipeError { line: last, instruction: None, fault: Fault::NothingFollows }))
    })
}
