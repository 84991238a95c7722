//! Templates on their way: whether the parts come in order, and are all there.
//!
//! ```text
//!   head ─▶ extent … ─▶ end         agent ──▶ control plane ──▶ object storage ──▶ control plane ──▶ agent
//! ```
//!
//! Whoever sends seals the parts with a digest, and everybody on the way checks them: nothing is stored, and no template
//! complete, that does not end with the right one.

use sha2::{Digest as _, Sha256};

use crate::agent::{
    TemplateEnd, TemplateExtent, TemplateFile, TemplateFileKind, TemplateHead, TemplatePart,
    template_part::Part,
};

/// Most that one extent carries.
pub const EXTENT_MAX_BYTES: usize = 256 * 1024;
/// Longest manifest, in bytes.
const MANIFEST_MAX_BYTES: usize = 1 << 20;
/// Files of a template: of each kind one.
const FILES_MAX: usize = 3;

/// Why parts are not a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TransferError {
    /// One that is not known, or not expected at its place.
    #[error("the template's parts come in a wrong order, or are of another version")]
    OutOfOrder,
    /// Too much, or not what was announced.
    #[error("the template's head or one of its extents makes no sense")]
    Malformed,
    /// There are extents missing.
    #[error("the template's files are not complete")]
    Incomplete,
    /// What came is not what was sent.
    #[error("the template was damaged on its way: its digest is another one")]
    Damaged,
    /// Nothing more came.
    #[error("the template broke off before its end")]
    CutOff,
}

/// Whether more is to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Parts follow.
    More,
    /// That was the last one, and all is right.
    Complete,
}

/// Follows the parts of a template.
#[derive(Debug, Default)]
pub struct Follow {
    digest: Sha256,
    at: At,
}

#[derive(Debug, Default)]
enum At {
    #[default]
    Beginning,
    Files {
        files: Vec<TemplateFile>,
        /// The file whose extents come now, and how much of it has come.
        current: usize,
        come_bytes: u64,
        /// Where the next extent may begin.
        next_offset: u64,
    },
    End,
}

impl Follow {
    /// Takes the next part.
    ///
    /// # Errors
    /// See [`TransferError`]; nothing more is to be made of the parts then.
    pub fn take(&mut self, part: &TemplatePart) -> Result<Progress, TransferError> {
        match (&part.part, &mut self.at) {
            (Some(Part::Head(head)), At::Beginning) => self.head(head),
            (Some(Part::Extent(extent)), At::Files { .. }) => self.extent(extent),
            (Some(Part::End(end)), At::Files { .. }) => {
                self.check_complete()?;
                let digest = std::mem::take(&mut self.digest).finalize();
                self.at = At::End;
                if end.sha256 == digest.as_slice() {
                    Ok(Progress::Complete)
                } else {
                    Err(TransferError::Damaged)
                }
            }
            _ => Err(TransferError::OutOfOrder),
        }
    }

    /// Makes the last part, when all others were taken.
    ///
    /// # Errors
    /// If they are not all there.
    pub fn seal(mut self) -> Result<TemplatePart, TransferError> {
        self.check_complete()?;
        let sha256 = std::mem::take(&mut self.digest).finalize().to_vec().into();
        Ok(TemplatePart { part: Some(Part::End(TemplateEnd { sha256 })) })
    }

    fn head(&mut self, head: &TemplateHead) -> Result<Progress, TransferError> {
        let kinds: Vec<_> = head.files.iter().map(|file| file.kind).collect();
        let is_sane = head.manifest.len() <= MANIFEST_MAX_BYTES
            && !kinds.is_empty()
            && kinds.len() <= FILES_MAX
            && kinds.is_sorted_by(|one, next| one < next)
            && head.files.iter().all(|file| {
                file.kind() != TemplateFileKind::Unspecified && file.data_bytes <= file.size_bytes
            });
        if !is_sane {
            return Err(TransferError::Malformed);
        }
        self.number(head.manifest.len() as u64);
        self.digest.update(&head.manifest);
        for file in &head.files {
            self.number(file.kind.cast_unsigned().into());
            self.number(file.size_bytes);
            self.number(file.data_bytes);
        }
        self.at = At::Files { files: head.files.clone(), current: 0, come_bytes: 0, next_offset: 0 };
        Ok(Progress::More)
    }

    fn extent(&mut self, extent: &TemplateExtent) -> Result<Progress, TransferError> {
        let At::Files { files, current, come_bytes, next_offset } = &mut self.at else {
            return Err(TransferError::OutOfOrder);
        };
        let length = extent.data.len() as u64;
        while files.get(*current).is_some_and(|file| file.kind != extent.file) {
            if files.get(*current).is_some_and(|file| file.data_bytes != *come_bytes) {
                return Err(TransferError::Incomplete);
            }
            (*current, *come_bytes, *next_offset) = (*current + 1, 0, 0);
        }
        let file = files.get(*current).ok_or(TransferError::OutOfOrder)?;
        let end = extent.offset.checked_add(length).ok_or(TransferError::Malformed)?;
        let is_sane = length > 0
            && extent.data.len() <= EXTENT_MAX_BYTES
            && extent.offset >= *next_offset
            && end <= file.size_bytes
            && *come_bytes + length <= file.data_bytes;
        if !is_sane {
            return Err(TransferError::Malformed);
        }
        *come_bytes += length;
        *next_offset = end;
        self.number(extent.file.cast_unsigned().into());
        self.number(extent.offset);
        self.number(length);
        self.digest.update(&extent.data);
        Ok(Progress::More)
    }

