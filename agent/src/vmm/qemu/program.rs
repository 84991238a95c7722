//! The QEMU binary, and the differences between its versions.

use std::{
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    process::Command,
};

/// Name of the program in `PATH`.
const NAME: &str = "qemu-system-x86_64";
/// First version in which `-run-with user=` gives up privileges; `-runas`, deprecated since, is gone in version 10.
const RUN_WITH_USER: (u32, u32) = (9, 1);
/// First major version that announces fast short copies (`fsrm`) of an emulated processor without those that they are a part of
/// (`erms`), on which a kernel hangs.
const ANNOUNCES_FSRM: u32 = 8;
/// First major version that is known to answer commands of an emulated machine in half the time: 18 ms, against 36 of version 7.2.
pub const FAST_EMULATION: u32 = 10;

/// A QEMU that was found.
#[derive(Debug, Clone)]
pub(super) struct Program {
    /// The binary.
    pub(super) path: PathBuf,
    /// Its version as it prints it, `10.0.2`.
    pub(super) version: String,
    /// Major and minor number.
    number: (u32, u32),
}

/// Why no QEMU was found.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// It is in none of the folders of `PATH`.
    #[error("{NAME} is not installed (Debian: apt-get install qemu-system-x86)")]
    Missing,
    /// The one that a setting names is not there.
    #[error("WRENN_QEMU: there is no program {0}")]
    NotThere(PathBuf),
    /// It does not tell its version.
    #[error("ask {program} for its version")]
    Version {
        /// The program.
        program: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Program {
    /// Finds QEMU: the program that is `named`, or else that in `PATH`. Blocks.
    ///
    /// # Errors
    /// See [`ProgramError`].
    pub(super) fn find(named: Option<&Path>) -> Result<Self, ProgramError> {
        let path = match named {
            Some(path) if path.is_file() => path.to_owned(),
            Some(path) => return Err(ProgramError::NotThere(path.to_owned())),
            None => {
                let folders = std::env::var_os("PATH").unwrap_or_default();
                let mut programs = std::env::split_paths(&folders).map(|folder| folder.join(NAME));
                programs.find(|program| program.is_file()).ok_or(ProgramError::Missing)?
            }
        };
        let failed = |source| ProgramError::Version { program: path.clone(), source };
        let output = Command::new(&path).arg("--version").output().map_err(failed)?;
        // `QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)`
        let text = String::from_utf8_lossy(&output.stdout);
        let version = text.split_ascii_whitespace().skip_while(|&word| word != "version").nth(1);
        let version = version.ok_or(io::Error::from(ErrorKind::InvalidData)).map_err(failed)?.to_owned();
        Ok(Self::new(path, version))
    }

    /// Describes the program of a version.
    pub(super) fn new(path: PathBuf, version: String) -> Self {
        let number = number(&version);
        Self { path, version, number }
    }

    /// Returns the processor of an emulated machine: all that QEMU can emulate, but for fast copies of strings. Programs
    /// that see those copy byte by byte, which emulated takes four times as long as word by word.
    pub(super) fn emulated_cpu(&self) -> &'static str {
        if self.number.0 < ANNOUNCES_FSRM { "max,erms=off" } else { "max,erms=off,fsrm=off" }
    }

    /// Returns the option with which it continues as this user and group, and its value.
    pub(super) fn run_as(&self, uid: u32) -> (&'static str, String) {
        if self.number < RUN_WITH_USER {
            ("-runas", format!("{uid}:{uid}"))
        } else {
            ("-run-with", format!("user={uid}:{uid}"))
        }
    }
}

/// Returns true if a version emulates as fast as [`FAST_EMULATION`].
pub fn emulates_fast(version: &str) -> bool {
    number(version).0 >= FAST_EMULATION
}

/// Major and minor number of a version; 0 for what is not a number.
fn number(version: &str) -> (u32, u32) {
    let mut numbers = version.split('.').map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_new_versions_emulate_fast() {
        for (version, fast) in
            [("7.2.22", false), ("9.2.4", false), ("10.0.13", true), ("11.0.0", true), ("", false)]
        {
            assert_eq!(emulates_fast(version), fast, "{version}");
        }
    }

    #[test]
    fn versions_differ_in_the_option_that_gives_up_privileges() {
        let option = |version: &str| Program::new("/qemu".into(), version.into()).run_as(7).0;
        for (version, expected) in
            [("7.2.22", "-runas"), ("9.0.4", "-runas"), ("9.1.0", "-run-with"), ("10.0.2", "-run-with")]
        {
            assert_eq!(option(version), expected, "{version}");
        }
    }

    #[test]
    fn a_program_that_is_named_must_be_there() {
        let error = Program::find(Some(Path::new("/no/qemu"))).expect_err("no such file");
        assert_eq!(error.to_string(), "WRENN_QEMU: there is no program /no/qemu");
    }
}
