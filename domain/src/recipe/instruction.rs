//! Instructions of a recipe.

use std::time::Duration;

use super::{
    DEFAULT_RUN_TIMEOUT, Fault, MAX_RUN_TIMEOUT, Value, duration::parse_duration, value::is_variable_name,
    words::words,
};

/// Longest path, in bytes (`PATH_MAX` of Linux, without its zero byte).
const MAX_PATH_BYTES: usize = 4095;
/// Longest name of a user (`useradd` of Debian).
const MAX_USER_BYTES: usize = 32;

/// Instruction of a recipe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Instruction {
    /// Runs a command under `/bin/sh -c`, and waits for it.
    Run {
        /// The command.
        command: String,
        /// After which it is ended and the build has failed.
        timeout: Duration,
    },
    /// Starts a command under `/bin/sh -c` that goes on running.
    Start {
        /// The command.
        command: String,
    },
    /// Sets variables, one after the other: later ones see the earlier ones.
    Env {
        /// Names and values.
        variables: Vec<(String, Value)>,
    },
    /// Changes the folder of what follows.
    Workdir {
        /// Absolute, or relative to the one before.
        path: Value,
    },
    /// Changes the user of what follows.
    User {
        /// Its name.
        name: String,
    },
    /// Copies from the archive.
    Copy {
        /// Paths within the archive.
        sources: Vec<Value>,
        /// A folder if it ends with `/` or if there are several sources; relative to the folder.
        target: Value,
    },
}

/// Reads one instruction; an error comes with the instruction's name, where that is known.
pub(super) fn parse(text: &str) -> Result<Instruction, (Option<&'static str>, Fault)> {
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let rest = rest.trim_start();
    type Parser = fn(&str) -> Result<Instruction, Fault>;
    let (name, parser): (&'static str, Parser) = match word.to_ascii_uppercase().as_str() {
        "RUN" => ("RUN", run),
        "START" => ("START", start),
        "ENV" => ("ENV", env),
        "WORKDIR" => ("WORKDIR", workdir),
        "USER" => ("USER", user),
        "COPY" => ("COPY", copy),
        other => return Err((None, unknown(word, other))),
    };
    parser(rest).map_err(|fault| (Some(name), fault))
}

fn unknown(word: &str, upper: &str) -> Fault {
    let remedy = match upper {
        "FROM" => "name the template to begin with in the build's `base_template`".to_owned(),
        "CMD" | "ENTRYPOINT" => "use START for what shall run in the template".to_owned(),
        "ADD" => "use COPY, and RUN for what is to be fetched or unpacked".to_owned(),
        "ARG" => "use ENV".to_owned(),
        "HEALTHCHECK" => "say it in the build's `healthcheck`".to_owned(),
        "EXPOSE" => "leave it out: every port of a capsule has its preview address".to_owned(),
        "LABEL" | "MAINTAINER" | "VOLUME" | "SHELL" | "STOPSIGNAL" | "ONBUILD" => "leave it out".to_owned(),
        _ => "use RUN, START, ENV, WORKDIR, USER or COPY".to_owned(),
    };
    Fault::Unknown { word: word.chars().take(40).collect(), remedy }
}

fn run(rest: &str) -> Result<Instruction, Fault> {
    const FORM: &str = "RUN [--timeout=5m] command";
    let mut timeout = DEFAULT_RUN_TIMEOUT;
    let mut command = rest;
    while command.starts_with("--") {
        let (option, after) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
        let Some(text) = option.strip_prefix("--timeout=") else {
            let remedy = if option == "--timeout" {
                "write `--timeout=5m`, with `=`"
            } else {
                "the only one is `--timeout=5m`"
            };
            return Err(Fault::Option { option: option.to_owned(), remedy });
        };
        timeout = parse_duration(text).ok_or_else(|| Fault::Duration(text.to_owned()))?;
        if timeout < Duration::from_secs(1) || timeout > MAX_RUN_TIMEOUT {
            return Err(Fault::Timeout);
        }
        command = after.trim_start();
    }
    if command.is_empty() {
        return Err(Fault::Missing(FORM));
    }
    Ok(Instruction::Run { command: command.to_owned(), timeout })
}

fn start(rest: &str) -> Result<Instruction, Fault> {
    if rest.is_empty() {
        return Err(Fault::Missing("START command"));
    }
    if let Some(option) = rest.split_whitespace().next().filter(|word| word.starts_with("--")) {
        return Err(Fault::Option { option: option.to_owned(), remedy: "START has none" });
    }
    Ok(Instruction::Start { command: rest.to_owned() })
}

