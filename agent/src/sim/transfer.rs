//! Simulated templates on their way to other hosts: what is noted down of them, as bytes.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use wrenn_proto::agent::TemplateFileKind;

use super::world::{SimDisk, SimDraft, SimMade, SimMemory};

#[derive(Serialize, Deserialize)]
struct DiskBytes {
    files: BTreeMap<String, String>,
    contents: BTreeMap<String, Vec<u8>>,
    size_mb: u32,
}

#[derive(Serialize, Deserialize)]
struct MemoryBytes {
    values: BTreeMap<String, String>,
    init: Vec<u8>,
    frozen: bool,
}

/// The content of a template's file.
pub(super) fn content(made: &SimMade, kind: TemplateFileKind) -> Vec<u8> {
    let bytes = match kind {
        TemplateFileKind::Disk => {
            let SimDisk { files, contents, size_mb } = made.disk.clone();
            let contents = contents.into_iter().map(|(path, content)| (path, content.to_vec())).collect();
            serde_json::to_vec(&DiskBytes { files, contents, size_mb })
        }
        TemplateFileKind::Memory => {
            let SimMemory { values, init, frozen } = made.memory.clone().unwrap_or_default();
            let init = prost::Message::encode_to_vec(&init);
            serde_json::to_vec(&MemoryBytes { values, init, frozen })
        }
        TemplateFileKind::State | TemplateFileKind::Unspecified => Ok(b"state".to_vec()),
    };
    bytes.unwrap_or_default()
}

impl SimDraft {
    /// Makes an empty file of this size.
    pub(super) fn size_file(&mut self, kind: TemplateFileKind, size_bytes: u64) {
        self.received.insert(kind as i32, vec![0; usize::try_from(size_bytes).unwrap_or_default()]);
    }

    /// Writes a piece of a file.
    pub(super) fn write_extent(&mut self, kind: TemplateFileKind, offset: u64, data: &Bytes) {
        let Some(file) = self.received.get_mut(&(kind as i32)) else { panic!("the file has no size yet") };
        let begin = usize::try_from(offset).unwrap_or(usize::MAX);
        let Some(place) = file.get_mut(begin..begin.saturating_add(data.len())) else {
            panic!("an extent is outside of its file")
        };
        place.copy_from_slice(data);
    }

    /// Makes of what was received what a machine would have left.
    pub(super) fn unpack(&mut self) {
        let received = std::mem::take(&mut self.received);
        let file = |kind: TemplateFileKind| received.get(&(kind as i32));
        if let Some(disk) = file(TemplateFileKind::Disk) {
            let Ok(DiskBytes { files, contents, size_mb }) = serde_json::from_slice(disk) else {
                panic!("a damaged disk is taken for a whole one")
            };
            let contents = contents.into_iter().map(|(path, content)| (path, content.into())).collect();
            self.disk = Some(SimDisk { files, contents, size_mb });
        }
        if let Some(memory) = file(TemplateFileKind::Memory) {
            let Ok(MemoryBytes { values, init, frozen }) = serde_json::from_slice(memory) else {
                panic!("a damaged memory is taken for a whole one")
            };
            let init = prost::Message::decode(init.as_slice()).unwrap_or_default();
            self.memory = Some(SimMemory { values, init, frozen });
        }
        self.has_state |= file(TemplateFileKind::State).is_some();
    }
}
