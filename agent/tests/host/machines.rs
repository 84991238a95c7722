//! A real host on which machines can run, and what they run from.

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::symlink,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures_util::StreamExt as _;
use tokio::sync::mpsc;
use wrenn_agent::{
    disk::{Volume, VolumeSize},
    guest::{Events, Guest as _, GuestClient},
    net::{GUEST_MAC, Instance, PoolConfig, Slot, SlotNumber, SlotPool, connect_in},
    vmm::{
        BootSpec, Vmm as _,
        cgroup::{Cgroups, Limits},
        qemu::Qemu,
    },
};
use wrenn_base::Clock;
use wrenn_proto::{
    GUEST_GATEWAY, GUEST_IP, GUEST_PORT,
    guest::{
        CloseStdin, ExecEvent, ExecInput, ExecStart, InitRequest, Lifetime, exec_event::Event,
        exec_input::Input,
    },
    ids::SandboxId,
};

use super::{DataDir, claim, eventually, in_time, pool, require};

/// Memory of a machine in these tests, unless it says otherwise.
pub(crate) const MEMORY_MB: u32 = 256;

pub(crate) fn images() -> PathBuf {
    let folder = std::env::var_os("WRENN_IMAGES").map(PathBuf::from).unwrap_or_else(|| {
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache");
        cache.unwrap_or_else(home).join("wrenn/images")
    });
    assert!(folder.join("vmlinux").exists(), "no kernel in {}: run scripts/image", folder.display());
    folder
}

/// A host on which one machine can run.
pub(crate) struct Host {
    pub(crate) instance: Arc<Instance>,
    pub(crate) pool: SlotPool,
    pub(crate) volume: Volume,
    pub(crate) cgroups: Cgroups,
    pub(crate) qemu: Qemu,
}

impl Host {
    pub(crate) async fn new(data: &DataDir, keep: &[SlotNumber]) -> Self {
        require(&["qemu-system-x86_64", "ip", "nft", "mkfs.xfs", "losetup"]);
        let instance = claim(data);
        let pool = match keep {
            [] => pool(&instance, 1).await,
            keep => {
                let config =
                    PoolConfig { ahead: 0, egress: Default::default(), keep: keep.iter().copied().collect() };
                SlotPool::start(instance.clone(), config, Clock::process()).await.expect("pool")
            }
        };
        let volume =
            Volume::open_or_create(instance.data_dir(), VolumeSize { max_bytes: 8 << 30, reserve_bytes: 0 })
                .await
                .expect("volume");
        let cgroups = Cgroups::open(&instance.cgroup_name());
        let named = std::env::var_os("WRENN_QEMU").filter(|named| !named.is_empty()).map(PathBuf::from);
        let qemu =
            Qemu::detect(named.as_deref(), instance.data_dir(), &Clock::process()).await.expect("qemu");
        Self { instance, pool, volume, cgroups, qemu }
    }

    /// Everything for a machine, with a slot of its own; its disk is empty.
    pub(crate) async fn spec(&self) -> (BootSpec, Slot) {
        self.spec_with_memory(MEMORY_MB).await
    }

    async fn spec_with_memory(&self, memory_mb: u32) -> (BootSpec, Slot) {
        let id = SandboxId::new();
        let slot = self.pool.take().await.expect("slot");
        let dir = self.volume.path().join(id.to_string());
        let runtime_dir = self.instance.runtime_dir().join(id.to_string());
        fs::create_dir_all(&dir).expect("machine folder");
        fs::create_dir_all(&runtime_dir).expect("runtime folder");
        let disk = dir.join("disk.ext4");
        fs::File::create(&disk).expect("disk").set_len(64 << 20).expect("length");
        // No machine writes into it.
        symlink(images().join("modules.img"), dir.join("modules.img")).expect("modules");
        let limits = Limits { memory_mb: u64::from(memory_mb) + self.qemu.overhead_mb(), vcpus: 1 };
        let images = images();
        let spec = BootSpec {
            id,
            disk,
            modules: dir.join("modules.img"),
            kernel: images.join("vmlinux"),
            initramfs: images.join("initramfs.cpio"),
            vcpus: 1,
            memory_mb,
            netns: slot.netns().to_owned(),
            tap: slot.tap().to_owned(),
            mac: GUEST_MAC.to_owned(),
            uid: Some(slot.uid()),
            cgroup: self.cgroups.create(id, limits).expect("cgroup"),
            kernel_args: Vec::new(),
            dir,
            runtime_dir,
        };
        (spec, slot)
    }

    /// A machine whose disk is the base image, so that its guest comes up.
    pub(crate) async fn spec_with_system(&self) -> (BootSpec, Slot) {
        self.system(MEMORY_MB).await
    }

