//! The command line of a machine.

use std::{ffi::OsString, path::Path};

use serde_json::json;

use super::program::Program;
use crate::vmm::{BootSpec, CpuFingerprint, MEMORY_FILE, accel::Acceleration};

/// Name of the ring buffer that holds the guest's console.
pub(super) const CONSOLE: &str = "console";
/// Size of that buffer in bytes, a power of two. A guest that writes more overwrites its own words.
pub(super) const CONSOLE_SIZE: u32 = 64 * 1024;
/// Cache for translated code under emulation, in MiB. QEMU's own default may grow to 1 GiB for each machine.
pub(super) const TCG_CACHE_MB: u64 = 128;
/// Name of the block node that is the guest's disk.
pub(super) const DISK_NODE: &str = "disk";
/// Name of the block node that is the disk of kernel modules.
const MODULES_NODE: &str = "modules";
/// Firmware that enters an ELF kernel without an option rom. The default of a microvm with ACPI is SeaBIOS, which cannot; Debian 12
/// has qboot under that name, too, and Debian 13 does not.
pub(super) const FIRMWARE: &str = "qboot.rom";
/// Number of the devices and their order below, which saved state depends on. Count it up whenever a machine that
/// was suspended before a change here could not be restored after it. 1 had no disk of kernel modules.
pub(super) const LAYOUT: u32 = 2;

/// Machine type. ACPI, as it is how Debian's kernels find the devices. No option roms: an ELF kernel is entered directly.
pub(super) const MACHINE_TYPE: &str = "microvm,acpi=on,isa-serial=on,x-option-roms=off";

/// Options that decide how virtual CPUs run and which features they have.
#[derive(Debug)]
pub(super) struct Processor {
    /// Value of `-accel`.
    pub(super) accelerator: String,
    /// Value of `-cpu`.
    pub(super) cpu: &'static str,
}

impl Processor {
    /// Returns the options for all machines of a host.
    pub(super) fn new(program: &Program, acceleration: &Acceleration) -> Self {
        let (accelerator, cpu) = match acceleration {
            Acceleration::Kvm => ("kvm".to_owned(), "host"),
            Acceleration::Tcg { .. } => {
                (format!("tcg,thread=multi,tb-size={TCG_CACHE_MB}"), program.emulated_cpu())
            }
        };
        Self { accelerator, cpu }
    }

    /// Returns the name of the processor model, without its options.
    pub(super) fn model(&self) -> &'static str {
        self.cpu.split_once(',').map_or(self.cpu, |(model, _)| model)
    }
}

/// How a machine begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// With its kernel, at once.
    Boot,
    /// With state that is loaded later, and stopped. The kernel lies in the guest's memory; a guest that resets itself
    /// is at its end, so nobody reads it again.
    Restore,
}

/// A QEMU that is used: the program, and all that its command lines depend on beside the machine.
#[derive(Debug)]
pub(super) struct Installed {
    pub(super) program: Program,
    pub(super) acceleration: Acceleration,
    /// The processor that guests see.
    pub(super) cpu: CpuFingerprint,
    pub(super) tsc_khz: u64,
}

