//! The histories of all machines of a host.
//!
//! Histories of machines that are measured are in memory as well as in their files; of the others only the file is there,
//! and is read when somebody wants it. What is known of each file (how far it goes, how far the control plane has stored
//! it) is kept here, so a look at a thousand files that are in order costs nothing.
//!
//! Everything here blocks for the time of some reads and writes of small files: call it where blocking is allowed.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    fs, io,
    path::PathBuf,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use wrenn_base::Backoff;
use wrenn_proto::{
    agent::MetricsHistory,
    ids::SandboxId,
    metrics::{History, Point, Tier, pack},
};

use super::{
    meter::{Depth, Figures, Meter, MeterSource},
    ring_file::{Head, RingFile},
};
use crate::vmm::{ProcessIdentity, VmRecord};

/// Time after which the memory that a machine shares is measured again.
const THOROUGH_EVERY: Duration = Duration::from_secs(30);
/// Machines of which that is measured in one look: it costs much more than the rest.
const THOROUGH_AT_ONCE: usize = 2;
/// Files of destroyed machines that wait for the control plane at most; beyond that the oldest are given up.
const ENDED_MAX: usize = 1024;
/// Rest before a history that is not acknowledged is sent again.
const RESEND: Backoff = Backoff::new(Duration::from_secs(10), Duration::from_secs(600));

/// The histories of all machines of a host.
#[derive(Debug)]
pub struct MetricsStore {
    folder: PathBuf,
    entries: Mutex<HashMap<SandboxId, Entry>>,
}

/// State of one machine's history.
#[derive(Debug, Default)]
struct Entry {
    /// Its newest point; 0 if it has none.
    newest_ms: u64,
    stored_up_to_ms: u64,
    is_ended: bool,
    /// Number of times it was sent without an acknowledgement.
    sent: u32,
    /// Time of the next try; `None` means at once.
    due: Option<Instant>,
    measured: Option<Measured>,
}

/// A machine that is measured.
struct Measured {
    process: ProcessIdentity,
    meter: Box<dyn Meter>,
    file: RingFile,
    history: History,
    last: (Instant, Figures),
    thorough_due: Instant,
    /// A write has failed, and that was logged.
    is_unwritten: bool,
}

impl Entry {
    fn of(head: &Head, history: &History) -> Self {
        let newest_ms = history.newest().map_or(0, |point| point.at_ms);
        Self { newest_ms, stored_up_to_ms: head.stored_up_to_ms, is_ended: head.is_ended, ..Self::default() }
    }

    fn is_stored(&self) -> bool {
        self.newest_ms <= self.stored_up_to_ms
    }

    fn note_sent(&mut self, now: Instant) {
        self.sent = self.sent.saturating_add(1);
        self.due = Some(now + RESEND.plain_delay(self.sent));
    }
}

