//! Faults of a recipe.

use std::fmt;

use super::{MAX_BYTES, MAX_INSTRUCTIONS, MAX_RUN_TIMEOUT};

/// Place of a fault in a recipe, and the right form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct RecipeError {
    /// The line, counted from 1.
    pub line: usize,
    /// The instruction, if it is known.
    pub instruction: Option<&'static str>,
    /// The fault.
    pub fault: Fault,
}

impl fmt::Display for RecipeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.line)?;
        if let Some(instruction) = self.instruction {
            write!(f, "{instruction}: ")?;
        }
        self.fault.fmt(f)
    }
}

/// Fault of an instruction.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The recipe is too large.
    #[error("the recipe is longer than {MAX_BYTES} bytes; put scripts into the archive and RUN them")]
    TooLong,
    /// There are too many instructions.
    #[error("there are more than {MAX_INSTRUCTIONS} instructions; join commands with `&&`, or RUN a script")]
    TooMany,
    /// The last line is continued.
    #[error("the line ends with `\\`, but no line follows; remove it")]
    NothingFollows,
    /// A zero byte or another control character.
    #[error("the character {0:?} cannot be in a recipe; remove it")]
    Character(char),
    /// No instruction of this language.
    #[error("`{word}` is no instruction; {remedy}")]
    Unknown {
        /// Text of the recipe.
        word: String,
        /// Suggestion.
        remedy: String,
    },
    /// The instruction's name stands alone.
    #[error("nothing follows; write `{0}`")]
    Missing(&'static str),
    /// An option that the instruction does not have.
    #[error("there is no option `{option}`; {remedy}")]
    Option {
        /// Text of the recipe.
        option: String,
        /// Suggestion.
        remedy: &'static str,
    },
    /// A time that is none.
    #[error("`{0}` is no time; write it like `30s`, `5m` or `1h30m`")]
    Duration(String),
    /// A time outside of what is allowed.
    #[error("the timeout must be from 1s to {}h", MAX_RUN_TIMEOUT.as_secs() / 3600)]
    Timeout,
    /// A quote that is not closed.
    #[error("the quote {0} is not closed")]
    Quote(char),
    /// A `$` that begins no variable.
    #[error("`{0}` is no variable; write `$NAME` or `${{NAME}}`, and `$$` for a dollar sign")]
    Variable(String),
    /// A variable without `=`.
    #[error("`{0}` has no `=`; write `NAME=value`")]
    NoValue(String),
    /// A name that no variable can have.
    #[error("`{0}` is no name of a variable; use letters, digits and `_`, and no digit first")]
    VariableName(String),
    /// More than one word where one is wanted.
    #[error("takes one {0}; put one with spaces into quotes")]
    OneWord(&'static str),
    /// A name that no user can have.
    #[error(
        "`{0}` is no user name; use up to 32 lower-case letters, digits, `_` and `-`, and no digit or `-` first"
    )]
    UserName(String),
    /// COPY without a target.
    #[error("needs a source and a target; write `COPY source… target`")]
    NoTarget,
    /// A source that is not in the archive.
    #[error(
        "the source `{0}` leaves the archive; name a path within it, without `..` and without a `/` in front"
    )]
    OutsideSource(String),
    /// A path that is too long, or empty.
    #[error("`{0}` is no path")]
    Path(String),
}
