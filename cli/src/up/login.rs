//! The first login and the local host: what must be in the database before the server listens.

use std::path::Path;

use anyhow::Context;
use sha2::{Digest, Sha256};
use wrenn_api::{
    agent_authority,
    bootstrap::{self, AdminOutcome},
};
use wrenn_base::{Clock, Rng};
use wrenn_store::Store;

use super::dev_env::DevEnv;
use crate::progress;

const EMAIL: &str = "admin@wrenn.local";
/// Random letters and digits of the first password: 119 bits.
const PASSWORD_CHARACTERS: usize = 20;

/// What the installation starts with.
#[derive(Debug)]
pub(super) struct FirstLogin {
    /// What was written to `dev.env`.
    pub env: DevEnv,
    /// Lets the agent register, should it not have done so.
    pub registration_token: String,
}

/// Makes sure of the admin, an API key and the local host, and writes `dev.env`.
///
/// What the file already says is kept for as long as the database agrees. A person who has changed the
/// password keeps it; the file is then the one that is wrong, and says so.
pub(super) async fn prepare(
    database_url: &str,
    clock: &Clock,
    rng: &Rng,
    file: &Path,
    base_url: String,
) -> anyhow::Result<FirstLogin> {
    let store = Store::open(database_url, 2).await?;
    let known = DevEnv::read(file)?;
    let email = known.as_ref().map_or(EMAIL, |env| &env.admin_email).to_owned();
    let password = match &known {
        Some(env) => env.admin_password.clone(),
        None => rng.alphanumeric(PASSWORD_CHARACTERS),
    };
    let admin = bootstrap::ensure_admin(&store, rng, &email, &password).await?;
    if admin.outcome == AdminOutcome::ExistingWithOtherPassword {
        if known.is_some() {
            progress::note(format_args!(
                "  the password of {email} was changed; {} has the old one",
                file.display()
            ));
        } else {
            // The file was removed, which is how root asks for a new password.
            bootstrap::reset_password(&store, rng, admin.user_id, &password).await?;
        }
    }
    let known_key = known.map(|env| env.api_key);
    let api_key = match known_key {
        Some(key) if is_valid(&store, &key).await? => key,
        _ => bootstrap::create_api_key(&store, rng, &admin, "dev.env")
            .await
            .context("cannot make an API key")?,
    };
    let env = DevEnv { base_url, api_key, admin_email: email, admin_password: password };
    env.write(file)?;

    let host = bootstrap::ensure_local_host(&store, &admin).await.context("cannot record the local host")?;
    let authority = agent_authority::ensure(&store, clock).await?.fingerprint();
    // The agent is told the address itself.
    let registration_token = agent_authority::issue_registration_token(&store, rng, authority, host, "")
        .await
        .context("cannot make a registration token")?;
    Ok(FirstLogin { env, registration_token })
}

async fn is_valid(store: &Store, api_key: &str) -> anyhow::Result<bool> {
    let hash = Sha256::digest(api_key.as_bytes()).into();
    Ok(store.api_key_authenticate(&hash).await.context("cannot look up the API key")?.is_some())
}
