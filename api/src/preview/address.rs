//! Addresses of previews: `{port}-{capsule}.{domain}`. Pure text.

use std::fmt;

use wrenn_domain::ids::SandboxId;

/// Names that browsers resolve to the machine they run on, without any name server.
const LOCAL_SUFFIX: &str = ".localhost";
const PORT: &str = "{port}";
const CAPSULE: &str = "{capsule}";

/// Address of the previews of this installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviewUrl {
    /// Address with both placeholders.
    pattern: String,
    /// Part of the host name behind the capsule, with its dot, in lower case.
    suffix: String,
    is_https: bool,
}

/// A text that is not the address of previews.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be like `https://{{port}}-{{capsule}}.preview.example.com`, not `{0}`")]
pub struct PreviewUrlError(String);

impl std::str::FromStr for PreviewUrl {
    type Err = PreviewUrlError;

    fn from_str(text: &str) -> Result<Self, PreviewUrlError> {
        let wrong = || PreviewUrlError(text.to_owned());
        let pattern = text.trim_end_matches('/');
        let (scheme, authority) = pattern.split_once("://").ok_or_else(wrong)?;
        let is_https = match scheme {
            "http" => false,
            "https" => true,
            _ => return Err(wrong()),
        };
        let behind = authority.strip_prefix(PORT).and_then(|rest| rest.strip_prefix('-'));
        let behind = behind.and_then(|rest| rest.strip_prefix(CAPSULE)).ok_or_else(wrong)?;
        let suffix = without_port(behind).to_ascii_lowercase();
        let is_domain = suffix.strip_prefix('.').is_some_and(|domain| {
            let is_label = |label: &str| {
                !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            };
            domain.split('.').all(is_label)
        });
        if !is_domain {
            return Err(wrong());
        }
        Ok(Self { pattern: pattern.to_owned(), suffix, is_https })
    }
}

impl fmt::Display for PreviewUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.pattern)
    }
}

/// A port of a capsule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Target {
    pub(crate) capsule: SandboxId,
    pub(crate) port: u16,
}

/// Meaning of a host name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Named {
    /// A port of a capsule.
    Preview(Target),
    /// A name below the domain of previews that is not a port of a capsule.
    Nothing,
    /// Another name, such as the dashboard's.
    Other,
}

impl PreviewUrl {
    /// Returns the address on this machine, at the server's port.
    pub(crate) fn local(http_port: u16, is_https: bool) -> Self {
        let scheme = if is_https { "https" } else { "http" };
        Self {
            pattern: format!("{scheme}://{PORT}-{CAPSULE}{LOCAL_SUFFIX}:{http_port}"),
            suffix: LOCAL_SUFFIX.to_owned(),
            is_https,
        }
    }

    /// Returns the address of a capsule's previews, with `{port}` in place of the port.
    pub(crate) fn of(&self, capsule: SandboxId) -> String {
        self.pattern.replace(CAPSULE, &capsule.to_string())
    }

    /// Returns true if browsers reach previews over an encrypted connection.
    pub(crate) fn is_https(&self) -> bool {
        self.is_https
    }

    /// Parses the `Host` of a request. Names of previews below `.localhost` are always accepted, too.
    pub(crate) fn read(&self, host: &str) -> Named {
        let host = without_port(host).trim_end_matches('.').to_ascii_lowercase();
        match host.strip_suffix(self.suffix.as_str()) {
            Some(label) if self.suffix != LOCAL_SUFFIX => {
                read_label(label).map_or(Named::Nothing, Named::Preview)
            }
            _ => {
                let label = host.strip_suffix(LOCAL_SUFFIX).unwrap_or_default();
                read_label(label).map_or(Named::Other, Named::Preview)
            }
        }
    }
}

/// Parses `8000-cl-…`.
fn read_label(label: &str) -> Option<Target> {
    let (port, capsule) = label.split_once('-')?;
    let port = port.parse().ok().filter(|_| port.bytes().all(|byte| byte.is_ascii_digit()));
    Some(Target { port: port.filter(|port| *port > 0)?, capsule: capsule.parse().ok()? })
}

fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> PreviewUrl {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_is_read_as_it_is_written() {
        let capsule = SandboxId::new();
        for pattern in [
            "https://{port}-{capsule}.preview.example.com",
            "http://{port}-{capsule}.localhost:8000/",
            "http://{port}-{capsule}.Example.COM:81",
        ] {
            let url = url(pattern);
            let written = url.of(capsule).replace(PORT, "3000");
            let host = written.split("://").nth(1).unwrap();
            assert_eq!(url.read(host), Named::Preview(Target { capsule, port: 3000 }), "{written}");
            assert_eq!(url.read(&host.to_uppercase()), url.read(host));
        }
        assert_eq!(PreviewUrl::local(8000, false), url("http://{port}-{capsule}.localhost:8000"));
        assert_eq!(PreviewUrl::local(8443, true), url("https://{port}-{capsule}.localhost:8443"));
    }

    #[test]
    fn local_names_are_understood_beside_the_domain() {
        let capsule = SandboxId::new();
        let url = url("https://{port}-{capsule}.preview.example.com");
        let preview = Named::Preview(Target { capsule, port: 80 });
        assert_eq!(url.read(&format!("80-{capsule}.localhost:8000")), preview);
        assert_eq!(url.read(&format!("80-{capsule}.localhost.")), preview);
    }

    #[test]
    fn what_is_no_preview_is_nothing_below_the_domain_and_something_else_anywhere_else() {
        let capsule = SandboxId::new();
        let url = url("https://{port}-{capsule}.preview.example.com");
        for label in [
            "x".to_owned(),
            format!("0-{capsule}"),
            format!("65536-{capsule}"),
            format!("+1-{capsule}"),
            format!("{capsule}"),
            "80-cl-short".into(),
            format!("a.80-{capsule}"),
        ] {
            assert_eq!(url.read(&format!("{label}.preview.example.com")), Named::Nothing, "{label}");
            assert_eq!(url.read(&format!("{label}.localhost")), Named::Other, "{label}");
        }
        for host in ["", "localhost", "127.0.0.1:8000", "[::1]:8000", "preview.example.com", "example.com"] {
            assert_eq!(url.read(host), Named::Other, "{host}");
        }
    }

    #[test]
    fn a_pattern_that_cannot_be_read_back_is_refused() {
        for text in [
            "",
            "https://preview.example.com",
            "ftp://{port}-{capsule}.example.com",
            "{port}-{capsule}.example.com",
            "https://{capsule}-{port}.example.com",
            "https://{port}-{capsule}",
            "https://{port}-{capsule}.",
            "https://{port}-{capsule}.example.com/path",
            "https://{port}-{capsule}.{capsule}.com",
            "https://{port}.{capsule}.example.com",
        ] {
            let refused = text.parse::<PreviewUrl>().unwrap_err();
            assert!(refused.to_string().contains("{port}-{capsule}."), "{refused}");
        }
    }
}