impl Installed {
    /// All arguments for a machine whose control socket is the inherited descriptor `control_fd`.
    pub(super) fn command_line(&self, spec: &BootSpec, control_fd: &str, start: Start) -> Vec<OsString> {
        let Self { program, acceleration, tsc_khz, .. } = self;
        let Processor { accelerator, cpu } = Processor::new(program, acceleration);
        let mut args = Args::default();
        args.flag("-nodefaults").flag("-no-user-config");
        args.pair("-display", "none");
        args.pair("-name", spec.id.to_string());
        args.pair("-machine", format!("{MACHINE_TYPE},memory-backend=memory"));
        args.pair("-bios", FIRMWARE);
        args.pair("-accel", accelerator);
        args.pair("-cpu", cpu);
        args.pair("-smp", spec.vcpus.to_string());
        args.pair("-m", format!("{}M", spec.memory_mb));
        // A file that is mapped shared: a pause has nothing to write out but device state.
        let memory = spec.dir.join(MEMORY_FILE);
        let mut backend: OsString =
            format!("memory-backend-file,id=memory,size={}M,share=on,mem-path=", spec.memory_mb).into();
        backend.push(escape(&memory));
        args.pair("-object", backend);

        match start {
            Start::Boot => {
                args.pair("-kernel", &spec.kernel);
                args.pair("-initrd", &spec.initramfs);
                args.pair("-append", kernel_command_line(spec, acceleration, *tsc_khz));
            }
            Start::Restore => {
                args.flag("-S");
                args.pair("-incoming", "defer");
            }
        }
        args.pair("-chardev", format!("ringbuf,id={CONSOLE},size={CONSOLE_SIZE}"));
        args.pair("-serial", format!("chardev:{CONSOLE}"));

        let disk = json!({
            "driver": "raw", "node-name": DISK_NODE, "discard": "unmap", "detect-zeroes": "unmap",
            "file": { "driver": "file", "filename": spec.disk.to_string_lossy(), "discard": "unmap" },
        });
        args.pair("-blockdev", disk.to_string());
        // A failing or full host disk is an I/O error to the guest, which it can tell its user; by default QEMU would
        // stop the machine instead.
        args.pair("-device", format!("virtio-blk-device,drive={DISK_NODE},werror=report,rerror=report"));
        // One queue for one request at a time is enough for what is read once, and takes little of the guest's memory.
        let modules = json!({
            "driver": "raw", "node-name": MODULES_NODE, "read-only": true,
            "file": { "driver": "file", "filename": spec.modules.to_string_lossy(), "read-only": true },
        });
        args.pair("-blockdev", modules.to_string());
        args.pair("-device", format!("virtio-blk-device,drive={MODULES_NODE},num-queues=1,queue-size=16"));
        args.pair("-netdev", format!("tap,id=net,ifname={},script=no,downscript=no,vhost=off", spec.tap));
        args.pair("-device", format!("virtio-net-device,netdev=net,mac={}", spec.mac));

        args.pair("-chardev", format!("socket,id=control,fd={control_fd},server=on,wait=off"));
        args.pair("-mon", "chardev=control,mode=control");
        // A guest that ends stays, stopped, until the agent has read its last words; also while no agent runs.
        args.pair("-action", "reboot=shutdown,shutdown=pause,panic=pause");

        // Seccomp. A VMM that gives up its privileges once everything is open must be let do so; it cannot get them
        // back, as it was started with `no_new_privs`.
        let elevate = if spec.uid.is_some() { "allow" } else { "deny" };
        let sandbox = format!("on,obsolete=deny,elevateprivileges={elevate},spawn=deny,resourcecontrol=deny");
        args.pair("-sandbox", sandbox);
        if let Some(uid) = spec.uid {
            let (option, value) = program.run_as(uid);
            args.pair(option, value);
        }
        args.0
    }
}

fn kernel_command_line(spec: &BootSpec, acceleration: &Acceleration, tsc_khz: u64) -> String {
    // The first line keeps a guest on a busy host from hanging in its clock calibration; a panic resets at
    // once, by a triple fault, which is what QEMU notices. The last one leaves out what a machine of one tenant
    // has no use for: self tests of ciphers at boot, access control and auditing of itself, pages that are zeroed
    // twice; and it does not make commands wait for idle processors whenever a cgroup or mount changes. Measured
    // under emulation it takes a third off a boot and off an exec.
    let mut words = vec![
        format!("tsc_early_khz={tsc_khz} tsc=reliable no_timer_check"),
        "console=ttyS0 quiet panic=-1 reboot=t random.trust_cpu=on".to_owned(),
        "cryptomgr.notests lsm=landlock,yama audit=0 init_on_alloc=0 rcupdate.rcu_expedited=1".to_owned(),
    ];
    if let Acceleration::Tcg { .. } = acceleration {
        // An emulated processor does not speculate, but what guards against it costs as much.
        words.push("mitigations=off".to_owned());
    }
    words.extend_from_slice(&spec.kernel_args);
    words.join(" ")
}

#[derive(Default)]
struct Args(Vec<OsString>);

impl Args {
    fn flag(&mut self, flag: &str) -> &mut Self {
        self.0.push(flag.into());
        self
    }

    fn pair(&mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) {
        self.0.push(name.into());
        self.0.push(value.as_ref().to_owned());
    }
}

/// A path inside an option list, where a comma is written twice.
fn escape(path: &Path) -> OsString {
    path.to_string_lossy().replace(',', ",,").into()
}

