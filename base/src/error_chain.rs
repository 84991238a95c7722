//! An error and what caused it, in one line.

use std::{error::Error, fmt};

/// An error followed by its sources, outermost first, separated by `: `.
#[derive(Debug, Clone, Copy)]
pub struct Chain<'a>(pub &'a (dyn Error + 'static));

impl<'a> Chain<'a> {
    /// Iterates over the error and its sources, outermost first.
    pub fn errors(self) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
        std::iter::successors(Some(self.0), |error: &&'a (dyn Error + 'static)| (**error).source())
    }

    /// Returns the first error of type `E` in the chain.
    pub fn find<E: Error + 'static>(self) -> Option<&'a E> {
        self.errors().find_map(|error| error.downcast_ref())
    }
}

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        self.errors().skip(1).try_for_each(|error| write!(f, ": {error}"))
    }
}

#[cfg(test)]
mod tests {
    use std::{io, num::ParseIntError};

    use super::*;

    #[derive(Debug)]
    struct Outer(ParseIntError);

    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("the port is none")
        }
    }

    impl Error for Outer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn the_outermost_error_comes_first() {
        let error = Outer("x".parse::<u16>().unwrap_err());
        assert_eq!(Chain(&error).to_string(), "the port is none: invalid digit found in string");
        assert!(Chain(&error).find::<ParseIntError>().is_some());
        assert!(Chain(&error).find::<io::Error>().is_none());
    }
}
