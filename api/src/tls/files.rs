//! Pairs of files, and their reload.
//!
//! An operator, or a tool such as certbot, replaces the certificate and its key one after the other. Files are
//! compared by content, every second: only texts that make a pair take effect, and as a whole. Until then the
//! former pair is used. Neither inotify nor times of files are relied on, because links, network filesystems and volumes
//! of containers have their own ideas of both.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;
use wrenn_base::{Chain, Clock};

use super::{
    certificates::{Certificates, Origin},
    pair::{Pair, PairError},
};

/// Most bytes of a file, so that a wrong path cannot fill the memory.
const MOST_BYTES: u64 = 1 << 20;

/// Paths of a certificate chain and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairFiles {
    certificate: PathBuf,
    key: PathBuf,
}

/// The reason for which paths are no list of pairs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PairFilesError {
    /// Only one of the two lists was given.
    #[error("{missing}: is missing; WRENN_TLS_CERT and WRENN_TLS_KEY go together")]
    OneOfTwo {
        /// The one that is missing.
        missing: &'static str,
    },
    /// The lists are of different lengths.
    #[error(
        "WRENN_TLS_KEY: has {keys} path(s), but WRENN_TLS_CERT has {certificates}; expected one key for each \
         certificate, in the same order"
    )]
    Count {
        /// Paths of certificates.
        certificates: usize,
        /// Paths of keys.
        keys: usize,
    },
}

/// The reason for which a pair of files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The content is no pair.
    #[error("{}", path.display())]
    Pair {
        /// The file at fault.
        path: PathBuf,
        /// The fault.
        #[source]
        source: PairError,
    },
}

impl PairFiles {
    /// Parses two lists of paths with a comma between them. Texts that are empty count as not given.
    pub fn list(certificates: Option<&str>, keys: Option<&str>) -> Result<Vec<Self>, PairFilesError> {
        let paths = |text: Option<&str>| -> Vec<PathBuf> {
            let paths = text.unwrap_or_default().split(',').map(str::trim);
            paths.filter(|path| !path.is_empty()).map(PathBuf::from).collect()
        };
        let (certificates, keys) = (paths(certificates), paths(keys));
        match (certificates.len(), keys.len()) {
            (1.., 0) => Err(PairFilesError::OneOfTwo { missing: "WRENN_TLS_KEY" }),
            (0, 1..) => Err(PairFilesError::OneOfTwo { missing: "WRENN_TLS_CERT" }),
            (certificates, keys) if certificates != keys => Err(PairFilesError::Count { certificates, keys }),
            _ => {
                let both = certificates.into_iter().zip(keys);
                Ok(both.map(|(certificate, key)| Self { certificate, key }).collect())
            }
        }
    }

    fn read(&self) -> Result<Content, FileError> {
        Ok(Content { chain: read(&self.certificate)?, key: read(&self.key)? })
    }

    fn parse(&self, content: &Content) -> Result<Pair, FileError> {
        Pair::parse(&content.chain, &content.key).map_err(|source| {
            let path = if source.is_of_key() { &self.key } else { &self.certificate };
            FileError::Pair { path: path.clone(), source }
        })
    }
}

#[derive(PartialEq, Eq)]
struct Content {
    chain: Vec<u8>,
    key: Vec<u8>,
}

fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    let failed = |source| FileError::Read { path: path.to_owned(), source };
    let file = fs::File::open(path).map_err(failed)?;
    let mut content = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(file, MOST_BYTES), &mut content).map_err(failed)?;
    Ok(content)
}

/// The configured files, with the content that is in use.
pub(super) struct WatchedFiles {
    certificates: Arc<Certificates>,
    clock: Clock,
    files: Mutex<Vec<Watched>>,
}

struct Watched {
    files: PairFiles,
    in_use: Content,
    fault: Fault,
}

/// Fault of content that is not in use.
#[derive(Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// Met once; it may be the moment between the two files.
    Met(String),
    Logged(String),
}

impl WatchedFiles {
    /// Reads all pairs and puts them into use. Blocks its thread.
    ///
    /// # Errors
    /// If any of them cannot be used.
    pub(super) fn load(
        files: Vec<PairFiles>,
        certificates: Arc<Certificates>,
        clock: Clock,
    ) -> Result<Self, FileError> {
        let mut watched = Vec::new();
        for (place, files) in files.into_iter().enumerate() {
            let in_use = files.read()?;
            let pair = files.parse(&in_use)?;
            warn_of_dates(&files.certificate, &pair, &clock);
            certificates.set(Origin::Files(place), pair);
            watched.push(Watched { files, in_use, fault: Fault::None });
        }
        Ok(Self { certificates, clock, files: Mutex::new(watched) })
    }

    /// Reads the files again and puts into use what makes a new pair. Blocks its thread.
    pub(super) fn look(&self) {
        for (place, watched) in self.files.lock().iter_mut().enumerate() {
            match watched.look() {
                Ok(Some(pair)) => {
                    let path = &watched.files.certificate;
                    tracing::info!(
                        path = %path.display(), names = ?pair.names, not_after = %pair.not_after,
                        "certificate reloaded"
                    );
                    warn_of_dates(path, &pair, &self.clock);
                    self.certificates.set(Origin::Files(place), pair);
                }
                Ok(None) => {}
                Err(error) => watched.fault.met(Chain(&error).to_string()),
            }
        }
    }
}

