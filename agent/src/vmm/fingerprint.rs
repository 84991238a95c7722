//! What saved state depends on: whether a machine that was suspended here can run on there.
//!
//! Device state has no meaning but to a VMM of the same version with the same devices; and a guest has looked at its
//! processor once, when it booted, and uses what it found for ever. A host on which any of this differs may crash
//! the guest in ways that nobody can explain, so it is compared beforehand.

use std::{fs, sync::OnceLock};

use serde::{Deserialize, Serialize};

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

/// A processor as a guest sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuFingerprint {
    /// Its name.
    pub model: String,
    /// A hash of what it can do; 0 where the model says it all.
    pub flags_hash: u64,
}

impl CpuFingerprint {
    /// The host's own processor, which a guest in hardware sees.
    pub fn of_host() -> Self {
        static HOST: OnceLock<CpuFingerprint> = OnceLock::new();
        HOST.get_or_init(|| Self::parse(&fs::read_to_string("/proc/cpuinfo").unwrap_or_default())).clone()
    }

    /// An emulated processor, which is the same on every host with the same version.
    pub fn emulated(model: &str) -> Self {
        Self { model: model.to_owned(), flags_hash: 0 }
    }

    fn parse(cpuinfo: &str) -> Self {
        let value = |name| {
            let lines = cpuinfo.lines().filter_map(|line| line.split_once(':'));
            lines
                .filter(|(key, _)| key.trim() == name)
                .map(|(_, value)| value.trim())
                .next()
                .unwrap_or_default()
        };
        let mut flags: Vec<_> = value("flags").split_ascii_whitespace().collect();
        flags.sort_unstable();
        Self { model: value("model name").to_owned(), flags_hash: fnv1a(flags.join(" ").as_bytes()) }
    }
}

/// A hash that is the same in every build, as the standard library's is not.
fn fnv1a(bytes: &[u8]) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    bytes.iter().fold(OFFSET, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME))
}

impl Fingerprint {
    /// Makes the fingerprint of this host for a driver.
    pub fn of_host(
        vmm: VmmKind,
        vmm_version: &str,
        accelerator: Accelerator,
        cpu: CpuFingerprint,
        tsc_khz: u64,
        layout: u32,
    ) -> Self {
        Self { vmm, vmm_version: vmm_version.to_owned(), accelerator, cpu, tsc_khz, layout }
    }

    /// Makes the fingerprint of a simulated host whose driver has this version.
    pub(crate) fn simulated(vmm_version: &str) -> Self {
        Self {
            vmm: VmmKind::Simulated,
            vmm_version: vmm_version.to_owned(),
            accelerator: Accelerator::Simulated,
            cpu: CpuFingerprint::emulated("sim"),
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
        if self.cpu.model != host.cpu.model {
            return differs("on the processor", &self.cpu.model, &host.cpu.model);
        }
        if self.cpu.flags_hash != host.cpu.flags_hash {
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
            cpu: CpuFingerprint { model: "EPYC".into(), flags_hash: 7 },
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
        let others = [
            (Fingerprint { vmm: VmmKind::Simulated, ..saved.clone() }, "simulated"),
            (Fingerprint { vmm_version: "8.0.0".into(), layout: 2, ..saved.clone() }, "8.0.0"),
            (Fingerprint { accelerator: Accelerator::Tcg, ..saved.clone() }, "software emulation"),
            (Fingerprint { cpu: CpuFingerprint::emulated("Xeon"), ..saved.clone() }, "Xeon"),
            (
                Fingerprint { cpu: CpuFingerprint { flags_hash: 8, ..saved.cpu.clone() }, ..saved.clone() },
                "features",
            ),
            (Fingerprint { tsc_khz: 2_600_000, ..saved.clone() }, "2600000 kHz"),
            (Fingerprint { layout: 2, ..saved.clone() }, "number 2"),
        ];
        for (host, words) in others {
            let told = saved.mismatch(&host).expect("a mismatch");
            assert!(told.contains(words), "{told}");
        }
    }

    #[test]
    fn a_processor_is_its_name_and_the_set_of_its_flags() {
        let parse = CpuFingerprint::parse;
        let one =
            parse("processor\t: 0\nmodel name\t: A B\nflags\t\t: fpu svm\nprocessor\t: 1\nflags\t: x\n");
        assert_eq!(one.model, "A B");
        assert_eq!(one, parse("model name : A B\nflags : svm fpu\n"));
        assert_ne!(one, parse("model name : A B\nflags : svm fpu lm\n"));
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c, "the hash must never change");
    }
}
