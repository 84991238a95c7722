//! The way to a program in a capsule past everything of Wrenn: over the capsule's tap.

use std::{collections::BTreeSet, net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::Context;
use tokio::net::TcpStream;
use wrenn_agent::net::connect_in;
use wrenn_base::Clock;
use wrenn_proto::GUEST_IP;

use super::{processes::machine_pid, subject::Subject};
use crate::{data::DataFolder, stopwatch::Stopwatch};

/// How long a program may take to start and listen in an emulated machine.
const LISTENS_WITHIN: Duration = Duration::from_secs(30);
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// The tap of one capsule. Needs root.
pub(super) struct Tap {
    netns: PathBuf,
    clock: Clock,
}

impl Tap {
    /// That of the machine that was not there before.
    pub(super) fn of_new(
        subject: &Subject,
        data: &DataFolder,
        before: &BTreeSet<u32>,
    ) -> anyhow::Result<Self> {
        let netns = PathBuf::from(format!("/proc/{}/ns/net", machine_pid(data, before)?));
        Ok(Self { netns, clock: subject.clock.clone() })
    }

    /// Connects to a port, as soon as a program listens on it.
    pub(super) async fn connect(&self, port: u16) -> anyhow::Result<TcpStream> {
        let address = SocketAddr::from((GUEST_IP.0, port));
        let begun = Stopwatch::start(&self.clock);
        loop {
            match connect_in(&self.netns, address, CONNECT_WITHIN).await {
                Ok(stream) => return Ok(stream),
                Err(error) if begun.elapsed() > LISTENS_WITHIN => {
                    return Err(error).context("the program in the capsule does not listen");
                }
                Err(_) => self.clock.sleep(Duration::from_millis(50)).await,
            }
        }
    }
}