fn env(rest: &str) -> Result<Instruction, Fault> {
    let assignments = split_assignments(rest)?;
    if assignments.is_empty() {
        return Err(Fault::Missing("ENV NAME=value"));
    }
    let variables = assignments.into_iter().map(|(name, value)| {
        if !is_variable_name(&name) {
            return Err(Fault::VariableName(name));
        }
        let mut words = words(&value)?;
        // An assignment is one word; none is one without a value.
        Ok((name, if words.is_empty() { Value::default() } else { words.remove(0) }))
    });
    Ok(Instruction::Env { variables: variables.collect::<Result<_, _>>()? })
}

/// Splits `A=x B="y z"` into names and what follows their `=`, as written.
fn split_assignments(text: &str) -> Result<Vec<(String, String)>, Fault> {
    let mut assignments = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let end = word_end(rest);
        let word = &rest[..end];
        let (name, value) = word.split_once('=').ok_or_else(|| Fault::NoValue(word.to_owned()))?;
        assignments.push((name.to_owned(), value.to_owned()));
        rest = rest[end..].trim_start();
    }
    Ok(assignments)
}

/// Returns the end of a text's first word: the first space outside of quotes.
fn word_end(text: &str) -> usize {
    let mut quote = None;
    let mut is_escaped = false;
    for (index, character) in text.char_indices() {
        match (quote, character) {
            _ if is_escaped => is_escaped = false,
            (Some('\''), '\'') | (Some('"'), '"') => quote = None,
            (None | Some('"'), '\\') => is_escaped = true,
            (None, '\'' | '"') => quote = Some(character),
            (None, space) if space.is_whitespace() => return index,
            _ => {}
        }
    }
    text.len()
}

fn workdir(rest: &str) -> Result<Instruction, Fault> {
    match <[Value; 1]>::try_from(words(rest)?) {
        Ok([path]) => Ok(Instruction::Workdir { path: checked_path(path)? }),
        Err(words) if words.is_empty() => Err(Fault::Missing("WORKDIR path")),
        Err(_) => Err(Fault::OneWord("path")),
    }
}

fn user(rest: &str) -> Result<Instruction, Fault> {
    let mut names = rest.split_whitespace();
    let name = names.next().ok_or(Fault::Missing("USER name"))?;
    if names.next().is_some() {
        return Err(Fault::OneWord("name"));
    }
    if is_user_name(name) {
        Ok(Instruction::User { name: name.to_owned() })
    } else {
        Err(Fault::UserName(name.to_owned()))
    }
}

/// Returns true if Debian's `useradd` makes a user of this name.
fn is_user_name(name: &str) -> bool {
    let is_first = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    name.len() <= MAX_USER_BYTES
        && name.bytes().next().is_some_and(is_first)
        && name.bytes().all(|byte| is_first(byte) || byte.is_ascii_digit() || byte == b'-')
}

fn copy(rest: &str) -> Result<Instruction, Fault> {
    if let Some(option) = rest.split_whitespace().next().filter(|word| word.starts_with("--")) {
        let remedy = "what is copied belongs to the USER; RUN chown or chmod afterwards";
        return Err(Fault::Option { option: option.to_owned(), remedy });
    }
    let mut sources = words(rest)?;
    if sources.is_empty() {
        return Err(Fault::Missing("COPY source… target"));
    }
    let target = checked_path(sources.pop().unwrap_or_default())?;
    if sources.is_empty() {
        return Err(Fault::NoTarget);
    }
    for source in &sources {
        // What a variable brings is checked when it is known.
        if let Some(path) = source.plain() {
            check_source(path)?;
        }
    }
    Ok(Instruction::Copy { sources, target })
}

/// Says whether a path stays within the archive.
///
/// # Errors
/// [`Fault::Path`] and [`Fault::OutsideSource`].
pub(super) fn check_source(path: &str) -> Result<(), Fault> {
    if path.is_empty() || path.len() > MAX_PATH_BYTES {
        return Err(Fault::Path(path.chars().take(100).collect()));
    }
    if path.starts_with('/') || path.split('/').any(|part| part == "..") {
        return Err(Fault::OutsideSource(path.to_owned()));
    }
    Ok(())
}

fn checked_path(path: Value) -> Result<Value, Fault> {
    match path.plain() {
        Some(text) if text.is_empty() || text.len() > MAX_PATH_BYTES => {
            Err(Fault::Path(text.chars().take(100).collect()))
        }
        _ => Ok(path),
    }
}
