//! Choice of the certificate for a connection, by the name that the client asks for (SNI).

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::RwLock;
use rustls::{
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use super::pair::Pair;

/// Origin of a pair; the order is the order of preference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Origin {
    /// The files at this place in the configuration.
    Files(usize),
    /// The ACME directory.
    Acme,
    /// The server itself, until there is another one.
    SelfSigned,
}

/// The pairs that the server has. A pair is replaced as a whole, so a handshake sees the former or the new one.
#[derive(Debug, Default)]
pub(super) struct Certificates {
    pairs: RwLock<BTreeMap<Origin, Pair>>,
    /// Answers validations by an ACME directory, while there is an order.
    challenges: RwLock<Option<Arc<dyn ResolvesServerCert>>>,
}

impl Certificates {
    /// Adds a pair, or replaces the one of this origin. Open connections keep the pair with which they began.
    pub(super) fn set(&self, origin: Origin, pair: Pair) {
        self.pairs.write().insert(origin, pair);
    }

    /// Returns the pair of an origin.
    pub(super) fn get(&self, origin: Origin) -> Option<Pair> {
        self.pairs.read().get(&origin).cloned()
    }

    /// Sets who answers validations from now on.
    pub(super) fn set_challenges(&self, challenges: Option<Arc<dyn ResolvesServerCert>>) {
        *self.challenges.write() = challenges;
    }

    /// Returns the pair for a name: one with exactly this name, else one with a wildcard for it, else the first.
    fn choose(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let pairs = self.pairs.read();
        let with = |wanted: &str| pairs.values().find(|pair| pair.names.iter().any(|name| name == wanted));
        let named = name.map(|name| name.trim_end_matches('.').to_ascii_lowercase()).and_then(|name| {
            let wildcard = || name.split_once('.').and_then(|(_, domain)| with(&format!("*.{domain}")));
            with(&name).or_else(wildcard)
        });
        named.or_else(|| pairs.values().next()).map(|pair| pair.key.clone())
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        if super::is_validation(&hello) {
            let challenges = self.challenges.read().clone();
            return challenges.and_then(|challenges| challenges.resolve(hello));
        }
        self.choose(hello.server_name())
    }
}

#[cfg(test)]
mod tests {
    use super::{super::test_pairs::TestPair, *};

    fn pair(names: &[&str]) -> Pair {
        let made = TestPair::new(names);
        Pair::parse(made.chain.as_bytes(), made.key.as_bytes()).unwrap()
    }

    fn is(certificates: &Certificates, name: Option<&str>, origin: Origin) -> bool {
        let chosen = certificates.choose(name).unwrap();
        Arc::ptr_eq(&chosen, &certificates.get(origin).unwrap().key)
    }

    #[test]
    fn an_exact_name_comes_before_a_wildcard_and_a_wildcard_before_the_first_pair() {
        let certificates = Certificates::default();
        assert!(certificates.choose(None).is_none());
        certificates.set(Origin::Files(1), pair(&["*.example.com", "*.preview.example.com"]));
        certificates.set(Origin::Files(2), pair(&["wrenn.example.com"]));
        certificates.set(Origin::Files(0), pair(&["other.example.org"]));
        for (name, place) in [
            ("wrenn.example.com", 2),
            ("WRENN.Example.com.", 2),
            ("api.example.com", 1),
            ("8000-cl-1.preview.example.com", 1),
            ("other.example.org", 0),
            // A wildcard stands for one label.
            ("a.b.example.com", 0),
            ("example.com", 0),
            ("unknown.test", 0),
            ("localhost", 0),
        ] {
            assert!(is(&certificates, Some(name), Origin::Files(place)), "{name}");
        }
        assert!(is(&certificates, None, Origin::Files(0)));
    }

    #[test]
    fn files_come_before_acme_and_acme_before_what_is_self_signed() {
        let certificates = Certificates::default();
        let names = ["wrenn.example.com"];
        for origin in [Origin::SelfSigned, Origin::Acme, Origin::Files(0)] {
            certificates.set(origin, pair(&names));
            assert!(is(&certificates, Some(names[0]), origin), "{origin:?}");
            assert!(is(&certificates, None, origin), "{origin:?}");
        }
    }
}
