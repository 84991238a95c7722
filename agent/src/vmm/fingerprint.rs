//! What saved state depends on: whether a machine that was suspended here can run on there.
//!
//! Device state has no meaning but to a VMM of the same version with the same devices; and a guest has looked at its
//! processor once, when it booted, and uses what it found for ever. A host on which any of this differs may crash
//! the guest in ways that nobody can explain, so it is compared beforehand.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::VmmKind;

/// How far two time stamp counters may differ, in millionths, and still count as equal. More than two measurements of
/// one counter on a busy host differ, less than two processors that are sold with different frequencies.
const TSC_TOLERANCE_PPM: u64 = 2_000;

/// What a machine's saved state depends on, as one host has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// The driver.
    pub vmm: VmmKind,
    /// The exact version of its VMM.
    pub vmm_version: String,
    /// How virtual CPUs run.
    pub accelerator: Accelerator,
    /// The processor that a guest sees.
    pub cpu: CpuFingerprint,
    /// Frequency of the time stamp counter, in kHz; measured, so never quite the same.
    pub tsc_khz: u64,
    /// Number of the devices' layout; the driver counts it up with every change that breaks saved state.
    pub layout: u32,
}

/// How virtual CPUs run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Accelerator {
    /// On the host's processor.
    Kvm,
    /// Emulated.
    Tcg,
    /// Not at all.
    Simulated,
}

/// Properties of a QEMU processor that are no part of CPUID: its place in the machine, its life as an object, the revision of
/// the microcode, and the frequency of the counter, for which [`Fingerprint::tsc_khz`] has a tolerance. All others count,
/// unknown ones included: a restore that is refused is better than a guest that crashes.
const NOT_CPUID: [&str; 14] = [
    "apic-id",
    "check",
    "core-id",
    "die-id",
    "enforce",
    "memory",
    "module-id",
    "node-id",
    "realized",
    "socket-id",
    "start-powered-off",
    "thread-id",
    "tsc-frequency",
    "ucode-rev",
];

/// A processor as a guest sees it by CPUID.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuFingerprint {
    /// Its name.
    pub model: String,
    /// Hash of everything else in its CPUID. `None` in files of agents that compared the host's `/proc/cpuinfo` instead.
    #[serde(default)]
    pub cpuid_hash: Option<u64>,
}

impl CpuFingerprint {
    /// Makes the fingerprint of a processor from the properties of QEMU's full expansion of its model.
    pub(super) fn of_properties(properties: &Map<String, Value>) -> Self {
        const MODEL: &str = "model-id";
        let model = properties.get(MODEL).and_then(Value::as_str).unwrap_or_default().trim().to_owned();
        let mut features: Vec<_> = properties
            .iter()
            .filter(|(name, _)| *name != MODEL && !NOT_CPUID.contains(&name.as_str()))
            .map(|(name, value)| format!("{name}={value}\n"))
            .collect();
        features.sort_unstable();
        Self { model, cpuid_hash: Some(fnv1a(features.concat().as_bytes())) }
    }
}

/// A hash that is the same in every build, as the standard library's is not.
fn fnv1a(bytes: &[u8]) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    bytes.iter().fold(OFFSET, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME))
}

impl Fingerprint {
    /// Makes the fingerprint of a simulated host whose driver has this version.
    pub(crate) fn simulated(vmm_version: &str) -> Self {
        Self {
            vmm: VmmKind::Simulated,
            vmm_version: vmm_version.to_owned(),
            accelerator: Accelerator::Simulated,
            cpu: CpuFingerprint { model: "sim".into(), cpuid_hash: Some(0) },
            tsc_khz: 1_000_000,
            layout: 1,
        }
    }

    /// Compares what saved state was made with (`self`) to a host that is to run it. `None` if it can; else the first
    /// difference, in words for the user.
    pub fn mismatch(&self, host: &Self) -> Option<String> {
        let differs = |what: &str, saved: &str, here: &str| {
            Some(format!("it was saved {what} {saved}, and this host has {here}"))
        };
        if self.vmm != host.vmm {
            return differs("by the driver", self.vmm.name(), host.vmm.name());
        }
        if self.vmm_version != host.vmm_version {
            return differs("by version", &self.vmm_version, &host.vmm_version);
        }
        if self.accelerator != host.accelerator {
            return differs("under", self.accelerator.words(), host.accelerator.words());
        }
        if self.cpu.cpuid_hash.is_none() {
            return Some(
                "it was saved by an older agent, which did not record the guest's view of the processor"
                    .into(),
            );
        }
        if self.cpu.model != host.cpu.model {
            return differs("on the processor", &self.cpu.model, &host.cpu.model);
        }
        if self.cpu.cpuid_hash != host.cpu.cpuid_hash {
            let model = &self.cpu.model;
            return Some(format!("it was saved on a {model} with other features than this host's"));
        }
        if !is_close(self.tsc_khz, host.tsc_khz) {
            let khz = |khz: u64| format!("{khz} kHz");
            return differs("with a time stamp counter of", &khz(self.tsc_khz), &khz(host.tsc_khz));
        }
        if self.layout != host.layout {
            let number = |layout: u32| format!("number {layout}");
            return differs("with the devices' layout", &number(self.layout), &number(host.layout));
        }
        None
    }
}

