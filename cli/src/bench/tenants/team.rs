//! The teams of the measurement: each has a user, an API key, and a quota that admits its capsules.

use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context, ensure};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use reqwest::Method;
use serde_json::json;
use wrenn_base::Rng;

use crate::bench::fleet::{DISK_MB, MEMORY_MB};
use crate::client::{Client, Credentials};

/// Sign-ups in flight at once.
const SIGN_UPS: usize = 2;
/// Characters of a password.
const PASSWORD_CHARACTERS: usize = 20;
/// Loopback addresses that are used of each network of 256.
const ADDRESSES: u32 = 250;

/// Team with its only user.
pub(super) struct Team {
    /// Client with the team's API key.
    pub(super) client: Client,
    /// Client without credentials, at the user's own address: limits on sign-ins count by address.
    user: Client,
    email: String,
    password: String,
    id: String,
    token: String,
}

impl Team {
    /// Signs the user up, and makes the API key.
    async fn start(server: &Client, index: u32, password: String) -> anyhow::Result<Self> {
        let third = u8::try_from(index / ADDRESSES).context("too many teams")?;
        let address = Ipv4Addr::new(127, 1, third, u8::try_from(index % ADDRESSES + 1)?);
        let user = Client::at_address(server.base_url(), Credentials::None, IpAddr::V4(address))?;
        let email = format!("user{index}@bench.example");
        let body = json!({ "email": email, "password": password, "name": format!("User {index}") });
        let answer = user.post("/v1/auth/signup", &body).await?;
        let (id, token) = (answer.text("/team_id").to_owned(), answer.text("/token").to_owned());
        answer.success().context("sign-up")?;
        let signed_in = server.with(Credentials::Bearer(token.clone()));
        let answer = signed_in.post("/v1/api-keys", &json!({ "name": "bench" })).await?;
        let key = answer.text("/key").to_owned();
        answer.success().context("creation of an API key")?;
        Ok(Self { client: server.with(Credentials::ApiKey(key)), user, email, password, id, token })
    }

    /// Signs the user in once more.
    pub(super) async fn sign_in(&self) -> anyhow::Result<()> {
        let body = json!({ "email": self.email, "password": self.password });
        self.user.post("/v1/auth/login", &body).await?.success().context("sign-in")?;
        Ok(())
    }
}

/// Makes so many teams, and gives each a limit of every resource that `capsules` fit into.
pub(super) async fn start(
    server: &Client,
    count: u32,
    capsules: u32,
    rng: &Rng,
) -> anyhow::Result<Vec<Team>> {
    // The first account of an installation is its administrator.
    let team = |index| Team::start(server, index, rng.alphanumeric(PASSWORD_CHARACTERS));
    let mut teams = vec![team(0).await?];
    let others: Vec<_> = stream::iter(1..count).map(team).buffered(SIGN_UPS).try_collect().await?;
    teams.extend(others);
    let admin = server.with(Credentials::Bearer(teams[0].token.clone()));
    let quota = quota(capsules);
    for team in &teams {
        let path = format!("/v1/admin/teams/{}/quota", team.id);
        let set = admin.send(Method::PUT, &path, Some(&quota)).await?.success().context("quota")?;
        ensure!(set["running_capsules"] == capsules, "the quota is {set}");
    }
    Ok(teams)
}

fn quota(capsules: u32) -> serde_json::Value {
    json!({
        "running_capsules": capsules,
        "vcpus": capsules,
        "memory_mb": u64::from(capsules) * u64::from(MEMORY_MB),
        "disk_mb": u64::from(capsules) * u64::from(DISK_MB),
        "templates": 10,
        "paused_capsules": capsules,
        "concurrent_builds": 1,
    })
}
