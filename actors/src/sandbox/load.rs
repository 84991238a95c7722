//! The reading of a sandbox's row, together with the right to write it.

use std::time::Duration;

use wrenn_base::{Backoff, Clock};
use wrenn_domain::{host::Attachment, ids::ServerId, sandbox::Sandbox};
use wrenn_proto::ids::SandboxId;
use wrenn_store::Store;

use crate::{
    activity::Activity, host::HostDirectory, instruments::Instruments, placement::Placement,
    reconcile::DueHosts, retry::until_answered, traces::Traces,
};

/// Parts of others that the actor needs.
#[derive(Debug, Clone)]
pub(crate) struct SandboxParts {
    pub(crate) store: Store,
    pub(crate) server: ServerId,
    pub(crate) clock: Clock,
    pub(crate) hosts: HostDirectory,
    pub(crate) placement: Placement,
    pub(crate) activity: Activity,
    pub(crate) due: DueHosts,
    pub(crate) instruments: Instruments,
    pub(crate) traces: Traces,
}

/// A row, and the attachment of its host since before it was read.
pub(super) type Loaded = Option<(Sandbox, Option<Attachment>)>;

/// Trust in what this server knows of the attachment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// The attachment is taken as it is; a write that it does not allow changes nothing.
    Known,
    /// A write has changed nothing: the database is asked.
    Nothing,
}

/// Rests until the host's connection is asked again whether the host is attached.
const CHECK_AGAIN: Backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(1));

/// Reads a row, as often as its host is taken by this server meanwhile.
pub(super) async fn load(parts: &SandboxParts, id: SandboxId, trust: Trust) -> Loaded {
    let mut tries = 0;
    loop {
        let begun = parts.clock.now();
        let row = until_answered("sandbox_load", || parts.store.sandbox_load(id)).await?;
        let host = row.host_id;
        let held = parts.hosts.held(host);
        let known = held.map(|held| held.attachment);
        if trust == Trust::Nothing {
            let written = until_answered("host_attachment", || parts.store.host_attachment(host)).await;
            let written = written.filter(|attachment| attachment.server == parts.server);
            if written != known {
                parts.hosts.connections().check(host);
                if written.is_none() {
                    return Some((row, None));
                }
                tries += 1;
                parts.clock.sleep(CHECK_AGAIN.plain_delay(tries)).await;
                continue;
            }
        }
        if held.is_none_or(|held| held.since <= begun) {
            return Some((row, known));
        }
    }
}