impl MetricsStore {
    /// Opens the histories in a folder, which is made if it is missing. Files that cannot be understood are removed.
    ///
    /// # Errors
    /// If the folder cannot be made or listed.
    pub fn open(folder: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&folder)?;
        let mut entries = HashMap::new();
        for file in fs::read_dir(&folder)? {
            let path = file?.path();
            let id = path.file_name().and_then(|name| name.to_str()?.parse::<SandboxId>().ok());
            match (id, RingFile::read(&path)) {
                (Some(id), Ok(Some((head, history)))) => drop(entries.insert(id, Entry::of(&head, &history))),
                (_, read) => {
                    tracing::warn!(path = %path.display(), error = ?read.err(), "removing measurements that cannot be read");
                    fs::remove_file(&path)?;
                }
            }
        }
        Ok(Self { folder, entries: Mutex::new(entries) })
    }

    /// Marks the histories of all other machines as those of destroyed ones.
    pub fn end_unknown(&self, known: &BTreeSet<SandboxId>) {
        let unknown: Vec<SandboxId> =
            self.entries.lock().keys().filter(|id| !known.contains(id)).copied().collect();
        unknown.into_iter().for_each(|id| self.end(id));
    }

    /// Returns true if no machine is measured, and nothing is to be sent.
    pub fn is_quiet(&self) -> bool {
        self.entries.lock().values().all(|entry| entry.measured.is_none() && entry.is_stored())
    }

    /// Measures every machine that `source` has. A machine that is new, or has another process than before, begins with its
    /// next sample.
    pub fn sample(&self, source: &dyn MeterSource, now: Instant, unix_ms: u64) {
        let vms = source.measurable();
        let mut entries = self.entries.lock();
        let measurable: HashSet<SandboxId> = vms.iter().map(|vm| vm.id).collect();
        for (id, entry) in entries.iter_mut().filter(|(id, _)| !measurable.contains(id)) {
            if entry.measured.take().is_some() {
                tracing::debug!(sandbox_id = %id, "machine is not measured any more");
            }
        }
        let mut thorough = THOROUGH_AT_ONCE;
        for vm in vms {
            let entry = entries.entry(vm.id).or_default();
            if entry.is_ended {
                continue;
            }
            let measured = entry.measured.take().filter(|measured| measured.process == vm.process);
            let measured = match measured {
                Some(mut measured) => {
                    let depth = measured.depth(now, &mut thorough);
                    measured.sample(now, unix_ms, depth).map(|()| measured)
                }
                None => self.begin(&vm, source, now),
            };
            match measured {
                Ok(measured) => {
                    entry.newest_ms = measured.history.newest().map_or(0, |point| point.at_ms);
                    entry.stored_up_to_ms = measured.file.head().stored_up_to_ms;
                    entry.measured = Some(measured);
                }
                Err(error) => tracing::debug!(sandbox_id = %vm.id, %error, "machine cannot be measured"),
            }
        }
    }

    fn begin(&self, vm: &VmRecord, source: &dyn MeterSource, now: Instant) -> io::Result<Measured> {
        let mut meter = source.open_meter(vm)?;
        let last = (now, meter.read(Depth::Quick)?);
        let (mut file, history) = RingFile::open_or_create(&self.path(vm.id))?;
        let mut head = *file.head();
        if !head.counts(&vm.process) {
            head.count(&vm.process, history.newest());
            file.set_head(head)?;
        }
        let process = vm.process.clone();
        Ok(Measured { process, meter, file, history, last, thorough_due: now, is_unwritten: false })
    }

    /// Returns the points of a machine in one tier; none if nothing is known of it.
    pub fn points(&self, id: SandboxId, tier: Tier) -> Vec<Point> {
        self.with_history(id, |history| history.points(tier)).unwrap_or_default()
    }

    /// Returns the history of a machine as the control plane stores it; `None` if it has stored all of it already.
    pub fn unstored(&self, id: SandboxId, now: Instant) -> Option<MetricsHistory> {
        let is_stored = |entry: &Entry| entry.is_stored();
        if self.entries.lock().get(&id).is_none_or(is_stored) {
            return None;
        }
        let history = self.with_history(id, |history| packed(id, history))?;
        if let Some(entry) = self.entries.lock().get_mut(&id) {
            entry.note_sent(now);
        }
        Some(history)
    }

    /// Returns histories of machines that do not run, of which something is to be sent now, `at_most` so many.
    pub fn due(&self, now: Instant, at_most: usize) -> Vec<MetricsHistory> {
        let is_due = |entry: &Entry| {
            entry.measured.is_none() && !entry.is_stored() && entry.due.is_none_or(|due| due <= now)
        };
        let due: Vec<SandboxId> = {
            let entries = self.entries.lock();
            entries.iter().filter(|(_, entry)| is_due(entry)).map(|(id, _)| *id).take(at_most).collect()
        };
        due.into_iter().filter_map(|id| self.unstored(id, now)).collect()
    }

    /// Lets everything be sent at once that is not stored: there is a new link.
    pub fn resend_soon(&self) {
        for entry in self.entries.lock().values_mut() {
            (entry.sent, entry.due) = (0, None);
        }
    }

    /// Notes that the control plane has stored a history up to a point. That of a destroyed machine goes.
    pub fn note_stored(&self, id: SandboxId, up_to_ms: u64) {
        let mut entries = self.entries.lock();
        let Some(entry) = entries.get_mut(&id) else { return };
        entry.stored_up_to_ms = entry.stored_up_to_ms.max(up_to_ms);
        (entry.sent, entry.due) = (0, None);
        if entry.is_ended && entry.is_stored() {
            entries.remove(&id);
            self.remove_file(id);
            return;
        }
        let up_to_ms = entry.stored_up_to_ms;
        self.change_head(id, entry, |head| head.stored_up_to_ms = up_to_ms);
    }

    /// Notes that a machine is destroyed: its history goes as soon as it is stored.
    pub fn end(&self, id: SandboxId) {
        let mut entries = self.entries.lock();
        let Some(entry) = entries.get_mut(&id) else { return };
        entry.is_ended = true;
        if entry.is_stored() {
            entries.remove(&id);
            return self.remove_file(id);
        }
        self.change_head(id, entry, |head| head.is_ended = true);
        entry.measured = None;
        let mut ended: Vec<(u64, SandboxId)> = entries
            .iter()
            .filter(|(_, entry)| entry.is_ended)
            .map(|(id, entry)| (entry.newest_ms, *id))
            .collect();
        if ended.len() > ENDED_MAX {
            ended.sort_unstable();
            for (_, id) in &ended[..ended.len() - ENDED_MAX] {
                tracing::warn!(sandbox_id = %id, "measurements of a destroyed machine are given up, the control plane was away for too long");
                entries.remove(id);
                self.remove_file(*id);
            }
        }
    }

    /// Removes everything: this host was deleted.
    pub fn remove_all(&self) {
        let mut entries = self.entries.lock();
        for (id, _) in entries.drain() {
            self.remove_file(id);
        }
    }

    fn with_history<T>(&self, id: SandboxId, look: impl FnOnce(&History) -> T) -> Option<T> {
        let entries = self.entries.lock();
        if let Some(measured) = &entries.get(&id)?.measured {
            return Some(look(&measured.history));
        }
        drop(entries);
        match RingFile::read(&self.path(id)) {
            Ok(read) => read.map(|(_, history)| look(&history)),
            Err(error) => {
                tracing::warn!(sandbox_id = %id, %error, "measurements cannot be read");
                None
            }
        }
    }

    fn change_head(&self, id: SandboxId, entry: &mut Entry, change: impl FnOnce(&mut Head)) {
        let write = |file: &mut RingFile| {
            let mut head = *file.head();
            change(&mut head);
            file.set_head(head)
        };
        let written = match &mut entry.measured {
            Some(measured) => write(&mut measured.file),
            None => RingFile::open_or_create(&self.path(id)).and_then(|(mut file, _)| write(&mut file)),
        };
        if let Err(error) = written {
            // After a restart it is sent once more.
            tracing::warn!(sandbox_id = %id, %error, "measurements cannot be marked");
        }
    }

    fn path(&self, id: SandboxId) -> PathBuf {
        self.folder.join(id.to_string())
    }

    fn remove_file(&self, id: SandboxId) {
        match fs::remove_file(self.path(id)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(sandbox_id = %id, %error, "measurements cannot be removed");
            }
            _ => {}
        }
    }
}

