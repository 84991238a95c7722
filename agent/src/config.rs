//! What the agent is told from outside.

use std::{
    env, fmt,
    net::{Ipv6Addr, SocketAddr},
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use wrenn_pki::JoinToken;

use crate::net::{Cidr, Egress};

/// Folder of the agent's state by default.
const DATA_DIR: &str = "/var/lib/wrenn/agent";
/// Folder of kernel, initramfs and base images by default.
const IMAGES_DIR: &str = "/var/lib/wrenn/images";

/// Address of the control plane. Every connection is encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerAddr {
    /// `host:port`.
    Tcp {
        /// Host name or address, without brackets.
        host: String,
        /// TCP port.
        port: u16,
    },
    /// `unix:/path` of a socket.
    Unix(PathBuf),
}

/// The text is no address of a control plane.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither host:port nor unix:/path")]
pub struct ServerAddrError(String);

impl FromStr for ServerAddr {
    type Err = ServerAddrError;

    fn from_str(text: &str) -> Result<Self, ServerAddrError> {
        let form = || ServerAddrError(text.to_owned());
        if let Some(path) = text.strip_prefix("unix:") {
            let path = PathBuf::from(path);
            return if path.is_absolute() { Ok(Self::Unix(path)) } else { Err(form()) };
        }
        let rest = text.strip_prefix("https://").unwrap_or(text);
        let (host, port) = rest.trim_end_matches('/').rsplit_once(':').ok_or_else(form)?;
        let port = port.parse().map_err(|_| form())?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        match bare.unwrap_or(host) {
            host if bare.is_some() && host.parse::<Ipv6Addr>().is_err() => Err(form()),
            host if bare.is_none() && (host.contains([':', '/', '@', '?', '#']) || host.is_empty()) => {
                Err(form())
            }
            host => Ok(Self::Tcp { host: host.to_owned(), port }),
        }
    }
}

impl fmt::Display for ServerAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Which driver runs the machines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum VmmChoice {
    /// The fastest that truly works here.
    #[default]
    Auto,
    /// QEMU with KVM; the agent does not start where that does not work.
    QemuKvm,
    /// QEMU with software emulation.
    QemuTcg,
}

/// Why a text does not name a driver.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is none of auto, qemu-kvm, qemu-tcg")]
pub struct VmmChoiceError(String);

impl FromStr for VmmChoice {
    type Err = VmmChoiceError;

    fn from_str(text: &str) -> Result<Self, VmmChoiceError> {
        match text {
            "" | "auto" => Ok(Self::Auto),
            "qemu-kvm" => Ok(Self::QemuKvm),
            "qemu-tcg" => Ok(Self::QemuTcg),
            _ => Err(VmmChoiceError(text.to_owned())),
        }
    }
}

/// Everything the agent is told from outside.
#[derive(Debug, Clone)]
pub struct Config {
    /// Address of the control plane (`WRENN_SERVER`); by default the one in the registration token, which is remembered.
    pub server: Option<ServerAddr>,
    /// One-time token for the first start (`WRENN_REGISTRATION_TOKEN`); not needed afterwards.
    pub registration_token: Option<JoinToken>,
    /// Folder of everything that the agent keeps (`WRENN_AGENT_DATA`).
    pub data_dir: PathBuf,
    /// Folder with kernel, initramfs and base images (`WRENN_IMAGES`).
    pub images_dir: PathBuf,
    /// Which driver runs the machines (`WRENN_VMM`).
    pub vmm: VmmChoice,
    /// The QEMU that runs them (`WRENN_QEMU`); by default that in `PATH`.
    pub qemu: Option<PathBuf>,
    /// What guests may reach beside the internet (`WRENN_GUEST_ALLOW`).
    pub egress: Egress,
    /// Largest size of a loopback volume that has to be made, in MiB (`WRENN_VOLUME_MB`); sparse, and smaller where
    /// less is free.
    pub volume_mb: u64,
    /// What must stay free on the volume, in MiB (`WRENN_DISK_RESERVE_MB`); below it no machine is started. A loopback
    /// volume that has to be made leaves as much to the host.
    pub disk_reserve_mb: u64,
    /// How long a guest may take from the start of its virtual CPUs to its hello (`WRENN_BOOT_TIMEOUT_SEC`).
    pub boot_timeout: Duration,
    /// Number of network slots that are made ahead (`WRENN_SLOTS_AHEAD`).
    pub slots_ahead: usize,
    /// Address at which `/metrics` is served for Prometheus (`WRENN_AGENT_METRICS_ADDR`); `None` serves nothing.
    pub metrics_addr: Option<SocketAddr>,
    /// Folder by which tests hold work on machines up (`WRENN_FAULT_POINTS`); none on a host that is in use.
    pub fault_points: Option<PathBuf>,
}

