//! What an operator, or a test, can choose about the control plane's actors.

use std::time::Duration;

use wrenn_domain::{channel::address::Receivers, placement::Overcommit};

use crate::objects::ObjectsLocation;

/// Whether faults may be injected on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FaultInjection {
    /// They may not; every request for one is refused.
    #[default]
    Off,
    /// They may, for tests.
    On,
}

/// What an operator, or a test, can choose about the control plane's actors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Threads that sandboxes and host connections are spread over.
    pub arbiters: usize,
    /// How often an agent shall say that it lives.
    pub heartbeat_interval: Duration,
    /// An attached agent that was silent for so long is cut off.
    pub silent_after: Duration,
    /// A host that was not heard of for so long is unreachable, its sandboxes missing.
    pub unreachable_after: Duration,
    /// How often an attached host is asked what it has.
    pub inventory_interval: Duration,
    /// A server that was silent for so long is taken for dead, and others take its hosts.
    pub server_lease: Duration,
    /// How long an operation waits for a host that is not attached, before it says so.
    pub away_wait: Duration,
    /// How long an agent may take to open a tunnel.
    pub tunnel_open_within: Duration,
    /// `last_active_at` is written at most once in this time.
    pub touch_interval: Duration,
    /// How often somebody looks for sandboxes that nobody uses.
    pub idle_interval: Duration,
    /// How many times over resources may be promised.
    pub overcommit: Overcommit,
    /// How templates are built.
    pub builds: BuildConfig,
    /// Rules for notifications.
    pub notify: NotifyConfig,
    /// Ages at which rows are removed.
    pub retention: RetentionConfig,
    /// Where objects are kept.
    pub objects: ObjectsLocation,
    /// Whether faults may be injected on purpose.
    pub fault_injection: FaultInjection,
}

/// How templates are built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildConfig {
    /// How many builds this server works on at once.
    pub workers: usize,
    /// Redis, as `redis://…` or `redis+unix:///path`, which wakes the workers; without it they look now and then.
    pub redis_url: Option<String>,
    /// What the kept disks of steps may occupy, in bytes.
    pub cache_bytes: u64,
}

impl Default for BuildConfig {
    fn default() -> Self {
        Self { workers: 2, redis_url: None, cache_bytes: 20 * 1024 * 1024 * 1024 }
    }
}

/// Rules for notifications.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotifyConfig {
    /// Addresses that may be asked.
    pub receivers: Receivers,
    /// Pause after the first failed attempt; it doubles up to an hour.
    pub first_pause: Duration,
}

impl Default for NotifyConfig {
    fn default() -> Self {
        Self { receivers: Receivers::default(), first_pause: Duration::from_secs(5) }
    }
}

/// Ages at which rows are removed, as far as an operator can choose them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetentionConfig {
    /// Time for which a capsule is still shown after its end.
    pub capsules: Duration,
    /// Time for which the output of a build's steps is kept after the build's end.
    pub build_logs: Duration,
}

impl Default for RetentionConfig {
    fn default() -> Self {
        const THIRTY_DAYS: Duration = Duration::from_secs(30 * 86_400);
        Self { capsules: THIRTY_DAYS, build_logs: THIRTY_DAYS }
    }
}

impl Config {
    /// Returns how often somebody looks whether a host is silent, or is to be compared.
    pub(crate) fn look_period(&self) -> Duration {
        let shortest = self.silent_after.min(self.unreachable_after);
        (shortest / 6).max(Duration::from_millis(10))
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            arbiters: std::thread::available_parallelism().map_or(2, |cores| cores.get().clamp(2, 8)),
            heartbeat_interval: Duration::from_secs(10),
            silent_after: Duration::from_secs(30),
            unreachable_after: Duration::from_secs(90),
            inventory_interval: Duration::from_secs(60),
            server_lease: Duration::from_secs(30),
            away_wait: Duration::from_secs(5),
            tunnel_open_within: Duration::from_secs(10),
            touch_interval: Duration::from_secs(5),
            idle_interval: Duration::from_secs(1),
            overcommit: Overcommit::default(),
            builds: BuildConfig::default(),
            notify: NotifyConfig::default(),
            retention: RetentionConfig::default(),
            objects: ObjectsLocation::default(),
            fault_injection: FaultInjection::Off,
        }
    }
}
