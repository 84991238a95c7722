//! Objects: files that outlive hosts and servers, such as the archives of builds.
//!
//! A folder by default; other stores of the library can take its place, as nothing here knows what is behind it. An
//! object appears complete or not at all, and is written once.

use std::{
    fmt,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream::BoxStream};
use object_store::{
    ObjectStore, ObjectStoreExt as _, WriteMultipart, local::LocalFileSystem, memory::InMemory, path::Path,
};
use wrenn_base::blocking;

/// Silence after which nobody writes an object any more: ten times as long as the sender of a template may stall.
const ABANDONED_AFTER: Duration = Duration::from_secs(600);

/// Where objects are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ObjectsLocation {
    /// In memory, until the server ends; for tests.
    #[default]
    Memory,
    /// In a folder, which is made if it is missing.
    Folder(PathBuf),
}

/// Why an object could not be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// There is no such object.
    #[error("there is no object `{0}`")]
    NotFound(String),
    /// The folder could not be made, or looked through.
    #[error("cannot use the folder for objects")]
    Folder(#[source] std::io::Error),
    /// The store failed.
    #[error("object storage failed")]
    Store(#[source] object_store::Error),
}

impl From<object_store::Error> for ObjectError {
    fn from(error: object_store::Error) -> Self {
        match error {
            object_store::Error::NotFound { path, .. } => Self::NotFound(path),
            error => Self::Store(error),
        }
    }
}

/// The way to the objects; clones share it.
#[derive(Clone)]
pub struct Objects {
    store: Arc<dyn ObjectStore>,
    /// The folder, if the objects are in one.
    folder: Option<PathBuf>,
}

/// An object that is being written. Dropped before it is finished, it was never there.
#[derive(Debug)]
pub struct ObjectWriter {
    upload: Option<WriteMultipart>,
}

/// How many parts of an object may wait to be written.
const PARTS_WAITING: usize = 4;

impl Objects {
    /// Opens the store. What a server that was killed has left half-written in a folder is removed.
    ///
    /// # Errors
    /// See [`ObjectError`].
    pub fn open(location: &ObjectsLocation) -> Result<Self, ObjectError> {
        let store: Arc<dyn ObjectStore> = match location {
            ObjectsLocation::Memory => Arc::new(InMemory::new()),
            ObjectsLocation::Folder(folder) => {
                std::fs::create_dir_all(folder).map_err(ObjectError::Folder)?;
                Arc::new(LocalFileSystem::new_with_prefix(folder)?.with_fsync(true))
            }
        };
        let folder = match location {
            ObjectsLocation::Memory => None,
            ObjectsLocation::Folder(folder) => Some(folder.clone()),
        };
        Ok(Self { store, folder })
    }

    /// Removes what servers that were killed have left of objects that they were writing; `now` is the time of day.
    ///
    /// Other servers may be writing at this moment, so only files are removed that were not written for
    /// [`ABANDONED_AFTER`].
    ///
    /// # Errors
    /// [`ObjectError::Folder`].
    pub async fn remove_half_written(&self, now: SystemTime) -> Result<(), ObjectError> {
        let Some(folder) = self.folder.clone() else { return Ok(()) };
        let before = now - ABANDONED_AFTER;
        blocking(move || remove_half_written(&folder, before)).await.map_err(ObjectError::Folder)
    }

    /// Begins an object; nobody sees it before it is finished.
    ///
    /// # Errors
    /// See [`ObjectError`].
    pub async fn create(&self, name: &str) -> Result<ObjectWriter, ObjectError> {
        let upload = self.store.put_multipart(&Path::from(name)).await?;
        Ok(ObjectWriter { upload: Some(WriteMultipart::new(upload)) })
    }

    /// Reads an object from its beginning, in pieces.
    ///
    /// # Errors
    /// See [`ObjectError`].
    pub async fn read(
        &self,
        name: &str,
    ) -> Result<BoxStream<'static, Result<Bytes, ObjectError>>, ObjectError> {
        let found = self.store.get(&Path::from(name)).await?;
        Ok(found.into_stream().map(|piece| piece.map_err(Into::into)).boxed())
    }

    /// Returns how long an object is, in bytes; none if there is none.
    ///
    /// # Errors
    /// See [`ObjectError`].
    pub async fn size(&self, name: &str) -> Result<Option<u64>, ObjectError> {
        match self.store.head(&Path::from(name)).await.map_err(ObjectError::from) {
            Ok(found) => Ok(Some(found.size)),
            Err(ObjectError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns the names of the objects in a folder, without the folder's.
    ///
    /// # Errors
    /// See [`ObjectError`].
    pub async fn list(&self, folder: &str) -> Result<Vec<String>, ObjectError> {
        let found = self.store.list(Some(&Path::from(folder)));
        let name = |found: Result<object_store::ObjectMeta, object_store::Error>| {
            found.map(|found| found.location.filename().unwrap_or_default().to_owned())
        };
        let names: Vec<_> = found.map(name).collect().await;
        Ok(names.into_iter().collect::<Result<_, _>>()?)
    }

    /// Removes an object; succeeds if there is none.
    ///
    /// # Errors
    /// See [`ObjectError`].
    pub async fn delete(&self, name: &str) -> Result<(), ObjectError> {
        match self.store.delete(&Path::from(name)).await.map_err(ObjectError::from) {
            Err(ObjectError::NotFound(_)) => Ok(()),
            done => done,
        }
    }
}

impl ObjectWriter {
    /// Adds to the object; waits while the store has enough to do.
    ///
    /// # Errors
    /// See [`ObjectError`].
    pub async fn write(&mut self, piece: Bytes) -> Result<(), ObjectError> {
        if let Some(upload) = &mut self.upload {
            upload.wait_for_capacity(PARTS_WAITING).await?;
            upload.put(piece);
        }
        Ok(())
    }

    /// Completes the object: from now on it is there, also after a crash.
    ///
    /// # Errors
    /// See [`ObjectError`].
    pub async fn finish(mut self) -> Result<(), ObjectError> {
        if let Some(upload) = self.upload.take() {
            upload.finish().await?;
        }
        Ok(())
    }

    /// Gives the object up.
    ///
    /// # Errors
    /// See [`ObjectError`].
    pub async fn abort(mut self) -> Result<(), ObjectError> {
        if let Some(upload) = self.upload.take() {
            upload.abort().await?;
        }
        Ok(())
    }
}

/// Removes files that were written last before an instant, and whose names the library gives to what is being written:
/// those of an object, a `#`, and a number.
fn remove_half_written(folder: &std::path::Path, before: SystemTime) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let is_half = name.to_str().and_then(|name| name.rsplit_once('#')).is_some_and(|(_, number)| {
            !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
        });
        if entry.file_type()?.is_dir() {
            remove_half_written(&entry.path(), before)?;
        } else if is_half && is_older(&entry, before)? {
            tracing::info!(path = %entry.path().display(), "removing an object that was never complete");
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Returns true if a file was written last before an instant; false if it has been finished or removed meanwhile.
fn is_older(entry: &std::fs::DirEntry, before: SystemTime) -> std::io::Result<bool> {
    match entry.metadata() {
        Ok(metadata) => Ok(metadata.modified()? < before),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

impl fmt::Debug for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Objects({})", self.store)
    }
}

#[cfg(test)]
mod tests {
    use wrenn_base::Clock;

    use super::*;

    #[tokio::test]
    async fn objects_are_listed_and_only_what_nobody_writes_any_more_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let location = ObjectsLocation::Folder(folder.path().to_owned());
        let objects = Objects::open(&location).unwrap();
        assert_eq!(objects.list("templates").await.unwrap(), Vec::<String>::new());
        objects.create("templates/whole").await.unwrap().finish().await.unwrap();
        let mut half = objects.create("templates/half").await.unwrap();
        half.write(vec![0; 10 << 20].into()).await.unwrap();
        std::mem::forget(half);
        let files = || std::fs::read_dir(folder.path().join("templates")).unwrap().count();
        assert_eq!((files(), objects.list("templates").await.unwrap()), (2, vec!["whole".to_owned()]));
        let (clock, hand) = Clock::manual();
        let other_server = Objects::open(&location).unwrap();
        other_server.remove_half_written(clock.wall()).await.unwrap();
        assert_eq!(files(), 2, "it may still be written");
        hand.advance(ABANDONED_AFTER * 2);
        other_server.remove_half_written(clock.wall()).await.unwrap();
        assert_eq!((files(), objects.list("templates").await.unwrap()), (1, vec!["whole".to_owned()]));
    }

    #[tokio::test]
    async fn an_object_appears_complete_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        for location in [ObjectsLocation::Memory, ObjectsLocation::Folder(folder.path().join("objects"))] {
            let objects = Objects::open(&location).unwrap();
            let mut writer = objects.create("archives/a").await.unwrap();
            writer.write(Bytes::from_static(b"one")).await.unwrap();
            assert_eq!(objects.size("archives/a").await.unwrap(), None, "{location:?}");
            writer.write(Bytes::from_static(b"two")).await.unwrap();
            writer.finish().await.unwrap();
            assert_eq!(objects.size("archives/a").await.unwrap(), Some(6));
            let pieces: Vec<_> = objects.read("archives/a").await.unwrap().collect().await;
            let text: Vec<u8> = pieces.into_iter().flat_map(|piece| piece.unwrap().to_vec()).collect();
            assert_eq!(text, b"onetwo");
            objects.delete("archives/a").await.unwrap();
            objects.delete("archives/a").await.unwrap();
            assert!(matches!(objects.read("archives/a").await, Err(ObjectError::NotFound(_))));

            let mut given_up = objects.create("archives/b").await.unwrap();
            given_up.write(Bytes::from_static(b"x")).await.unwrap();
            given_up.abort().await.unwrap();
            assert_eq!(objects.size("archives/b").await.unwrap(), None);
        }
    }
}