fn packed(id: SandboxId, history: &History) -> MetricsHistory {
    let packed = |tier| pack(tier, &history.points(tier));
    MetricsHistory {
        sandbox_id: id.to_string(),
        up_to_unix_ms: history.newest().map_or(0, |point| point.at_ms),
        fine: packed(Tier::Fine),
        medium: packed(Tier::Medium),
        coarse: packed(Tier::Coarse),
    }
}

impl Measured {
    fn depth(&mut self, now: Instant, left: &mut usize) -> Depth {
        if *left == 0 || now < self.thorough_due {
            return Depth::Quick;
        }
        *left -= 1;
        self.thorough_due = now + THOROUGH_EVERY;
        Depth::Thorough
    }

    fn sample(&mut self, now: Instant, unix_ms: u64, depth: Depth) -> io::Result<()> {
        let figures = self.meter.read(depth)?;
        let (since, before) = std::mem::replace(&mut self.last, (now, figures));
        let elapsed = now.saturating_duration_since(since);
        let used = figures.cpu.saturating_sub(before.cpu);
        let cpu_pct =
            if elapsed.is_zero() { 0.0 } else { used.as_secs_f64() / elapsed.as_secs_f64() * 100.0 };
        let head = *self.file.head();
        let point = Point {
            at_ms: unix_ms,
            cpu_pct: cpu_pct as f32,
            memory_bytes: figures.memory_bytes,
            disk_bytes: figures.disk_bytes,
            net_in_bytes: head.net_in_before.saturating_add(figures.net_in_bytes),
            net_out_bytes: head.net_out_before.saturating_add(figures.net_out_bytes),
        };
        let change = self.history.push(point);
        let mut written = self.file.apply(&change);
        if let Some(newest) = self.history.newest()
            && newest.at_ms <= head.stored_up_to_ms
        {
            // The clock was set back, and what is stored is not what there is any more.
            written = written.and(self.file.set_head(Head { stored_up_to_ms: 0, ..head }));
        }
        if let Err(error) = &written
            && !self.is_unwritten
        {
            tracing::warn!(pid = self.process.pid, %error, "measurements cannot be written");
        }
        self.is_unwritten = written.is_err();
        Ok(())
    }
}

impl std::fmt::Debug for Measured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Measured").field("process", &self.process).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