    fn check_complete(&self) -> Result<(), TransferError> {
        let At::Files { files, current, come_bytes, .. } = &self.at else {
            return Err(TransferError::OutOfOrder);
        };
        let mut rest = files.iter().skip(*current);
        let is_complete = rest.next().is_some_and(|file| file.data_bytes == *come_bytes)
            && rest.all(|file| file.data_bytes == 0);
        if is_complete { Ok(()) } else { Err(TransferError::Incomplete) }
    }

    fn number(&mut self, number: u64) {
        self.digest.update(number.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn head(files: &[(TemplateFileKind, u64, u64)]) -> Part {
        let file = |&(kind, size_bytes, data_bytes): &(TemplateFileKind, u64, u64)| TemplateFile {
            kind: kind.into(),
            size_bytes,
            data_bytes,
        };
        Part::Head(TemplateHead { manifest: "{}".into(), files: files.iter().map(file).collect() })
    }

    fn extent(file: TemplateFileKind, offset: u64, data: &'static [u8]) -> Part {
        Part::Extent(TemplateExtent { file: file.into(), offset, data: data.into() })
    }

    fn parts() -> Vec<Part> {
        use TemplateFileKind::{Disk, Memory, State};
        vec![
            head(&[(Disk, 100, 7), (Memory, 50, 0), (State, 3, 3)]),
            extent(Disk, 0, b"abcd"),
            extent(Disk, 90, b"efg"),
            extent(State, 0, b"xyz"),
        ]
    }

    fn take(follow: &mut Follow, part: Part) -> Result<Progress, TransferError> {
        follow.take(&TemplatePart { part: Some(part) })
    }

    fn sealed(parts: Vec<Part>) -> Vec<TemplatePart> {
        let mut follow = Follow::default();
        let mut sealed: Vec<_> = parts.into_iter().map(|part| TemplatePart { part: Some(part) }).collect();
        for part in &sealed {
            assert_eq!(follow.take(part), Ok(Progress::More));
        }
        sealed.push(follow.seal().unwrap());
        sealed
    }

    fn outcome(parts: &[TemplatePart]) -> Result<Progress, TransferError> {
        let mut follow = Follow::default();
        parts.iter().try_fold(Progress::More, |_, part| follow.take(part))
    }

    #[test]
    fn what_is_sealed_is_complete_and_nothing_follows() {
        let mut parts = sealed(parts());
        assert_eq!(outcome(&parts), Ok(Progress::Complete));
        parts.push(parts[0].clone());
        assert_eq!(outcome(&parts), Err(TransferError::OutOfOrder));
        let empty = sealed(vec![head(&[(TemplateFileKind::Disk, 5, 0)])]);
        assert_eq!(outcome(&empty), Ok(Progress::Complete));
    }

    #[test]
    fn a_part_that_is_lost_or_repeated_or_moved_is_noticed() {
        let whole = sealed(parts());
        for index in 0..whole.len() {
            let mut lost = whole.clone();
            lost.remove(index);
            assert_ne!(outcome(&lost), Ok(Progress::Complete), "without {index}");
            let mut repeated = whole.clone();
            repeated.insert(index, whole[index].clone());
            assert!(outcome(&repeated).is_err(), "twice {index}");
            let mut moved = whole.clone();
            moved.swap(index, (index + 1) % whole.len());
            assert!(outcome(&moved).is_err(), "moved {index}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        use TemplateFileKind::{Disk, Memory, Unspecified};
        let large: &'static [u8] = vec![0; EXTENT_MAX_BYTES + 1].leak();
        for files in [
            &[][..],
            &[(Unspecified, 1, 1)],
            &[(Disk, 1, 2)],
            &[(Memory, 1, 1), (Disk, 1, 1)],
            &[(Disk, 1, 1); 2],
        ] {
            assert_eq!(take(&mut Follow::default(), head(files)), Err(TransferError::Malformed), "{files:?}");
        }
        for (offset, data) in [(0, &b""[..]), (98, b"abc"), (u64::MAX, b"a"), (0, b"12345678"), (0, large)] {
            let mut follow = Follow::default();
            take(&mut follow, head(&[(Disk, 100, 7)])).unwrap();
            assert_eq!(take(&mut follow, extent(Disk, offset, data)), Err(TransferError::Malformed));
        }
        let mut follow = Follow::default();
        take(&mut follow, head(&[(Disk, 100, 7), (Memory, 9, 9)])).unwrap();
        assert_eq!(take(&mut follow, extent(Memory, 0, b"a")), Err(TransferError::Incomplete));
        assert_eq!(Follow::default().take(&TemplatePart { part: None }), Err(TransferError::OutOfOrder));
        assert_eq!(Follow::default().seal(), Err(TransferError::OutOfOrder));
    }

    proptest! {
        #[test]
        fn a_byte_that_changes_is_noticed(at in 0_usize..7, change in 1_u8..) {
            let mut parts = sealed(parts());
            let extent = if at < 4 { 1 } else { 2 };
            let Some(Part::Extent(damaged)) = &mut parts[extent].part else { panic!("an extent") };
            let mut data = damaged.data.to_vec();
            data[if at < 4 { at } else { at - 4 }] ^= change;
            damaged.data = data.into();
            prop_assert_eq!(outcome(&parts), Err(TransferError::Damaged));
        }
    }
}
