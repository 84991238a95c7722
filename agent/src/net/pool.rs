//! Slots made ahead.
//!
//! ```text
//!            ┌── make (background) ──▶ ready ── take ──▶ taken ──┐
//!   numbers ─┘                                   ▲               │ release, after the VMM's death
//!      ▲                              adopt ─────┘               ▼
//!      └───────────────── removed with all its traces ◀──────────┘
//! ```
//!
//! A slot that was used is never used again: its namespace, with every connection it tracked, is deleted, and
//! a new one is made. Numbers, and so the outer addresses, go round, so that what the host still remembers of a
//! number's connections has long expired when it comes back.
//!
//! Work that changes the host runs in tasks of its own and is never cut off half-way, whatever becomes of the
//! caller.

use std::{
    collections::BTreeSet,
    fs, io,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use tokio::{
    sync::Notify,
    task::{JoinError, JoinHandle},
};
use wrenn_base::{Clock, blocking};

use super::{
    egress::{Egress, HostNetworks, refused_unless_allowed},
    existing,
    instance::{Instance, MAX_SLOTS, host_networks},
    names::SlotNumber,
    namespace::{inside, path_of, run},
    resolver::Resolver,
    rules::{self, Plan},
    slot::{SharedSlots, Slot},
};

/// First user id for VMMs: above every id that a system gives to people, services or containers.
const FIRST_UID: u32 = 2_000_000_000;

/// How often the host's networks are compared with those that the firewall knows.
const NETWORKS_INTERVAL: Duration = Duration::from_secs(30);

/// How a pool works.
#[derive(Debug, Clone)]
pub struct PoolConfig {
    /// How many slots are kept ready.
    pub ahead: usize,
    /// What guests may reach.
    pub egress: Egress,
    /// Slots that machines of an earlier agent still use; every other one is removed at the start.
    pub keep: BTreeSet<SlotNumber>,
}

/// Why the pool could not start.
#[derive(Debug, thiserror::Error)]
#[error("{action}")]
pub struct StartPoolError {
    /// What was being done.
    pub action: &'static str,
    /// Why it failed.
    #[source]
    pub source: io::Error,
}

/// Why no slot could be taken.
#[derive(Debug, thiserror::Error)]
pub enum TakeSlotError {
    /// All slots of this installation are taken.
    #[error("all {MAX_SLOTS} network slots are taken")]
    Full,
    /// The pool was torn down.
    #[error("the network is shut down")]
    Closed,
    /// A slot could not be made; nothing of it is left.
    #[error("make a network slot")]
    Make {
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Why a slot could not be adopted.
#[derive(Debug, thiserror::Error)]
pub enum AdoptSlotError {
    /// The pool was not told to keep it, or somebody holds it.
    #[error("slot {} is not there for adoption", .0.0)]
    NotKept(SlotNumber),
    /// Its namespace does not exist; the number is free again.
    #[error("slot {} does not exist", .0.0)]
    Missing(SlotNumber),
    /// Its resolver could not start; the slot can be adopted again.
    #[error("start the resolver of slot {}", number.0)]
    Resolver {
        /// The slot.
        number: SlotNumber,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Why a slot is not gone; it stays out of use until the next start of a pool.
#[derive(Debug, thiserror::Error)]
#[error("remove slot {}", number.0)]
pub struct ReleaseSlotError {
    /// The slot.
    pub number: SlotNumber,
    /// Why.
    #[source]
    pub source: io::Error,
}

/// Why not everything of the pool is gone.
#[derive(Debug, thiserror::Error)]
#[error("{action}")]
pub struct TeardownError {
    /// What was being done.
    pub action: &'static str,
    /// Why it failed.
    #[source]
    pub source: io::Error,
}

/// The slots of one installation; cheap to clone, all futures are `Send`.
#[derive(Debug, Clone)]
pub struct SlotPool(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    instance: Arc<Instance>,
    ahead: usize,
    egress: Egress,
    /// Networks of the host, as its rules know them.
    host: Mutex<HostNetworks>,
    slots: SharedSlots,
    /// Signalled whenever a batch has been made, or has failed.
    made: Notify,
}

impl SlotPool {
    /// Removes what earlier agents left (except `config.keep`), installs the host's rules, and starts making
    /// slots in the background.
    ///
    /// # Errors
    /// [`StartPoolError`]; what was done so far is done again by the next start.
    pub async fn start(
        instance: Arc<Instance>,
        config: PoolConfig,
        clock: Clock,
    ) -> Result<Self, StartPoolError> {
        let PoolConfig { ahead, egress, keep } = config;
        let failed = |action| move |source| StartPoolError { action, source };
        let host = blocking(host_networks).await.map_err(failed("ask for the host's networks"))?;

        let found = existing::slots(instance.number());
        let orphans: Vec<SlotNumber> = found.difference(&keep).copied().collect();
        if !orphans.is_empty() {
            tracing::info!(count = orphans.len(), "removing network slots that nobody uses");
            let plans = orphans.iter().map(|&number| Plan::new(&instance, number)).collect();
            blocking(move || remove(plans)).await.map_err(failed("remove slots that nobody uses"))?;
        }
        blocking(|| enable("/proc/sys/net/ipv4/ip_forward"))
            .await
            .map_err(failed("switch on net.ipv4.ip_forward"))?;
        let text = rules::host_rules(&instance, &egress, &host);
        blocking(move || run("nft", &["-f", "-"], &text))
            .await
            .map_err(failed("install the host's rules"))?;

        let next = found.last().map_or(0, |last| (last.0 + 1) % MAX_SLOTS);
        let pool = Self(Arc::new(Shared {
            instance,
            ahead,
            egress,
            host: Mutex::new(host),
            slots: SharedSlots::new(keep, next),
            made: Notify::new(),
        }));
        pool.refill();
        tokio::spawn(follow_networks(Arc::downgrade(&pool.0), clock));
        Ok(pool)
    }

    /// Brings the host's rules up to date if its networks have changed; that happens by itself, too, after a while.
    /// Slots that exist already refuse new networks less politely than others: without an answer.
    ///
    /// # Errors
    /// If the host's networks cannot be asked for, or its rules not replaced.
    pub async fn renew_rules(&self) -> io::Result<()> {
        self.0.renew_rules().await
    }

    /// Takes a slot that nobody uses: one made ahead, else one made now.
    ///
    /// # Errors
    /// [`TakeSlotError`].
    pub async fn take(&self) -> Result<Slot, TakeSlotError> {
        loop {
            let number = {
                let mut slots = self.0.slots.lock();
                if slots.closed {
                    return Err(TakeSlotError::Closed);
                }
                match slots.ready.pop_front() {
                    Some(slot) => {
                        drop(slots);
                        self.refill();
                        return Ok(slot);
                    }
                    None => slots.reserve().ok_or(TakeSlotError::Full)?,
                }
            };
            // It goes to the ready ones, where whoever comes first takes it.
            let made = self.make_in_background(vec![number]).await;
            made.unwrap_or_else(panicked).map_err(|source| TakeSlotError::Make { source })?;
        }
    }

    /// Takes the slot of a machine that runs already: started by an earlier agent (`PoolConfig::keep`), or by an
    /// actor that has dropped its [`Slot`] since.
    ///
    /// # Errors
    /// [`AdoptSlotError`].
    pub async fn adopt(&self, number: SlotNumber) -> Result<Slot, AdoptSlotError> {
        if !self.0.slots.lock().kept.remove(&number) {
            return Err(AdoptSlotError::NotKept(number));
        }
        let plan = Plan::new(&self.0.instance, number);
        let netns = path_of(&plan.namespace);
        if !netns.exists() {
            // Its veth may be there still; it goes with the next removal of this number's slot.
            let removed = blocking(move || remove(vec![plan])).await;
            if let Err(error) = removed {
                tracing::warn!(slot = number.0, %error, "slot without namespace not removed");
            } else {
                self.0.slots.lock().used.remove(&number);
            }
            return Err(AdoptSlotError::Missing(number));
        }
        match Resolver::start(netns.clone()).await {
            Ok(resolver) => Ok(self.0.slot(number, netns, resolver)),
            Err(source) => {
                self.0.slots.lock().kept.insert(number);
                Err(AdoptSlotError::Resolver { number, source })
            }
        }
    }

    /// Gives a slot back. Only after the VMM in it is confirmed dead. Returns when it is removed; nothing of it
    /// (connections, addresses in use) is seen by the next machine.
    ///
    /// # Errors
    /// [`ReleaseSlotError`]; the slot is out of use then.
    pub async fn release(&self, slot: Slot) -> Result<(), ReleaseSlotError> {
        let number = slot.into_number();
        let shared = self.0.clone();
        let removal = tokio::spawn(async move {
            let plan = Plan::new(&shared.instance, number);
            blocking(move || remove(vec![plan])).await?;
            shared.slots.lock().used.remove(&number);
            Ok(())
        });
        let removed = removal.await.unwrap_or_else(panicked);
        self.refill();
        removed.map_err(|source| ReleaseSlotError { number, source })
    }

    /// Address under which the host reaches a slot's namespace.
    pub fn address(&self, number: SlotNumber) -> Ipv4Addr {
        Plan::new(&self.0.instance, number).namespace_address
    }

    /// The installation the pool works for.
    pub fn instance(&self) -> &Arc<Instance> {
        &self.0.instance
    }

    /// How many slots are ready, made ahead.
    pub fn ready(&self) -> usize {
        self.0.slots.lock().ready.len()
    }

    /// Waits for the work in the background and removes every slot that is not taken or kept; if there are none,
    /// the host's rules too. Nothing can be taken from then on.
    ///
    /// # Errors
    /// [`TeardownError`]; the next start of a pool removes what is left.
    pub async fn teardown(&self) -> Result<(), TeardownError> {
        let failed = |action| move |source| TeardownError { action, source };
        self.0.slots.lock().closed = true;
        loop {
            let made = self.0.made.notified();
            if self.0.slots.lock().making == 0 {
                break;
            }
            made.await;
        }
        // Taken out first: what a slot does when it ends needs the slots as well.
        let ready: Vec<Slot> = self.0.slots.lock().ready.drain(..).collect();
        let ready: Vec<SlotNumber> = ready.into_iter().map(Slot::into_number).collect();
        let plans: Vec<Plan> = ready.iter().map(|&number| Plan::new(&self.0.instance, number)).collect();
        if !plans.is_empty() {
            blocking(move || remove(plans)).await.map_err(failed("remove slots made ahead"))?;
        }
        let none_left = {
            let mut slots = self.0.slots.lock();
            slots.used.retain(|number| !ready.contains(number));
            slots.used.is_empty()
        };
        if none_left {
            let text = rules::remove_host_rules(self.0.instance.number());
            blocking(move || run("nft", &["-f", "-"], &text))
                .await
                .map_err(failed("remove the host's rules"))?;
        }
        Ok(())
    }

    /// Starts making as many slots as are missing.
    fn refill(&self) {
        let numbers: Vec<SlotNumber> = {
            let mut slots = self.0.slots.lock();
            if slots.closed {
                return;
            }
            let missing = self.0.ahead.saturating_sub(slots.ready.len() + slots.making);
            std::iter::from_fn(|| slots.reserve()).take(missing).collect()
        };
        if !numbers.is_empty() {
            drop(self.make_in_background(numbers));
        }
    }

    /// Makes slots of reserved numbers in a task, and puts them to the ready ones.
    fn make_in_background(&self, numbers: Vec<SlotNumber>) -> JoinHandle<io::Result<()>> {
        let count = numbers.len();
        self.0.slots.lock().making += count;
        let shared = self.0.clone();
        tokio::spawn(async move {
            let made = shared.make(&numbers).await;
            let outcome = {
                let mut slots = shared.slots.lock();
                slots.making -= count;
                match made {
                    Ok(made) => {
                        slots.ready.extend(made);
                        Ok(())
                    }
                    Err(error) => {
                        tracing::warn!(%error, "network slots not made");
                        slots.used.retain(|number| !numbers.contains(number));
                        Err(error)
                    }
                }
            };
            shared.made.notify_waiters();
            outcome
        })
    }
}

impl Shared {
    fn host(&self) -> HostNetworks {
        self.host.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn renew_rules(&self) -> io::Result<()> {
        let now = blocking(host_networks).await?;
        if refused_unless_allowed(&now) == refused_unless_allowed(&self.host()) {
            return Ok(());
        }
        tracing::info!("networks of this host have changed, replacing its rules");
        let text = rules::host_rules(&self.instance, &self.egress, &now);
        blocking(move || run("nft", &["-f", "-"], &text)).await?;
        *self.host.lock().unwrap_or_else(PoisonError::into_inner) = now;
        Ok(())
    }

    fn slot(&self, number: SlotNumber, netns: PathBuf, resolver: Resolver) -> Slot {
        let uid = FIRST_UID + u32::from(self.instance.number()) * u32::from(MAX_SLOTS) + u32::from(number.0);
        self.slots.slot(number, netns, uid, resolver)
    }

    /// Makes all of the slots, or none.
    async fn make(&self, numbers: &[SlotNumber]) -> io::Result<Vec<Slot>> {
        let plans: Vec<Plan> = numbers.iter().map(|&number| Plan::new(&self.instance, number)).collect();
        let result = self.try_make(numbers, &plans).await;
        if result.is_err()
            && let Err(error) = blocking(move || remove(plans)).await
        {
            tracing::warn!(%error, "network slots that failed are left for the next start");
        }
        result
    }

    async fn try_make(&self, numbers: &[SlotNumber], plans: &[Plan]) -> io::Result<Vec<Slot>> {
        let (text, interfaces) = (
            rules::create_on_host(plans),
            plans.iter().map(|plan| plan.interface.clone()).collect::<Vec<_>>(),
        );
        blocking(move || {
            run("ip", &["-batch", "-"], &text)?;
            interfaces.iter().try_for_each(|interface| disable_ipv6(interface))
        })
        .await?;
        let mut slots = Vec::with_capacity(numbers.len());
        for (&number, plan) in numbers.iter().zip(plans) {
            let netns = path_of(&plan.namespace);
            let (interfaces, firewall) =
                (rules::create_in_namespace(plan), rules::namespace_rules(&self.egress, &self.host()));
            // The firewall comes before the addresses, so that there is no moment without it.
            let build = move || {
                disable_ipv6("all")?;
                disable_ipv6("default")?;
                run("nft", &["-f", "-"], &firewall)?;
                run("ip", &["-batch", "-"], &interfaces)?;
                enable("/proc/sys/net/ipv4/ip_forward")
            };
            inside(netns.clone(), build).await?;
            let resolver = Resolver::start(netns.clone()).await?;
            slots.push(self.slot(number, netns, resolver));
        }
        Ok(slots)
    }
}

/// Renews the rules for as long as there is a pool that is not torn down.
async fn follow_networks(pool: Weak<Shared>, clock: Clock) {
    loop {
        clock.sleep(NETWORKS_INTERVAL).await;
        let Some(shared) = pool.upgrade().filter(|shared| !shared.slots.lock().closed) else { return };
        if let Err(error) = shared.renew_rules().await {
            tracing::warn!(%error, "cannot follow the networks of this host");
        }
    }
}

/// Removes slots, whatever there is of them. Blocks.
fn remove(plans: Vec<Plan>) -> io::Result<()> {
    let text = rules::remove(plans.iter().map(|plan| (plan.namespace.as_str(), plan.interface.as_str())));
    // Fails for whatever is missing already, so what counts is what is there afterwards.
    let outcome = run("ip", &["-force", "-batch", "-"], &text);
    let is_there =
        |plan: &Plan| path_of(&plan.namespace).exists() || existing::has_interface(&plan.interface);
    match (plans.iter().any(is_there), outcome) {
        (false, _) => Ok(()),
        (true, Err(error)) => Err(error),
        (true, Ok(())) => Err(io::Error::other("still there after its removal")),
    }
}

/// Writes a `1` into a sysctl file of the calling thread's namespace, unless it is there.
fn enable(path: &str) -> io::Result<()> {
    if fs::read_to_string(path)?.trim() == "1" {
        return Ok(());
    }
    fs::write(path, "1")
}

fn disable_ipv6(interface: &str) -> io::Result<()> {
    let path = format!("/proc/sys/net/ipv6/conf/{interface}/disable_ipv6");
    // A kernel without IPv6 needs no switch.
    if Path::new(&path).exists() { enable(&path) } else { Ok(()) }
}

fn panicked<T>(error: JoinError) -> io::Result<T> {
    Err(io::Error::other(error))
}
