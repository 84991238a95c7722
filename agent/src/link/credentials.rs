//! Identity of this host and its proof: a certificate, which is renewed before it expires.

use std::{
    fmt, fs, io,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use tonic::transport::Channel;
use wrenn_base::Clock;
use wrenn_pki::{CertificateError, ClientTls, Fingerprint, HostIdentity, HostKey, JoinToken};
use wrenn_proto::{
    agent::{
        Capacity, HostCertificate, RegisterRequest, RenewCertificateRequest,
        control_plane_client::ControlPlaneClient,
    },
    ids::HostId,
};

use crate::{
    config::ServerAddr,
    disk::atomic_write,
    machines::record::{Durability, StateError},
};

/// How long the control plane may take to answer.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);

/// A key or a certificate in DER; base64 in the file.
#[derive(Clone, PartialEq, Eq)]
pub struct Der(pub Vec<u8>);

impl Serialize for Der {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Der {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        STANDARD.decode(String::deserialize(deserializer)?).map(Self).map_err(de::Error::custom)
    }
}

/// Proof that this is the host it says it is. `Debug` shows no key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    /// The host.
    pub host_id: HostId,
    /// Address of the control plane at the time of the registration.
    pub server: String,
    /// Fingerprint of the authority whose servers are trusted, as text.
    pub authority: String,
    /// The host's private key, which nobody else has.
    pub private_key: Der,
    /// The certificate of that key.
    pub certificate: Der,
    /// When the certificate was handed out, in seconds since the Unix epoch.
    pub issued_at: u64,
    /// When the certificate expires, in seconds since the Unix epoch.
    pub expires_at: u64,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("host_id", &self.host_id)
            .field("server", &self.server)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// Content of the credentials file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Kept {
    /// Credentials.
    Current(Credentials),
    /// Credentials of a version that had tokens in place of certificates; all they tell is the host.
    Former {
        /// The host.
        host_id: HostId,
    },
}

/// Why the host has no credentials.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// There are none, and no token to get them with.
    #[error("this host is not registered: run `wrenn agent join` with a registration token")]
    NotRegistered,
    /// The control plane refused the proof.
    #[error("the control plane refused {what}: {message}")]
    Refused {
        /// Which proof.
        what: &'static str,
        /// What it said.
        message: String,
    },
    /// The control plane could not be asked.
    #[error("the control plane did not answer: {0}")]
    Unavailable(#[source] Box<tonic::Status>),
    /// The control plane answered with something that makes no sense.
    #[error("the control plane's answer makes no sense: {0}")]
    Answer(&'static str),
    /// The registration token is another host's, and this one has machines, which belong to `expected`.
    #[error(
        "the registration token is of {given}, but the machines here belong to {expected}: use a token of that \
         host, or remove the credentials file to leave them behind"
    )]
    OtherHost {
        /// The host whose machines these are.
        expected: HostId,
        /// The host of the token.
        given: HostId,
    },
    /// A key could not be made or used.
    #[error("the host's key or certificate cannot be used")]
    Certificate(#[from] CertificateError),
    /// They could not be read or kept.
    #[error("the credentials could not be read or kept")]
    State(#[from] StateError),
}

impl CredentialsError {
    /// Returns true if trying again cannot help.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::NotRegistered | Self::Refused { .. } | Self::OtherHost { .. })
    }

    fn of_call(what: &'static str) -> impl FnOnce(tonic::Status) -> Self {
        use tonic::Code::{FailedPrecondition, InvalidArgument, NotFound, PermissionDenied, Unauthenticated};
        move |status| match status.code() {
            Unauthenticated | PermissionDenied | NotFound | InvalidArgument | FailedPrecondition => {
                Self::Refused { what, message: status.message().to_owned() }
            }
            _ => Self::Unavailable(Box::new(status)),
        }
    }
}

impl Credentials {
    fn new(
        answer: HostCertificate,
        key: &HostKey,
        server: String,
        authority: String,
        now: SystemTime,
    ) -> Result<Self, CredentialsError> {
        let HostCertificate { host_id, certificate, ttl_sec } = answer;
        let host_id = host_id.parse().map_err(|_| CredentialsError::Answer("a host id of no valid form"))?;
        if certificate.is_empty() {
            return Err(CredentialsError::Answer("no certificate"));
        }
        let issued_at = unix_sec(now);
        Ok(Self {
            host_id,
            server,
            authority,
            private_key: Der(key.private_key()),
            certificate: Der(certificate),
            issued_at,
            expires_at: issued_at.saturating_add(ttl_sec),
        })
    }

    /// Returns what connections are made with.
    ///
    /// # Errors
    /// If the file was changed by others.
    pub fn tls(&self) -> Result<ClientTls, CredentialsError> {
        let authority: Fingerprint =
            self.authority.parse().map_err(|_| CredentialsError::Answer("a fingerprint of no valid form"))?;
        let identity = HostIdentity { certificate: &self.certificate.0, private_key: &self.private_key.0 };
        Ok(ClientTls::new(authority, Some(identity))?)
    }

    /// Returns how long these can be used before they should be refreshed, which is when a third of their life is left;
    /// zero if that is now.
    pub fn refresh_in(&self, now: SystemTime) -> Duration {
        let life = Duration::from_secs(self.expires_at.saturating_sub(self.issued_at));
        self.remaining(now).saturating_sub(life / 3)
    }

    /// Returns how long the certificate is still valid.
    pub fn remaining(&self, now: SystemTime) -> Duration {
        Duration::from_secs(self.expires_at.saturating_sub(unix_sec(now)))
    }
}

