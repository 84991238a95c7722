//! Gives a host a further certificate, before the one that it shows expires.

use wrenn_domain::{action::Action, admission::EnterError, ids::HostId, principal::Principal};
use wrenn_pki::{CertificateError, Fingerprint};
use wrenn_store::StoreError;

use crate::{Control, agent_authority::HostCertificate};

/// The reason for which a host gets no further certificate.
#[derive(Debug, thiserror::Error)]
pub enum RenewCertificateError {
    /// The use case did not begin.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// The certificate that the host shows was revoked.
    #[error("the host's certificate was revoked")]
    Revoked,
    /// The key of the host was not certified.
    #[error("public_key: {0}")]
    Key(#[source] CertificateError),
    /// The database failed.
    #[error("the certificate could not be renewed")]
    Store(#[from] StoreError),
}

/// Certifies a new key of a host; the certificate that it shows stays valid until it expires.
///
/// # Errors
/// See [`RenewCertificateError`].
pub async fn run(
    control: &Control,
    host: HostId,
    Fingerprint(shown): Fingerprint,
    public_key: &[u8],
) -> Result<HostCertificate, RenewCertificateError> {
    let _pass = control.enter(&Principal::Host { id: host }, Action::HostRefresh).await?;
    let certificate = control.certify(host, public_key).map_err(RenewCertificateError::Key)?;
    if !control.store().host_certificate_renew(&shown, host, &certificate.stored()).await? {
        return Err(RenewCertificateError::Revoked);
    }
    tracing::info!(%host, "certificate of a host renewed");
    Ok(certificate)
}
