//! The recipe language: what turns a template into another one. Pure text in, typed instructions out.
//!
//! ```text
//!   text ─ lines ─▶ logical lines ─ words ─▶ instruction ─▶ Recipe
//!            continuations, comments     quotes, $VAR
//! ```
//!
//! | instruction | what it does |
//! |---|---|
//! | `RUN [--timeout=5m] command` | runs a command and waits for it |
//! | `START command` | starts a command that goes on running |
//! | `ENV NAME=value …` | sets variables for everything after it, and for the capsules |
//! | `WORKDIR path` | where what follows is run; made if missing |
//! | `USER name` | as whom what follows is run; made if missing, with `sudo` without a password |
//! | `COPY source… target` | copies from the archive; owned by the user |
//!
//! A line that ends with `\` goes on in the next one, whose space at the beginning is kept. A line that begins with `#` is a comment, also between two lines
//! of one instruction. What is wrong is told with its line, the instruction and what would be right, and nothing is run
//! of a recipe with a fault anywhere.

mod duration;
mod error;
mod healthcheck;
mod instruction;
mod lines;
mod value;
mod words;

use std::time::Duration;

pub use self::{
    error::{Fault, RecipeError},
    healthcheck::{Healthcheck, HealthcheckError},
    instruction::Instruction,
    value::Value,
};
use self::{instruction::parse, lines::logical_lines};

/// Instructions of one recipe.
pub const MAX_INSTRUCTIONS: usize = 200;
/// Length of a recipe, in bytes.
pub const MAX_BYTES: usize = 256 * 1024;
/// Time limit of a `RUN` that names none.
pub const DEFAULT_RUN_TIMEOUT: Duration = Duration::from_secs(30 * 60);
/// Longest time limit of a `RUN`.
pub const MAX_RUN_TIMEOUT: Duration = Duration::from_secs(6 * 60 * 60);

/// Instruction with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its first line, counted from 1.
    pub line: usize,
    /// As it was written, on one line.
    pub text: String,
    /// The instruction.
    pub instruction: Instruction,
}

/// A whole recipe.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recipe {
    /// In the order in which they are carried out.
    pub steps: Vec<Step>,
}

impl Recipe {
    /// Reads a recipe; the lines of all its parts are counted through.
    ///
    /// # Errors
    /// The first fault, see [`RecipeError`].
    pub fn parse<'a>(parts: impl IntoIterator<Item = &'a str>) -> Result<Self, RecipeError> {
        let steps = steps(&join(parts)?).collect::<Result<_, _>>()?;
        Ok(Self { steps })
    }

    /// Finds the faults of a recipe, at most `limit` of them, in the order of their lines: those for which [`parse`](Self::parse)
    /// would refuse it, one after the other. A recipe without any is right.
    pub fn faults<'a>(parts: impl IntoIterator<Item = &'a str>, limit: usize) -> Vec<RecipeError> {
        match join(parts) {
            Ok(text) => steps(&text).filter_map(Result::err).take(limit).collect(),
            Err(error) => vec![error],
        }
    }
}

/// Joins the parts of a recipe to one text.
fn join<'a>(parts: impl IntoIterator<Item = &'a str>) -> Result<String, RecipeError> {
    let mut text = String::new();
    for part in parts {
        // A part is never continued by the next one, which would be an accident.
        let part = part.strip_suffix('\n').unwrap_or(part);
        text.push_str(part);
        text.push('\n');
        if part.trim_end().ends_with('\\') {
            // An empty part of its own makes that a fault of this one.
            let line = text.lines().count();
            return Err(RecipeError { line, instruction: None, fault: Fault::NothingFollows });
        }
    }
    text.truncate(text.strip_suffix('\n').unwrap_or(&text).len());
    if text.len() > MAX_BYTES {
        return Err(RecipeError { line: 1, instruction: None, fault: Fault::TooLong });
    }
    Ok(text)
}

/// Reads the instructions of a text one by one; a fault of one leaves the others readable. Ends behind one too many.
fn steps(text: &str) -> impl Iterator<Item = Result<Step, RecipeError>> {
    logical_lines(text).take(MAX_INSTRUCTIONS + 1).enumerate().map(|(index, logical)| {
        let logical = logical?;
        if index == MAX_INSTRUCTIONS {
            let fault = Fault::TooMany;
            return Err(RecipeError { line: logical.number, instruction: None, fault });
        }
        let instruction = parse(&logical.text).map_err(|(instruction, fault)| RecipeError {
            line: logical.number,
            instruction,
            fault,
        })?;
        Ok(Step { line: logical.number, text: logical.text, instruction })
    })
}

#[cfg(test)]
mod tests;
