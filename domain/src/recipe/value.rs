//! Texts with variables in them.

use std::{borrow::Cow, fmt};

/// A text in which variables stand, to be filled in when it is needed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Value {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Variable(String),
}

impl Value {
    /// The text with the variables' values, which `value_of` looks up; one that is not set counts as empty.
    pub fn expand<'a>(&self, value_of: impl Fn(&str) -> Option<Cow<'a, str>>) -> String {
        let mut text = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(piece) => text.push_str(piece),
                Piece::Variable(name) => text.push_str(&value_of(name).unwrap_or_default()),
            }
        }
        text
    }

    /// The text, if no variable is in it.
    pub fn plain(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [] => Some(""),
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }

    pub(super) fn push(&mut self, character: char) {
        match self.pieces.last_mut() {
            Some(Piece::Text(text)) => text.push(character),
            _ => self.pieces.push(Piece::Text(character.to_string())),
        }
    }

    pub(super) fn push_variable(&mut self, name: String) {
        self.pieces.push(Piece::Variable(name));
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        let mut value = Self::default();
        text.chars().for_each(|character| value.push(character));
        value
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => f.write_str(text)?,
                Piece::Variable(name) => write!(f, "${{{name}}}")?,
            }
        }
        Ok(())
    }
}

/// Returns true if a variable can have this name.
pub(super) fn is_variable_name(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