impl Accelerator {
    fn words(self) -> &'static str {
        match self {
            Self::Kvm => "hardware virtualisation",
            Self::Tcg => "software emulation",
            Self::Simulated => "simulation",
        }
    }
}

fn is_close(saved_khz: u64, host_khz: u64) -> bool {
    let tolerance = u128::from(saved_khz) * u128::from(TSC_TOLERANCE_PPM) / 1_000_000;
    u128::from(saved_khz.abs_diff(host_khz)) <= tolerance
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint() -> Fingerprint {
        Fingerprint {
            vmm: VmmKind::Qemu,
            vmm_version: "7.2.22".into(),
            accelerator: Accelerator::Kvm,
            cpu: CpuFingerprint { model: "EPYC".into(), cpuid_hash: Some(7) },
            tsc_khz: 2_500_000,
            layout: 1,
        }
    }

    #[test]
    fn the_same_host_has_no_mismatch_and_its_counter_need_not_be_exact() {
        let saved = fingerprint();
        assert_eq!(saved.mismatch(&saved), None);
        assert_eq!(saved.mismatch(&Fingerprint { tsc_khz: 2_504_000, ..saved.clone() }), None);
        assert_eq!(saved.mismatch(&Fingerprint { tsc_khz: 2_496_000, ..saved.clone() }), None);
        let text = serde_json::to_string(&saved).expect("json");
        assert_eq!(serde_json::from_str::<Fingerprint>(&text).expect("json"), saved);
    }

    #[test]
    fn the_first_difference_is_named() {
        let saved = fingerprint();
        let on = |cpu| Fingerprint { cpu, ..saved.clone() };
        let others = [
            (Fingerprint { vmm: VmmKind::Simulated, ..saved.clone() }, "simulated"),
            (Fingerprint { vmm_version: "8.0.0".into(), layout: 2, ..saved.clone() }, "8.0.0"),
            (Fingerprint { accelerator: Accelerator::Tcg, ..saved.clone() }, "software emulation"),
            (on(CpuFingerprint { model: "Xeon".into(), ..saved.cpu.clone() }), "Xeon"),
            (on(CpuFingerprint { cpuid_hash: Some(8), ..saved.cpu.clone() }), "features"),
            (Fingerprint { tsc_khz: 2_600_000, ..saved.clone() }, "2600000 kHz"),
            (Fingerprint { layout: 2, ..saved.clone() }, "number 2"),
        ];
        for (host, words) in others {
            let told = saved.mismatch(&host).expect("a mismatch");
            assert!(told.contains(words), "{told}");
        }
    }

    /// Expansion of `max` by QEMU 10.0 under emulation.
    fn recorded() -> Map<String, Value> {
        serde_json::from_str(include_str!("fingerprint_recorded.json")).expect("json")
    }

    fn with(name: &str, value: impl Into<Value>) -> CpuFingerprint {
        let mut properties = recorded();
        properties.insert(name.into(), value.into());
        CpuFingerprint::of_properties(&properties)
    }

    #[test]
    fn a_processor_is_everything_in_its_cpuid() {
        let processor = CpuFingerprint::of_properties(&recorded());
        assert_eq!(processor.model, "QEMU TCG CPU version 2.5+");
        for name in NOT_CPUID {
            assert!(recorded().contains_key(name), "{name} is no property");
            assert_eq!(with(name, 7), processor, "{name} is no part of what a guest sees");
        }
        assert_eq!(recorded()["avx2"], true, "the values below differ from the recorded ones");
        let others = [with("avx2", false), with("stepping", 99), with("vendor", "other"), with("new", false)];
        for other in others {
            assert_eq!(other.model, processor.model);
            assert_ne!(other.cpuid_hash, processor.cpuid_hash);
        }
        let renamed = with("model-id", " EPYC ");
        assert_eq!((renamed.model.as_str(), renamed.cpuid_hash), ("EPYC", processor.cpuid_hash));
    }

    #[test]
    fn a_fingerprint_of_an_older_agent_is_read_and_refused() {
        let saved = r#"{"vmm":"qemu","vmm_version":"7.2.22","accelerator":"kvm",
            "cpu":{"model":"EPYC","flags_hash":7},"tsc_khz":2500000,"layout":1}"#;
        let saved: Fingerprint = serde_json::from_str(saved).expect("json");
        let why = saved.mismatch(&fingerprint()).expect("a mismatch");
        assert!(why.contains("older agent"), "{why}");
    }

    #[test]
    fn the_hash_is_the_same_in_every_build() {
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
    }
}