fn unix_sec(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The file in which the credentials are kept, readable by its owner only.
#[derive(Debug, Clone)]
pub struct CredentialsFile {
    /// Where it is.
    pub path: PathBuf,
    /// Whether it must survive the loss of power.
    pub durability: Durability,
}

impl CredentialsFile {
    /// Reads the credentials; none if there is no file.
    ///
    /// # Errors
    /// If there is one that cannot be read.
    pub fn load(&self) -> Result<Option<Kept>, StateError> {
        match fs::read(&self.path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|source| StateError::Corrupt { path: self.path.clone(), source }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StateError::io("read", &self.path)(error)),
        }
    }

    /// Replaces the credentials in one step.
    ///
    /// # Errors
    /// If that fails; the old ones are then still there.
    pub fn save(&self, credentials: &Credentials) -> Result<(), StateError> {
        let text = serde_json::to_vec_pretty(credentials)
            .map_err(|source| StateError::Corrupt { path: self.path.clone(), source })?;
        Ok(atomic_write(&self.path, &text, self.durability)?)
    }

    /// Removes the credentials; succeeds if there are none.
    ///
    /// # Errors
    /// If the file cannot be removed.
    pub fn forget(&self) -> Result<(), StateError> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(StateError::io("remove", &self.path)(error))
            }
            _ => Ok(()),
        }
    }

    /// Registers this host with a one-time token, and keeps the certificate that it gets for a new key, unless that makes it
    /// another host than `expected`.
    ///
    /// # Errors
    /// See [`CredentialsError`].
    pub async fn register(
        &self,
        channel: Channel,
        clock: &Clock,
        server: &ServerAddr,
        token: &JoinToken,
        capacity: Capacity,
        expected: Option<HostId>,
    ) -> Result<Credentials, CredentialsError> {
        let key = HostKey::generate()?;
        let mut request = tonic::Request::new(RegisterRequest {
            registration_token: token.to_string(),
            capacity: Some(capacity),
            arch: std::env::consts::ARCH.to_owned(),
            address: String::new(),
            public_key: key.public_key(),
        });
        request.set_timeout(CALL_TIMEOUT);
        let answer = ControlPlaneClient::new(channel).register(request).await;
        let answer = answer.map_err(CredentialsError::of_call("the registration token"))?.into_inner();
        let authority = token.authority.to_string();
        let fresh = Credentials::new(answer, &key, server.to_string(), authority, clock.wall())?;
        match expected {
            Some(expected) if expected != fresh.host_id => {
                Err(CredentialsError::OtherHost { expected, given: fresh.host_id })
            }
            _ => self.keep(fresh),
        }
    }

    /// Gets a certificate for a new key, over a connection that shows the old one, and keeps both.
    ///
    /// # Errors
    /// See [`CredentialsError`].
    pub async fn renew(
        &self,
        channel: Channel,
        clock: &Clock,
        old: &Credentials,
    ) -> Result<Credentials, CredentialsError> {
        let key = HostKey::generate()?;
        let mut request = tonic::Request::new(RenewCertificateRequest { public_key: key.public_key() });
        request.set_timeout(CALL_TIMEOUT);
        let answer = ControlPlaneClient::new(channel).renew_certificate(request).await;
        let answer = answer.map_err(CredentialsError::of_call("the host's certificate"))?.into_inner();
        let fresh = Credentials::new(answer, &key, old.server.clone(), old.authority.clone(), clock.wall())?;
        if fresh.host_id != old.host_id {
            return Err(CredentialsError::Answer("another host's certificate"));
        }
        self.keep(fresh)
    }

    fn keep(&self, credentials: Credentials) -> Result<Credentials, CredentialsError> {
        self.save(&credentials)?;
        Ok(credentials)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials(ttl_sec: u64) -> Credentials {
        let answer = HostCertificate { host_id: HostId::new().to_string(), certificate: vec![7; 9], ttl_sec };
        let key = HostKey::generate().unwrap();
        Credentials::new(answer, &key, "localhost:1".into(), Fingerprint([7; 32]).to_string(), at(1000))
            .unwrap()
    }

    fn at(sec: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(sec)
    }

    #[test]
    fn a_certificate_is_renewed_while_a_third_of_its_life_is_left() {
        let week = credentials(9000);
        assert_eq!(week.refresh_in(at(1000)), Duration::from_secs(6000));
        assert_eq!(week.refresh_in(at(7001)), Duration::ZERO);
        assert_eq!(week.refresh_in(at(99_999)), Duration::ZERO);
        assert_eq!(week.remaining(at(7001)), Duration::from_secs(2999));
        assert_eq!(credentials(0).refresh_in(at(1000)), Duration::ZERO);
    }

    #[test]
    fn the_file_keeps_them_and_debug_does_not_tell_them() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let file =
            CredentialsFile { path: dir.path().join("credentials.json"), durability: Durability::Disk };
        assert_eq!(file.load().unwrap(), None);
        let kept = credentials(9);
        file.save(&kept).unwrap();
        assert_eq!(file.load().unwrap(), Some(Kept::Current(kept.clone())));
        assert_eq!(fs::metadata(&file.path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!format!("{kept:?}").contains("private"));
    }

    #[test]
    fn the_host_of_a_former_version_is_known() {
        let dir = tempfile::tempdir().unwrap();
        let file =
            CredentialsFile { path: dir.path().join("credentials.json"), durability: Durability::Process };
        let host_id = HostId::new();
        let former = serde_json::json!({
            "host_id": host_id, "host_token": "hst_a", "refresh_token": "rfr_b", "issued_at": 1, "expires_at": 2
        });
        fs::write(&file.path, former.to_string()).unwrap();
        assert_eq!(file.load().unwrap(), Some(Kept::Former { host_id }));
        fs::write(&file.path, "{}").unwrap();
        assert!(file.load().is_err());
    }
}
