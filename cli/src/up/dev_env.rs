//! `dev.env`: what a shell, a client library or a test needs to use this installation.
//!
//! The values are made once and kept, so a shell that has sourced the file stays signed in across restarts.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::Context;

use crate::data::write_atomically;

/// File name in the data folder.
pub const FILE_NAME: &str = "dev.env";

/// The content of `dev.env`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DevEnv {
    /// Where REST and dashboard answer, without a slash at the end.
    pub base_url: String,
    /// Key of the first admin's team.
    pub api_key: String,
    /// Login of the first admin.
    pub admin_email: String,
    /// Its password.
    pub admin_password: String,
}

impl DevEnv {
    /// Reads the file; `None` if there is none, or none that is complete.
    pub fn read(path: &Path) -> anyhow::Result<Option<Self>> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        Ok(Self::parse(&text))
    }

    fn parse(text: &str) -> Option<Self> {
        let mut values: BTreeMap<String, String> =
            dotenvy::from_read_iter(text.as_bytes()).collect::<Result<_, _>>().ok()?;
        Some(Self {
            base_url: values.remove("WRENN_BASE_URL")?,
            api_key: values.remove("WRENN_API_KEY")?,
            admin_email: values.remove("WRENN_ADMIN_EMAIL")?,
            admin_password: values.remove("WRENN_ADMIN_PASSWORD")?,
        })
    }

    /// Replaces the file; root alone can read it.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        write_atomically(path, 0o600, self.render().as_bytes())
    }

    // No value holds a quote: two are made here, an address and a key do not.
    fn render(&self) -> String {
        let Self { base_url, api_key, admin_email, admin_password } = self;
        format!(
            "# Written by `wrenn up`; use it with: set -a; . dev.env; set +a\n\
             WRENN_BASE_URL='{base_url}'\n\
             WRENN_API_KEY='{api_key}'\n\
             WRENN_ADMIN_EMAIL='{admin_email}'\n\
             WRENN_ADMIN_PASSWORD='{admin_password}'\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let env = DevEnv {
            base_url: "http://127.0.0.1:8000".into(),
            api_key: "wrn_0123456789abcdef0123456789abcdef".into(),
            admin_email: "admin@wrenn.test".into(),
            admin_password: "correct-horse$battery#staple".into(),
        };
        assert_eq!(DevEnv::parse(&env.render()), Some(env));
    }

    #[test]
    fn half_a_file_counts_as_none() {
        assert_eq!(DevEnv::parse("WRENN_BASE_URL=http://127.0.0.1:8000\n"), None);
    }
}
