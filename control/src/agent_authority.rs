//! The authority that certifies hosts: made once, kept in the database, the same for all servers. And what leads new hosts
//! to it, registration tokens.

use std::{sync::Arc, time::Duration};

use wrenn_base::{Clock, Rng};
use wrenn_domain::ids::HostId;
use wrenn_pki::{Authority, AuthorityParts, CertificateError, Fingerprint};
use wrenn_store::{
    Store, StoreError,
    host_certificates::{AgentAuthority, NewCertificate},
};

use crate::{Control, auth::registration_token::RegistrationToken};

/// Life of a host's certificate, unless the configuration says otherwise; it is renewed when a third is left.
pub const CERTIFICATE_TTL: Duration = Duration::from_secs(30 * 86_400);

/// The reason for which there is no authority.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The keys could not be made, or the kept ones cannot be used.
    #[error("cannot use the authority that certifies hosts")]
    Certificate(#[from] CertificateError),
    /// The database failed.
    #[error("cannot read the authority that certifies hosts")]
    Store(#[from] StoreError),
}

/// Access to the control plane for hosts: its place, the authority by which they know it, and the life of their certificates.
#[derive(Clone)]
pub struct AgentsAccess {
    /// The authority.
    pub authority: Arc<Authority>,
    /// Address that agents dial, as `host:port` or `unix:/path`; empty if they are told by other means.
    pub address: String,
    /// Life of the certificates of hosts.
    pub certificate_ttl: Duration,
}

impl std::fmt::Debug for AgentsAccess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AgentsAccess").field("address", &self.address).finish_non_exhaustive()
    }
}

impl AgentsAccess {
    /// Returns the access by an address, with the installation's authority and the usual life of certificates.
    ///
    /// # Errors
    /// See [`AuthorityError`].
    pub async fn at(address: String, store: &Store, clock: &Clock) -> Result<Self, AuthorityError> {
        let authority = Arc::new(ensure(store, clock).await?);
        Ok(Self { authority, address, certificate_ttl: CERTIFICATE_TTL })
    }
}

/// A host's certificate.
#[derive(Debug)]
pub struct HostCertificate {
    /// The host.
    pub host: HostId,
    /// The certificate, in DER.
    pub der: Vec<u8>,
    /// Time until it expires.
    pub ttl: Duration,
}

impl HostCertificate {
    /// Returns how the certificate is stored.
    pub(crate) fn stored(&self) -> NewCertificate {
        let Fingerprint(fingerprint) = Fingerprint::of(&self.der);
        NewCertificate { fingerprint, valid_for: self.ttl }
    }
}

impl Control {
    /// Returns the access of hosts to the control plane.
    pub fn agents(&self) -> &AgentsAccess {
        &self.shared.agents
    }

    pub(crate) fn new_registration_token(&self) -> RegistrationToken {
        let AgentsAccess { authority, address, .. } = self.agents();
        RegistrationToken::generate(self.rng(), authority.fingerprint(), address)
    }

    /// Certifies the key of a host; the certificate is of no use until it is stored.
    pub(crate) fn certify(
        &self,
        host: HostId,
        public_key: &[u8],
    ) -> Result<HostCertificate, CertificateError> {
        let AgentsAccess { authority, certificate_ttl: ttl, .. } = self.agents();
        let der = authority.certify_host(host, public_key, self.clock().wall(), *ttl)?;
        Ok(HostCertificate { host, der, ttl: *ttl })
    }
}

/// Returns the authority; makes it if there is none.
///
/// # Errors
/// See [`AuthorityError`].
pub async fn ensure(store: &Store, clock: &Clock) -> Result<Authority, AuthorityError> {
    let kept = match store.agent_authority().await? {
        Some(kept) => kept,
        None => {
            let AuthorityParts { certificate, private_key } = Authority::generate(clock.wall())?;
            store.agent_authority_ensure(&AgentAuthority { certificate, private_key }).await?
        }
    };
    let AgentAuthority { certificate, private_key } = kept;
    Ok(Authority::from_parts(&AuthorityParts { certificate, private_key })?)
}

/// Makes a registration token for a host and returns its text, which is stored nowhere. It is valid once, for an hour.
///
/// `address` is where the host finds the control plane; empty if it is told by other means.
///
/// # Errors
/// If the database failed.
pub async fn issue_registration_token(
    store: &Store,
    rng: &Rng,
    authority: Fingerprint,
    host: HostId,
    address: &str,
) -> Result<String, StoreError> {
    let token = RegistrationToken::generate(rng, authority, address);
    store.host_registration_token_issue(host, &token.hash()).await?;
    Ok(token.into_text())
}
