//! Words with quotes, escapes and variables, as a shell reads them but for everything that a shell would run.
//!
//! | written | means |
//! |---|---|
//! | `'a $b'` | exactly that, without the quotes |
//! | `"a $b"` | with the variable; `\"`, `\\` and `\$` are the characters themselves |
//! | `\ ` | the character itself, here a space |
//! | `$NAME`, `${NAME}` | the variable |
//! | `$$` | a dollar sign |

use std::{iter::Peekable, str::Chars};

use super::{Fault, Value, value::is_variable_name};

/// Splits a text into its words.
pub(super) fn words(text: &str) -> Result<Vec<Value>, Fault> {
    let mut words = Vec::new();
    let mut characters = text.chars().peekable();
    loop {
        while characters.next_if(|c| c.is_whitespace()).is_some() {}
        if characters.peek().is_none() {
            return Ok(words);
        }
        words.push(word(&mut characters)?);
    }
}

/// Reads up to the next space that is not quoted.
fn word(characters: &mut Peekable<Chars<'_>>) -> Result<Value, Fault> {
    let mut value = Value::default();
    while let Some(character) = characters.next_if(|c| !c.is_whitespace()) {
        match character {
            '\'' => loop {
                match characters.next().ok_or(Fault::Quote('\''))? {
                    '\'' => break,
                    quoted => value.push(quoted),
                }
            },
            '"' => loop {
                match characters.next().ok_or(Fault::Quote('"'))? {
                    '"' => break,
                    '\\' => {
                        let escaped = characters.next_if(|c| matches!(c, '"' | '\\' | '$'));
                        value.push(escaped.unwrap_or('\\'));
                    }
                    '$' => variable(characters, &mut value)?,
                    quoted => value.push(quoted),
                }
            },
            '\\' => value.push(characters.next().unwrap_or('\\')),
            '$' => variable(characters, &mut value)?,
            plain => value.push(plain),
        }
    }
    Ok(value)
}

/// Reads what follows a `$`.
fn variable(characters: &mut Peekable<Chars<'_>>, value: &mut Value) -> Result<(), Fault> {
    if characters.next_if_eq(&'$').is_some() {
        value.push('$');
        return Ok(());
    }
    let mut name = String::new();
    if characters.next_if_eq(&'{').is_some() {
        loop {
            match characters.next() {
                Some('}') => break,
                Some(character) => name.push(character),
                None => return Err(Fault::Variable(format!("${{{name}"))),
            }
        }
        if !is_variable_name(&name) {
            return Err(Fault::Variable(format!("${{{name}}}")));
        }
    } else {
        while let Some(character) = characters.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
            name.push(character);
        }
        if !is_variable_name(&name) {
            return Err(Fault::Variable(format!("${name}")));
        }
    }
    value.push_variable(name);
    Ok(())
}
