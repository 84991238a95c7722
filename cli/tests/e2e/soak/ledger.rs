//! What a client knows of a capsule's content: what was acknowledged, and what may or may not have happened.

use std::collections::BTreeMap;

use anyhow::ensure;

/// Values of one place: files on the disk, or in memory.
#[derive(Debug, Clone, Default)]
pub(super) struct Values(BTreeMap<String, Vec<Option<String>>>);

impl Values {
    /// Notes a write that was acknowledged.
    pub(super) fn acknowledged(&mut self, name: &str, value: &str) {
        self.0.insert(name.to_owned(), vec![Some(value.to_owned())]);
    }

    /// Notes a write of which nobody knows whether it happened.
    pub(super) fn uncertain(&mut self, name: &str, value: &str) {
        let possible = self.0.entry(name.to_owned()).or_insert_with(|| vec![None]);
        possible.push(Some(value.to_owned()));
    }

    /// Notes that the place was emptied, before or after what is uncertain.
    pub(super) fn emptied(&mut self) {
        self.0.values_mut().for_each(|possible| possible.push(None));
    }

    /// Checks what was found, which is certain from now on.
    pub(super) fn check(&mut self, place: &str, found: &BTreeMap<String, String>) -> anyhow::Result<()> {
        for (name, possible) in &mut self.0 {
            let value = found.get(name).cloned();
            ensure!(possible.contains(&value), "{place}: {name} is {value:?}, and may be {possible:?}");
            *possible = vec![value];
        }
        for name in found.keys() {
            ensure!(self.0.contains_key(name), "{place}: nobody wrote {name}");
        }
        Ok(())
    }
}

/// All that is known of the content of one capsule, or of a template.
#[derive(Debug, Clone, Default)]
pub(super) struct Ledger {
    /// Files that are synced when they are acknowledged.
    pub(super) disk: Values,
    /// Files in memory.
    pub(super) memory: Values,
    /// The boot of the guest's kernel; none if nobody has asked yet.
    boot: Option<String>,
}

impl Ledger {
    /// Notes the boot that an answer came from. Returns whether it is another one than before: memory is lost then.
    pub(super) fn note_boot(&mut self, boot: &str) -> bool {
        let is_another = self.boot.as_ref().is_some_and(|before| before != boot);
        if is_another {
            self.memory.emptied();
        }
        self.boot = Some(boot.to_owned());
        is_another
    }
}