impl Watched {
    /// Returns the new pair, if the files have one.
    fn look(&mut self) -> Result<Option<Pair>, FileError> {
        let content = self.files.read()?;
        if content == self.in_use {
            self.fault = Fault::None;
            return Ok(None);
        }
        let pair = self.files.parse(&content)?;
        self.in_use = content;
        self.fault = Fault::None;
        Ok(Some(pair))
    }
}

impl Fault {
    /// Logs a fault once, and only if it stays: between two files that are replaced the pair never fits.
    fn met(&mut self, fault: String) {
        match self {
            Self::Met(before) if *before == fault => {
                tracing::error!(error = %fault, "certificate not reloaded, the former one stays in use");
                *self = Self::Logged(fault);
            }
            Self::Logged(before) if *before == fault => {}
            _ => *self = Self::Met(fault),
        }
    }
}

fn warn_of_dates(path: &Path, pair: &Pair, clock: &Clock) {
    let (path, now) = (path.display(), clock.utc());
    if pair.not_after <= now {
        tracing::warn!(%path, not_after = %pair.not_after, "certificate has expired");
    } else if pair.not_before > now {
        tracing::warn!(%path, not_before = %pair.not_before, "certificate is not yet valid");
    }
    if pair.names.is_empty() {
        tracing::warn!(%path, "certificate has no DNS names, clients will refuse it");
    }
}

#[cfg(test)]
mod tests {
    use super::{super::test_pairs::TestPair, *};

    #[test]
    fn lists_of_paths_go_together() {
        let list = |certificates: &str, keys: &str| PairFiles::list(Some(certificates), Some(keys));
        let two = list("a.pem, b.pem", "a.key,b.key,").unwrap();
        assert_eq!(two[1], PairFiles { certificate: "b.pem".into(), key: "b.key".into() });
        assert!(PairFiles::list(None, None).unwrap().is_empty());
        assert!(list("", "").unwrap().is_empty());
        for (certificates, keys, says) in [
            ("a.pem", "", "WRENN_TLS_KEY: is missing"),
            ("", "a.key", "WRENN_TLS_CERT: is missing"),
            ("a.pem,b.pem", "a.key", "has 1 path(s), but WRENN_TLS_CERT has 2"),
        ] {
            let error = list(certificates, keys).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn files(&self) -> PairFiles {
            let path = |name: &str| self.0.path().join(name);
            PairFiles { certificate: path("cert.pem"), key: path("key.pem") }
        }

        fn write(&self, chain: &str, key: &str) {
            fs::write(self.files().certificate, chain).unwrap();
            fs::write(self.files().key, key).unwrap();
        }

        fn load(&self) -> Result<(WatchedFiles, Arc<Certificates>), FileError> {
            let certificates = Arc::new(Certificates::default());
            let (clock, _) = Clock::manual();
            let watched = WatchedFiles::load(vec![self.files()], certificates.clone(), clock)?;
            Ok((watched, certificates))
        }
    }

    fn names(certificates: &Certificates) -> Vec<String> {
        certificates.get(Origin::Files(0)).unwrap().names
    }

    #[test]
    fn a_start_with_broken_files_names_the_file_and_its_fault() {
        let folder = Folder::new();
        let failed = || Chain(&folder.load().map(drop).unwrap_err()).to_string();
        let text = failed();
        assert!(text.contains("cannot read") && text.contains("cert.pem"), "{text}");
        let (one, other) = (TestPair::new(&["a.test"]), TestPair::new(&["a.test"]));
        folder.write(&one.chain, &other.key);
        let text = failed();
        assert!(text.contains("key.pem") && text.contains("does not belong"), "{text}");
        folder.write("", &other.key);
        let text = failed();
        assert!(text.contains("cert.pem") && text.contains("no certificate"), "{text}");
    }

    #[test]
    fn a_pair_that_is_replaced_file_by_file_takes_effect_when_it_is_whole() {
        let folder = Folder::new();
        let (one, two) = (TestPair::new(&["one.test"]), TestPair::new(&["two.test"]));
        folder.write(&one.chain, &one.key);
        let (watched, certificates) = folder.load().unwrap();
        let fault = || format!("{:?}", watched.files.lock()[0].fault);
        folder.write(&two.chain, &one.key);
        watched.look();
        assert_eq!(names(&certificates), ["one.test"]);
        assert!(fault().starts_with("Met"), "{}", fault());
        folder.write(&two.chain, &two.key);
        watched.look();
        assert_eq!(names(&certificates), ["two.test"]);
        assert_eq!(fault(), "None");
    }

    #[test]
    fn a_fault_that_stays_is_logged_once_and_the_former_pair_stays() {
        let folder = Folder::new();
        let one = TestPair::new(&["one.test"]);
        folder.write(&one.chain, &one.key);
        let (watched, certificates) = folder.load().unwrap();
        let fault = || format!("{:?}", watched.files.lock()[0].fault);
        for broken in ["", &one.chain[..100], "nonsense"] {
            folder.write(broken, &one.key);
            watched.look();
            assert!(fault().starts_with("Met"), "{}", fault());
            for _ in 0..2 {
                watched.look();
                assert!(fault().starts_with("Logged"), "{}", fault());
            }
            assert_eq!(names(&certificates), ["one.test"]);
        }
        fs::remove_file(folder.files().key).unwrap();
        watched.look();
        assert!(fault().contains("cannot read"), "{}", fault());
        folder.write(&one.chain, &one.key);
        watched.look();
        assert_eq!(fault(), "None");
    }
}
