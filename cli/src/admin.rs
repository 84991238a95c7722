//! `wrenn admin`: accounts and keys, directly in the database.

use wrenn_api::{
    PublicUrl,
    operator::{self, PasswordLink},
};
use wrenn_base::Rng;
use wrenn_domain::administration::FormerKeys;
use wrenn_store::Store;

use crate::progress;

/// Connections to Postgres, at most.
const CONNECTIONS: u32 = 2;

/// `wrenn admin`: manages accounts and keys in the database. Whoever has the database needs no other permission.
#[derive(Debug, clap::Args)]
pub struct AdminCommand {
    /// Postgres, as postgres://… (a unix socket with ?host=/folder).
    #[arg(
        long,
        env = "DATABASE_URL",
        hide_env_values = true,
        global = true,
        default_value = "",
        hide_default_value = true
    )]
    database_url: String,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make an account and print the link by which its user chooses a password.
    ///
    /// Works whatever WRENN_SIGNUP says. The address counts as confirmed.
    CreateUser {
        /// Email address to sign in with.
        email: String,
        /// Name for people; what stands before the @ if not given.
        #[arg(long)]
        name: Option<String>,
        /// Make the account an administrator of the platform.
        #[arg(long)]
        admin: bool,
        #[command(flatten)]
        link: LinkArguments,
    },
    /// Print a link by which a user chooses a new password.
    ///
    /// The link is good once, for an hour; the former one ends. The old password works until the link is used.
    ResetPassword {
        /// Email address of the account.
        email: String,
        /// Remove the second factor of a user who has lost it, too, which signs them out everywhere.
        #[arg(long)]
        remove_second_factor: bool,
        #[command(flatten)]
        link: LinkArguments,
    },
    /// Sign tokens with a new key.
    ///
    /// Servers take the key up within half a minute, without a restart. Tokens of the former key stay valid for the rest of
    /// their six hours.
    RotateTokenKey {
        /// End all tokens of former keys, because a key was stolen; everybody signs in again.
        #[arg(long)]
        end_sessions: bool,
    },
    /// Make an account an administrator of the platform.
    GrantAdmin {
        /// Email address of the account.
        email: String,
    },
}

#[derive(Debug, clap::Args)]
struct LinkArguments {
    /// Address at which browsers reach the dashboard, for the link.
    #[arg(long, env = "WRENN_PUBLIC_URL", default_value = "http://127.0.0.1:8000")]
    public_url: PublicUrl,
}

impl AdminCommand {
    /// Carries the command out.
    pub async fn run(self, rng: Rng) -> anyhow::Result<()> {
        if self.database_url.is_empty() {
            anyhow::bail!("--database-url: is missing; give it, or set DATABASE_URL as for `wrenn server`");
        }
        let store = Store::open(&self.database_url, CONNECTIONS).await?;
        match self.command {
            Command::CreateUser { email, name, admin, link } => {
                let name = name.unwrap_or_else(|| email.split('@').next().unwrap_or_default().to_owned());
                let made = operator::create_user(&store, &rng, &link.public_url, &email, &name).await;
                let (user, link) = made?;
                if admin {
                    operator::grant_admin(&store, &email).await?;
                }
                progress::note(format_args!("made {} ({})", user.id, user.email));
                show(&link);
            }
            Command::ResetPassword { email, remove_second_factor, link } => {
                if remove_second_factor && !operator::remove_second_factor(&store, &email).await? {
                    progress::note(format_args!("{email} has no second factor"));
                }
                show(&operator::reset_password(&store, &rng, &link.public_url, &email).await?);
            }
            Command::RotateTokenKey { end_sessions } => {
                let former = if end_sessions { FormerKeys::End } else { FormerKeys::Keep };
                let id = operator::rotate_token_key(&store, &rng, former).await?;
                progress::note(format_args!("tokens are signed with the key {id} from now on"));
            }
            Command::GrantAdmin { email } => {
                let id = operator::grant_admin(&store, &email).await?;
                progress::note(format_args!("{id} ({email}) is an administrator"));
            }
        }
        Ok(())
    }
}

fn show(link: &PasswordLink) {
    let until = link.expires_at.format("%Y-%m-%d %H:%M UTC");
    progress::note(format_args!("password link, good once until {until}:\n  {}", link.url));
}