/// Why there is no valid configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A variable has a value that makes no sense.
    #[error("{name} cannot be used")]
    Invalid {
        /// The variable.
        name: &'static str,
        /// What is wrong with it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Config {
    /// Reads the configuration from the environment.
    ///
    /// # Errors
    /// Names the first variable that is missing or wrong.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_lookup(|name| env::var(name).ok())
    }

    /// As [`from_env`](Self::from_env), from any source of variables.
    ///
    /// # Errors
    /// Names the first variable that is missing or wrong.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let get = |name: &'static str| lookup(name).filter(|value| !value.is_empty());
        Ok(Self {
            server: optional("WRENN_SERVER", get("WRENN_SERVER"))?,
            registration_token: optional("WRENN_REGISTRATION_TOKEN", get("WRENN_REGISTRATION_TOKEN"))?,
            data_dir: get("WRENN_AGENT_DATA").unwrap_or_else(|| DATA_DIR.to_owned()).into(),
            images_dir: get("WRENN_IMAGES").unwrap_or_else(|| IMAGES_DIR.to_owned()).into(),
            vmm: parsed("WRENN_VMM", &get("WRENN_VMM").unwrap_or_default())?,
            qemu: get("WRENN_QEMU").map(PathBuf::from),
            egress: Egress {
                allow: networks("WRENN_GUEST_ALLOW", &get("WRENN_GUEST_ALLOW").unwrap_or_default())?,
            },
            volume_mb: number("WRENN_VOLUME_MB", get("WRENN_VOLUME_MB"), 64 * 1024)?,
            disk_reserve_mb: number("WRENN_DISK_RESERVE_MB", get("WRENN_DISK_RESERVE_MB"), 1024)?,
            boot_timeout: Duration::from_secs(number(
                "WRENN_BOOT_TIMEOUT_SEC",
                get("WRENN_BOOT_TIMEOUT_SEC"),
                60,
            )?),
            slots_ahead: number("WRENN_SLOTS_AHEAD", get("WRENN_SLOTS_AHEAD"), 4)?,
            metrics_addr: optional("WRENN_AGENT_METRICS_ADDR", get("WRENN_AGENT_METRICS_ADDR"))?,
            fault_points: get("WRENN_FAULT_POINTS").map(PathBuf::from),
        })
    }
}

fn parsed<T: FromStr>(name: &'static str, text: &str) -> Result<T, ConfigError>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    text.parse().map_err(|source: T::Err| ConfigError::Invalid { name, source: source.into() })
}

fn optional<T: FromStr>(name: &'static str, text: Option<String>) -> Result<Option<T>, ConfigError>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    text.map(|text| parsed(name, &text)).transpose()
}

/// Networks separated by commas, or nothing.
fn networks(name: &'static str, text: &str) -> Result<Vec<Cidr>, ConfigError> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts.map(|part| parsed(name, part)).collect()
}

fn number<T: FromStr>(name: &'static str, text: Option<String>, default: T) -> Result<T, ConfigError>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    text.map_or(Ok(default), |text| parsed(name, &text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_as_they_are() {
        for text in [
            "127.0.0.1:8001",
            "localhost:1",
            "wrenn.example.com:65535",
            "[::1]:8001",
            "unix:/run/x/grpc.sock",
        ] {
            assert_eq!(text.parse::<ServerAddr>().unwrap().to_string(), text);
        }
        let with_scheme = "https://wrenn.example.com:8001/".parse::<ServerAddr>().unwrap();
        assert_eq!(with_scheme.to_string(), "wrenn.example.com:8001");
    }

    #[test]
    fn other_forms_are_refused() {
        for text in [
            "",
            "127.0.0.1",
            "http://127.0.0.1:8001",
            "127.0.0.1:port",
            ":80",
            "::1:80",
            "[example.com]:80",
            "127.0.0.1@example.com:80",
            "localhost/x:80",
            "unix:relative",
            "unix:",
        ] {
            assert_eq!(text.parse::<ServerAddr>(), Err(ServerAddrError(text.into())), "{text}");
        }
    }

    #[test]
    fn an_error_names_its_variable() {
        let lookup = |name: &str| match name {
            "WRENN_SERVER" => Some("127.0.0.1:1".into()),
            "WRENN_AGENT_DATA" | "WRENN_IMAGES" => Some("/x".into()),
            "WRENN_SLOTS_AHEAD" => Some("many".into()),
            _ => None,
        };
        let error = Config::from_lookup(lookup).unwrap_err();
        assert_eq!(error.to_string(), "WRENN_SLOTS_AHEAD cannot be used");
        let config = Config::from_lookup(|name| lookup(name).filter(|value| value != "many")).unwrap();
        assert_eq!((config.slots_ahead, config.vmm), (4, VmmChoice::Auto));
        let config = Config::from_lookup(|_| None).unwrap();
        assert_eq!((config.server, config.registration_token), (None, None));
    }
}
