//! Who this host is, and how it proves that: registered once, refreshed before it ends.

use std::{
    fmt, fs, io,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};
use tonic::transport::Channel;
use wrenn_proto::{
    agent::{
        Capacity, RefreshTokenRequest, RegisterRequest, RegisterResponse,
        control_plane_client::ControlPlaneClient,
    },
    ids::HostId,
};

use crate::{
    disk::atomic_write,
    machines::record::{Durability, StateError},
};

/// How long the control plane may take to answer.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);

/// What proves that this is the host it says it is. `Debug` shows no token.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    /// The host.
    pub host_id: HostId,
    /// Proof for every call; ends.
    pub host_token: String,
    /// Proof for the next host token; good for one use.
    pub refresh_token: String,
    /// When the host token was handed out, in seconds since the Unix epoch.
    pub issued_at: u64,
    /// When the host token ends, in seconds since the Unix epoch.
    pub expires_at: u64,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("host_id", &self.host_id)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// Why the host has no credentials.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// There are none, and no token to get them with.
    #[error("this host is not registered: start the agent once with a registration token")]
    NotRegistered,
    /// The control plane refused the token.
    #[error("the control plane refused {what}: {message}")]
    Refused {
        /// Which token.
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
    fn from_response(response: RegisterResponse, now: SystemTime) -> Result<Self, CredentialsError> {
        let host_id =
            response.host_id.parse().map_err(|_| CredentialsError::Answer("a host id of no valid form"))?;
        let issued_at = unix_sec(now);
        let expires_at = issued_at.saturating_add(response.host_token_ttl_sec);
        let RegisterResponse { host_token, refresh_token, .. } = response;
        if host_token.is_empty() || refresh_token.is_empty() {
            return Err(CredentialsError::Answer("an empty token"));
        }
        Ok(Self { host_id, host_token, refresh_token, issued_at, expires_at })
    }

    /// Returns how long these can be used before they should be refreshed, which is when a third of their life is left;
    /// zero if that is now.
    pub fn refresh_in(&self, now: SystemTime) -> Duration {
        let life = Duration::from_secs(self.expires_at.saturating_sub(self.issued_at));
        self.remaining(now).saturating_sub(life / 3)
    }

    /// Returns how long the host token is valid yet.
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
    pub fn load(&self) -> Result<Option<Credentials>, StateError> {
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

    /// Registers this host with a one-time token, and keeps what it gets for it, unless that makes it another host than
    /// `expected`.
    ///
    /// # Errors
    /// See [`CredentialsError`].
    pub async fn register(
        &self,
        channel: Channel,
        registration_token: &str,
        capacity: Capacity,
        expected: Option<HostId>,
    ) -> Result<Credentials, CredentialsError> {
        let mut request = tonic::Request::new(RegisterRequest {
            registration_token: registration_token.to_owned(),
            capacity: Some(capacity),
            arch: std::env::consts::ARCH.to_owned(),
            address: String::new(),
        });
        request.set_timeout(CALL_TIMEOUT);
        let answer = ControlPlaneClient::new(channel).register(request).await;
        let answer = answer.map_err(CredentialsError::of_call("the registration token"))?.into_inner();
        let fresh = Credentials::from_response(answer, SystemTime::now())?;
        match expected {
            Some(expected) if expected != fresh.host_id => {
                Err(CredentialsError::OtherHost { expected, given: fresh.host_id })
            }
            _ => self.keep(fresh),
        }
    }

    /// Gets a new host token for the refresh token, and keeps both new ones.
    ///
    /// # Errors
    /// See [`CredentialsError`].
    pub async fn refresh(
        &self,
        channel: Channel,
        old: &Credentials,
    ) -> Result<Credentials, CredentialsError> {
        let mut request =
            tonic::Request::new(RefreshTokenRequest { refresh_token: old.refresh_token.clone() });
        request.set_timeout(CALL_TIMEOUT);
        let answer = ControlPlaneClient::new(channel).refresh_token(request).await;
        let answer = answer.map_err(CredentialsError::of_call("the refresh token"))?.into_inner();
        let fresh = Credentials::from_response(answer, SystemTime::now())?;
        if fresh.host_id != old.host_id {
            return Err(CredentialsError::Answer("another host's credentials"));
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
        let response = RegisterResponse {
            host_id: HostId::new().to_string(),
            host_token: "secret-a".into(),
            refresh_token: "secret-b".into(),
            host_token_ttl_sec: ttl_sec,
        };
        Credentials::from_response(response, at(1000)).unwrap()
    }

    fn at(sec: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(sec)
    }

    #[test]
    fn a_token_is_refreshed_while_a_third_of_its_life_is_left() {
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
        assert_eq!(file.load().unwrap(), Some(kept.clone()));
        assert_eq!(fs::metadata(&file.path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!format!("{kept:?}").contains("secret"));
    }
}