    /// The same with this much memory.
    pub(crate) async fn system(&self, memory_mb: u32) -> (BootSpec, Slot) {
        let (spec, slot) = self.spec_with_memory(memory_mb).await;
        let base = self.volume.path().join("minimal.ext4");
        if !base.exists() {
            self.volume.import(&images().join("minimal.ext4"), &base).await.expect("import");
        }
        fs::remove_file(&spec.disk).expect("remove");
        self.volume.clone_file(&base, &spec.disk).await.expect("clone");
        (spec, slot)
    }

    /// Gives a dead machine's slot back, and gives the machine another one.
    pub(crate) async fn change_slot(&self, spec: &mut BootSpec, slot: Slot) -> Slot {
        self.pool.release(slot).await.expect("release");
        let slot = self.pool.take().await.expect("slot");
        spec.netns = slot.netns().to_owned();
        spec.tap = slot.tap().to_owned();
        spec.uid = Some(slot.uid());
        slot
    }

    /// Gives back everything of a dead machine, and of the host; nothing may be left.
    pub(crate) async fn close(self, data: &DataDir, spec: BootSpec, slot: Slot) {
        self.release(spec, slot).await;
        self.teardown(data).await;
    }

    /// Gives back everything of a dead machine.
    pub(crate) async fn release(&self, spec: BootSpec, slot: Slot) {
        if let Some(cgroup) = &spec.cgroup {
            cgroup.remove().await.expect("cgroup");
        }
        self.pool.release(slot).await.expect("release");
        fs::remove_dir_all(&spec.dir).expect("machine folder");
        fs::remove_dir_all(&spec.runtime_dir).expect("runtime folder");
    }

    /// Gives back everything of the host; nothing may be left.
    pub(crate) async fn teardown(self, data: &DataDir) {
        self.pool.teardown().await.expect("teardown");
        self.cgroups.teardown().await.expect("cgroups");
        Volume::unmount(&data.0).await.expect("unmount");
        data.assert_clean();
    }
}

pub(crate) fn guest_address() -> SocketAddr {
    (GUEST_IP.0, GUEST_PORT).into()
}

pub(crate) async fn guest_is_up(slot: &Slot) -> bool {
    connect_in(slot.netns(), guest_address(), Duration::from_millis(500)).await.is_ok()
}

/// Nanoseconds since the Unix epoch.
pub(crate) fn now_ns() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("clock");
    i64::try_from(now.as_nanos()).expect("clock")
}

/// The daemon in a machine, spoken to as the agent does.
pub(crate) struct Guest(GuestClient);

impl Guest {
    pub(crate) fn new(slot: &Slot) -> Self {
        Self(GuestClient::new(slot.netns()))
    }

    /// Waits until it answers.
    pub(crate) async fn up(&self) {
        eventually("the guest says hello", async || self.0.hello().await.is_ok()).await;
    }

    /// Tells it what a machine cannot know that was just started or restored.
    ///
    /// Repeats the request, as the agent does: the first attempts to connect have little time, and a machine that was just
    /// restored may need more on a busy host.
    pub(crate) async fn init(&self, hostname: &str, grow_root_to_bytes: u64) {
        let entropy = fs::read("/proc/sys/kernel/random/uuid").expect("randomness");
        let request = || InitRequest {
            unix_time_ns: now_ns(),
            entropy: entropy.clone().into(),
            hostname: hostname.to_owned(),
            nameservers: vec![GUEST_GATEWAY.to_string()],
            thaw: true,
            grow_root_to_bytes,
            ..InitRequest::default()
        };
        eventually("the guest accepts init", async || self.0.init(request()).await.is_ok()).await;
    }

    /// Starts a command under a shell.
    pub(crate) async fn start(&self, cmd: &str, lifetime: Lifetime) -> Events<ExecEvent> {
        let (inputs, receiver) = mpsc::channel(2);
        let start = ExecStart { cmd: cmd.to_owned(), lifetime: lifetime.into(), ..ExecStart::default() };
        for input in [Input::Start(start), Input::CloseStdin(CloseStdin {})] {
            inputs.send(ExecInput { input: Some(input) }).await.expect("input");
        }
        self.0.exec(receiver.into()).await.expect("exec")
    }

    /// Runs a command under a shell, which must succeed, and returns what it printed.
    pub(crate) async fn run(&self, cmd: &str) -> String {
        let events = self.start(cmd, Lifetime::Attached).await;
        in_time(&format!("the end of {cmd}"), output(events)).await
    }
}

/// Reads what a command prints to its end, which must be a good one.
pub(crate) async fn output(mut events: Events<ExecEvent>) -> String {
    let mut printed = Vec::new();
    while let Some(event) = events.next().await {
        match event.expect("an event").event.expect("an event") {
            Event::Stdout(bytes) | Event::Stderr(bytes) => printed.extend(bytes),
            Event::Exited(exited) => {
                let printed = String::from_utf8_lossy(&printed).into_owned();
                assert_eq!(exited.exit_code, 0, "{printed}");
                return printed.trim_end().to_owned();
            }
            Event::Started(_) => {}
            other => panic!("unexpected {other:?}"),
        }
    }
    panic!("the stream ended before the command: {}", String::from_utf8_lossy(&printed));
}
