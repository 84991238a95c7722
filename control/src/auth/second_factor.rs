//! Codes of a second factor: those of an authenticator app (TOTP, RFC 6238), and recovery codes.

use totp_rs::{Algorithm, Builder, Totp, TotpError};
use wrenn_base::Rng;
use wrenn_domain::{ids::UserId, user::SecretHash};
use wrenn_store::{StoreError, second_factors::TotpSecret};

use super::{rate_limit::TooMany, secret};
use crate::Control;

/// Name that an authenticator app shows beside the account.
const ISSUER: &str = "Wrenn";
/// Bytes of a secret, as RFC 4226 recommends.
const SECRET_BYTES: usize = 20;
/// Recovery codes that a user gets at once.
const RECOVERY_CODES: usize = 10;
/// Characters of a recovery code: 36¹⁶ is more than 2⁸².
const RECOVERY_CHARACTERS: usize = 16;
/// Characters of a recovery code between two hyphens.
const GROUP: usize = 4;

/// The reason for which a code was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum CodeError {
    /// The code is wrong, too old, or was used.
    #[error("the code is wrong, has expired or was used before; take the next one")]
    Wrong,
    /// The account has tried too many codes.
    #[error(transparent)]
    TooMany(#[from] TooMany),
    /// The secret cannot make codes.
    #[error("the secret of the second factor is damaged")]
    Secret(#[from] TotpError),
    /// The database failed.
    #[error("the second factor could not be looked up")]
    Store(#[from] StoreError),
}

/// Makes the secret of a second factor.
pub(crate) fn new_secret(rng: &Rng) -> [u8; SECRET_BYTES] {
    rng.bytes()
}

/// Returns what makes the codes of a secret: six digits, every 30 s, by SHA-1, which every app understands. A code of the
/// step before or after counts, too, as clocks differ.
pub(crate) fn totp(bytes: &[u8], account: &str) -> Result<Totp, TotpError> {
    // A colon separates issuer and account.
    let account = account.replace(':', "_");
    Builder::new()
        .with_algorithm(Algorithm::SHA1)
        .with_digits(6)
        .with_skew(1)
        .with_step_duration(30)
        .with_secret(bytes.to_vec())
        .with_account_name(account)
        .with_issuer(Some(ISSUER))
        .build()
}

/// Counts a try of an account.
pub(crate) fn count_try(control: &Control, user: UserId) -> Result<(), CodeError> {
    Ok(control.shared.rate_limits.codes.take(user)?)
}

/// Returns the time step of a code of the app, if it is one of this moment.
pub(crate) fn step_of(control: &Control, totp: &Totp, code: &str) -> Option<i64> {
    let now = u64::try_from(control.clock().utc().timestamp()).ok()?;
    totp.check(&clean(code), now).and_then(|step| i64::try_from(step).ok())
}

/// Uses up a code of a user's second factor, or a recovery code.
pub(crate) async fn use_code(
    control: &Control,
    user: UserId,
    factor: &TotpSecret,
    code: &str,
) -> Result<(), CodeError> {
    count_try(control, user)?;
    let store = control.store();
    let is_used = match step_of(control, &totp(&factor.secret, "account")?, code) {
        Some(step) => store.totp_use_step(user, step).await?,
        None => store.recovery_code_use(user, &secret::hash(&clean(code))).await?,
    };
    if is_used { Ok(()) } else { Err(CodeError::Wrong) }
}

/// Makes recovery codes; returns them as the user shall see them, and their hashes.
pub(crate) fn recovery_codes(rng: &Rng) -> (Vec<String>, Vec<SecretHash>) {
    let code = |_| {
        let code = rng.alphanumeric(RECOVERY_CHARACTERS).to_lowercase();
        let groups: Vec<&str> =
            (0..RECOVERY_CHARACTERS).step_by(GROUP).map(|at| &code[at..at + GROUP]).collect();
        (groups.join("-"), secret::hash(&code))
    };
    (0..RECOVERY_CODES).map(code).unzip()
}

/// Returns a code without what people add when they copy it.
fn clean(code: &str) -> String {
    code.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recovery_codes_differ_and_are_found_as_people_write_them() {
        let (codes, hashes) = recovery_codes(&Rng::seeded(1));
        assert_eq!((codes.len(), hashes.len()), (RECOVERY_CODES, RECOVERY_CODES));
        assert_ne!(codes[0], codes[1]);
        assert_eq!(secret::hash(&clean(&format!(" {} ", codes[0].to_uppercase()))), hashes[0]);
    }

    #[test]
    fn a_secret_has_an_address_for_apps() {
        let totp = totp(&new_secret(&Rng::seeded(1)), "ada:x@example.org").unwrap();
        let url = totp.to_url().unwrap();
        assert!(url.starts_with("otpauth://totp/Wrenn:ada_x%40example.org?secret="), "{url}");
    }
}
