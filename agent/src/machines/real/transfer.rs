//! The files of a template on their way to and from other hosts: what is in them, without what is empty.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::Path,
};

use bytes::Bytes;
use futures_util::StreamExt as _;
use rustix::{
    fs::{SeekFrom, seek},
    io::Errno,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use wrenn_base::blocking;
use wrenn_proto::{
    agent::{TemplateExtent, TemplateFile, TemplateFileKind},
    transfer::EXTENT_MAX_BYTES,
};

use super::files::{DISK, STATE};
use crate::{
    machines::library::{Made, TemplateReader},
    vmm::MEMORY_FILE,
};

/// Extents that wait for a slow reader.
const QUEUE: usize = 4;
const EXTENT_MAX: u64 = EXTENT_MAX_BYTES as u64;

/// Name of a file of a template.
pub(super) fn name(kind: TemplateFileKind) -> io::Result<&'static str> {
    match kind {
        TemplateFileKind::Disk => Ok(DISK),
        TemplateFileKind::Memory => Ok(MEMORY_FILE),
        TemplateFileKind::State => Ok(STATE),
        TemplateFileKind::Unspecified => Err(io::ErrorKind::InvalidInput.into()),
    }
}

/// A file that is being read, and where there is something in it.
struct Source {
    kind: TemplateFileKind,
    file: File,
    size_bytes: u64,
    /// Begin and end of each piece.
    pieces: Vec<(u64, u64)>,
}

impl Source {
    fn open(folder: &Path, kind: TemplateFileKind) -> io::Result<Self> {
        let file = File::open(folder.join(name(kind)?))?;
        let size_bytes = file.metadata()?.len();
        Ok(Self { kind, pieces: pieces(&file, size_bytes)?, file, size_bytes })
    }

    fn describe(&self) -> TemplateFile {
        let data_bytes = self.pieces.iter().map(|(begin, end)| end - begin).sum();
        TemplateFile { kind: self.kind.into(), size_bytes: self.size_bytes, data_bytes }
    }

    fn extents(&self) -> impl Iterator<Item = io::Result<TemplateExtent>> {
        let cuts = self.pieces.iter().flat_map(|&(begin, end)| {
            let starts = (begin..end).step_by(EXTENT_MAX_BYTES);
            starts.map(move |start| (start, EXTENT_MAX.min(end - start)))
        });
        cuts.map(|(offset, length)| {
            let mut data = vec![0; usize::try_from(length).unwrap_or(EXTENT_MAX_BYTES)];
            self.file.read_exact_at(&mut data, offset)?;
            Ok(TemplateExtent { file: self.kind.into(), offset, data: data.into() })
        })
    }
}

/// Where there is something in a file.
fn pieces(file: &File, size_bytes: u64) -> io::Result<Vec<(u64, u64)>> {
    let mut pieces = Vec::new();
    let mut at = 0;
    while at < size_bytes {
        let begin = match seek(file, SeekFrom::Data(at)) {
            Ok(begin) => begin,
            // Nothing more.
            Err(Errno::NXIO) => break,
            Err(error) => return Err(error.into()),
        };
        let end = seek(file, SeekFrom::Hole(begin))?.min(size_bytes);
        if begin >= end {
            break;
        }
        pieces.push((begin, end));
        at = end;
    }
    Ok(pieces)
}

/// Reads a template in its folder; nobody removes it meanwhile.
pub(super) async fn read(folder: std::path::PathBuf, made: Made) -> io::Result<TemplateReader> {
    let kinds = made.manifest.kind.files();
    let open = move || kinds.iter().map(|&kind| Source::open(&folder, kind)).collect::<io::Result<Vec<_>>>();
    let sources = blocking(open).await?;
    let files = sources.iter().map(Source::describe).collect();
    let manifest = (*made.manifest).clone();
    let (sender, extents) = mpsc::channel(QUEUE);
    tokio::task::spawn_blocking(move || {
        for extent in sources.iter().flat_map(Source::extents) {
            let is_broken = extent.is_err();
            // Whoever reads may have left.
            if sender.blocking_send(extent.map_err(Into::into)).is_err() || is_broken {
                break;
            }
        }
        drop(made);
    });
    Ok(TemplateReader { manifest, files, extents: ReceiverStream::new(extents).boxed() })
}

/// Makes an empty file of this size.
pub(super) async fn size_file(folder: &Path, kind: TemplateFileKind, size_bytes: u64) -> io::Result<()> {
    let path = folder.join(name(kind)?);
    blocking(move || {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        file.set_len(size_bytes)
    })
    .await
}

/// Writes a piece of a file.
pub(super) async fn write_extent(
    folder: &Path,
    kind: TemplateFileKind,
    offset: u64,
    data: Bytes,
) -> io::Result<()> {
    let path = folder.join(name(kind)?);
    blocking(move || OpenOptions::new().write(true).open(&path)?.write_all_at(&data, offset)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_empty_is_left_out_and_the_rest_is_cut_small() {
        let file = tempfile::tempfile().unwrap();
        let block = 64 * 1024;
        file.set_len(100 * block + 17).unwrap();
        assert_eq!(pieces(&file, 100 * block + 17).unwrap(), []);
        let large = 10 * block;
        file.write_all_at(&vec![1; usize::try_from(large).unwrap()], 20 * block).unwrap();
        file.write_all_at(&[2; 17], 100 * block).unwrap();
        let size_bytes = 100 * block + 17;
        let source = Source {
            kind: TemplateFileKind::Disk,
            pieces: pieces(&file, size_bytes).unwrap(),
            file,
            size_bytes,
        };
        let described = source.describe();
        assert!(
            described.data_bytes >= large + 17 && described.data_bytes < large + 2 * block,
            "{described:?}"
        );
        let extents: Vec<_> = source.extents().map(Result::unwrap).collect();
        assert_eq!(extents.iter().map(|extent| extent.data.len() as u64).sum::<u64>(), described.data_bytes);
        assert!(extents.iter().all(|extent| extent.data.len() <= EXTENT_MAX_BYTES));
        assert!(extents.windows(2).all(|pair| pair[0].offset < pair[1].offset));
    }
}