#[cfg(test)]
mod tests {
    use wrenn_proto::ids::SandboxId;

    use super::*;
    use crate::vmm::Fingerprint;

    fn spec() -> BootSpec {
        BootSpec {
            id: SandboxId::new(),
            dir: "/data/a,b".into(),
            runtime_dir: "/run/wrenn/0/x".into(),
            disk: "/data/a,b/\"disk".into(),
            modules: "/data/a,b/modules.img".into(),
            kernel: "/kernel".into(),
            initramfs: "/initramfs".into(),
            vcpus: 2,
            memory_mb: 256,
            netns: "/run/netns/x".into(),
            tap: "tap0".into(),
            mac: "52:54:00:00:00:01".into(),
            uid: Some(4711),
            cgroup: None,
            kernel_args: vec!["wrenn.test=1".into()],
        }
    }

    fn arguments(version: &str, acceleration: Acceleration, start: Start) -> Vec<OsString> {
        let program = Program::new("/qemu".into(), version.to_owned());
        let cpu = Fingerprint::simulated("1").cpu;
        Installed { program, acceleration, cpu, tsc_khz: 2_500_000 }.command_line(&spec(), "9", start)
    }

    fn emulated(version: &str) -> Vec<OsString> {
        arguments(version, Acceleration::Tcg { why: String::new() }, Start::Boot)
    }

    fn value_of(args: &[OsString], name: &str) -> String {
        let at = args.iter().position(|arg| arg == name).expect("argument");
        args[at + 1].to_string_lossy().into_owned()
    }

    #[test]
    fn hostile_characters_in_paths_stay_inside_their_option() {
        let args = arguments("7.2.22", Acceleration::Kvm, Start::Boot);
        assert!(value_of(&args, "-object").ends_with("mem-path=/data/a,,b/memory"));
        let disk: serde_json::Value = serde_json::from_str(&value_of(&args, "-blockdev")).expect("json");
        assert_eq!(disk["file"]["filename"], "/data/a,b/\"disk");
    }

    #[test]
    fn the_accelerator_chooses_the_processor() {
        let kvm = arguments("7.2.22", Acceleration::Kvm, Start::Boot);
        assert_eq!((value_of(&kvm, "-accel"), value_of(&kvm, "-cpu")), ("kvm".into(), "host".into()));
        let tcg = emulated("7.2.22");
        assert!(value_of(&tcg, "-accel").starts_with("tcg,"));
        assert_eq!(value_of(&tcg, "-runas"), "4711:4711");
        let program = Program::new("/qemu".into(), "7.2.22".into());
        let model = |acceleration| Processor::new(&program, &acceleration).model();
        assert_eq!(
            (model(Acceleration::Kvm), model(Acceleration::Tcg { why: String::new() })),
            ("host", "max")
        );
        assert!(value_of(&tcg, "-append").ends_with(" wrenn.test=1"));
    }

    #[test]
    fn a_newer_qemu_is_spoken_to_in_its_own_words() {
        let (old, new) = (emulated("7.2.22"), emulated("10.0.2"));
        assert_eq!(
            (value_of(&old, "-cpu"), value_of(&old, "-runas")),
            ("max,erms=off".into(), "4711:4711".into())
        );
        assert_eq!(value_of(&new, "-cpu"), "max,erms=off,fsrm=off");
        assert_eq!(value_of(&new, "-run-with"), "user=4711:4711");
        assert!(!new.iter().any(|arg| arg == "-runas"));
    }

    #[test]
    fn a_restored_machine_has_the_same_devices_and_no_kernel() {
        let kvm = |start| arguments("7.2.22", Acceleration::Kvm, start);
        let (boot, restore) = (kvm(Start::Boot), kvm(Start::Restore));
        for name in ["-kernel", "-initrd", "-append"] {
            assert!(boot.iter().any(|arg| arg == name) && !restore.iter().any(|arg| arg == name), "{name}");
        }
        assert_eq!(value_of(&boot, "-bios"), "qboot.rom");
        for name in ["-machine", "-bios", "-cpu", "-m", "-object", "-blockdev", "-netdev"] {
            assert_eq!(value_of(&boot, name).len(), value_of(&restore, name).len(), "{name}");
        }
        assert!(restore.iter().any(|arg| arg == "-S"), "virtual cpus must not run before they are told");
    }
}
