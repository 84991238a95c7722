//! The conversations with the guest of a machine that comes to life, or of which a template is made.

use std::time::Duration;

use wrenn_proto::{
    GUEST_GATEWAY,
    guest::{HelloResponse, InitRequest},
    ids::SandboxId,
};

use super::Host;
use crate::{
    guest::GuestError,
    machines::{
        backend::{SaveError, StartError},
        manifest::GuestVersions,
        record::Record,
    },
};

/// Bytes of entropy that a machine gets when it comes to life.
const ENTROPY_BYTES: usize = 256;
/// Rest between two tries to reach a guest that comes to life.
const GREET_PAUSE: Duration = Duration::from_millis(20);
/// Longest version that is remembered of what a guest says, in characters.
const VERSION_MAX_CHARS: usize = 64;
/// After this time a guest goes on by itself, should the host forget it.
const FREEZE_MAX: Duration = Duration::from_secs(120);
/// How often a guest is asked to go on; it does by itself one day.
const THAW_TRIES: u32 = 3;

/// How a guest comes to life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    /// It was booted just now.
    Booted,
    /// It goes on from saved memory, where it may be frozen.
    Restored,
}

/// Whether the guest's file system is to be made larger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Growth {
    /// It has its size.
    None,
    /// The disk has grown to this size, in MiB.
    ToMb(u32),
}

impl Host {
    /// Waits until the guest of a machine that boots says hello.
    pub(super) async fn greet(&self, id: SandboxId) -> Result<GuestVersions, StartError> {
        let guest = self.backend.guest(id);
        let greeted = self.clock.timeout(self.boot_timeout, async {
            loop {
                match guest.hello().await {
                    Ok(hello) => return hello,
                    Err(error) => tracing::trace!(sandbox_id = %id, %error, "guest is not up yet"),
                }
                self.clock.sleep(GREET_PAUSE).await;
            }
        });
        let HelloResponse { version, kernel, .. } = greeted.await.map_err(|_| self.silent())?;
        let short = |text: String| text.chars().take(VERSION_MAX_CHARS).collect();
        Ok(GuestVersions { kernel: short(kernel), daemon: short(version) })
    }

    /// Tells the guest what it cannot know by itself. One that does not answer yet is asked again.
    /// Returns the parts of the machine that it could not prepare.
    pub(super) async fn init(
        &self,
        record: &Record,
        life: Life,
        growth: Growth,
    ) -> Result<Vec<String>, StartError> {
        let guest = self.backend.guest(record.id);
        let answered = self.clock.timeout(self.boot_timeout, async {
            loop {
                match guest.init(self.init_request(record, life, growth)).await {
                    Err(error @ (GuestError::Unreachable(_) | GuestError::TimedOut { .. })) => {
                        tracing::trace!(sandbox_id = %record.id, %error, "guest does not answer yet");
                    }
                    answer => return answer,
                }
                self.clock.sleep(GREET_PAUSE).await;
            }
        });
        answered.await.map_err(|_| self.silent())?.map_err(StartError::GuestInit)
    }

    fn silent(&self) -> StartError {
        StartError::GuestSilent { limit_sec: self.boot_timeout.as_secs() }
    }

    /// Lets the guest write everything back, and write nothing more.
    pub(super) async fn freeze(&self, id: SandboxId) -> Result<(), SaveError> {
        let frozen = self.backend.guest(id).freeze(FREEZE_MAX).await;
        frozen.map_err(|source| SaveError::Guest { what: "freeze", source })
    }

    /// Lets the guest write again.
    pub(super) async fn thaw(&self, id: SandboxId) {
        let guest = self.backend.guest(id);
        for _ in 0..THAW_TRIES {
            match guest.thaw().await {
                Ok(()) => return,
                Err(error) => tracing::warn!(sandbox_id = %id, %error, "guest does not thaw"),
            }
            self.clock.sleep(GREET_PAUSE).await;
        }
        tracing::error!(sandbox_id = %id, thaws_in = ?FREEZE_MAX, "leaving a guest to thaw by itself");
    }

    fn init_request(&self, record: &Record, life: Life, growth: Growth) -> InitRequest {
        InitRequest {
            unix_time_ns: i64::try_from(self.unix_time().as_nanos()).unwrap_or(0),
            entropy: self.rng.bytes::<ENTROPY_BYTES>().to_vec().into(),
            hostname: record.spec.hostname.clone(),
            default_user: record.spec.default_user.clone(),
            default_env: record.spec.default_env.clone().into_iter().collect(),
            nameservers: vec![GUEST_GATEWAY.to_string()],
            thaw: life == Life::Restored,
            grow_root_to_bytes: match growth {
                Growth::None => 0,
                Growth::ToMb(size_mb) => u64::from(size_mb) << 20,
            },
        }
    }
}
