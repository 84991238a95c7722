//! Hosts in networks of their own: namespaces with addresses, one of them behind a router that translates them.
//!
//! ```text
//!   here (10.213.0.1) ──┬── plain    10.213.1.2          ◀ its packets are captured
//!                       ├── brought  10.213.2.2          a team's own
//!                       └── router   10.213.3.2 ── hidden 192.168.213.2
//! ```

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};
use tokio::{
    process::{Child, Command},
    time::timeout,
};
use wrenn_cli::client::{Client, Credentials};

use crate::{
    installation::{Installation, WRENN, free_port, temporary_folder, wrenn},
    traces,
    wait::{BOOT, RECOVERY, until},
};

/// The volume of a new host is made, and the image imported.
const FIRST_START: Duration = Duration::from_secs(120);
/// Life of a host's certificate: it is renewed after two thirds of it.
const CERTIFICATE_SEC: u64 = 30;
/// Address of the server for all hosts.
const SERVER: &str = "10.213.0.1";
/// Text that must not be readable on the way.
const SECRET: &str = "a-secret-that-nobody-on-the-way-may-read";

async fn run(program: &str, arguments: &[&str]) -> anyhow::Result<()> {
    let output = Command::new(program).args(arguments).output().await.context(program.to_owned())?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{program} {}: {said}", arguments.join(" "));
    Ok(())
}

async fn ip(line: &str) -> anyhow::Result<()> {
    run("ip", &line.split(' ').collect::<Vec<_>>()).await
}

/// The namespaces and links; call [`remove`](Self::remove).
struct Networks {
    prefix: String,
}

impl Networks {
    async fn make() -> anyhow::Result<Self> {
        let networks = Self { prefix: format!("wre2e{}", std::process::id()) };
        match networks.connect().await {
            Ok(()) => Ok(networks),
            Err(error) => {
                networks.remove().await;
                Err(error)
            }
        }
    }

    fn name(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    /// Name of the near end of the link to a namespace, which is at most 15 characters long.
    fn link(&self, number: u8) -> String {
        format!("wre{}n{number}", std::process::id())
    }

    async fn connect(&self) -> anyhow::Result<()> {
        ip(&format!("addr add {SERVER}/32 dev lo")).await?;
        for (number, name) in [(1, "plain"), (2, "brought"), (3, "router")] {
            let (name, near) = (self.name(name), self.link(number));
            ip(&format!("netns add {name}")).await?;
            ip(&format!("link add {near} type veth peer name eth0 netns {name}")).await?;
            ip(&format!("addr add 10.213.{number}.1/30 dev {near}")).await?;
            ip(&format!("link set {near} up")).await?;
            ip(&format!("-n {name} addr add 10.213.{number}.2/30 dev eth0")).await?;
            ip(&format!("-n {name} link set eth0 up")).await?;
            ip(&format!("-n {name} link set lo up")).await?;
            ip(&format!("-n {name} route add default via 10.213.{number}.1")).await?;
        }
        let (router, hidden) = (self.name("router"), self.name("hidden"));
        ip(&format!("netns add {hidden}")).await?;
        ip(&format!("-n {router} link add inner type veth peer name eth0 netns {hidden}")).await?;
        ip(&format!("-n {router} addr add 192.168.213.1/30 dev inner")).await?;
        ip(&format!("-n {router} link set inner up")).await?;
        ip(&format!("-n {hidden} addr add 192.168.213.2/30 dev eth0")).await?;
        ip(&format!("-n {hidden} link set eth0 up")).await?;
        ip(&format!("-n {hidden} link set lo up")).await?;
        ip(&format!("-n {hidden} route add default via 192.168.213.1")).await?;
        self.inside("router", "sysctl", &["-q", "net.ipv4.ip_forward=1"]).await?;
        let rules = "table ip nat { chain out { type nat hook postrouting priority srcnat; oifname eth0 masquerade; }; }";
        self.inside("router", "nft", &[rules]).await
    }

    async fn inside(&self, name: &str, program: &str, arguments: &[&str]) -> anyhow::Result<()> {
        let net = format!("--net=/run/netns/{}", self.name(name));
        run("nsenter", &[&[net.as_str(), program], arguments].concat()).await
    }

    /// Removes everything, whatever of it there is; links go with their namespaces.
    async fn remove(&self) {
        let _ = ip(&format!("addr del {SERVER}/32 dev lo")).await;
        for name in ["plain", "brought", "hidden", "router"] {
            let _ = ip(&format!("netns del {}", self.name(name))).await;
        }
    }
}

/// A host in one of the namespaces; call [`end`](Self::end).
struct NetworkHost {
    id: String,
    net: PathBuf,
    folder: tempfile::TempDir,
    agent: Child,
}

impl NetworkHost {
    /// Runs `wrenn agent join` there, without anything but the token.
    fn join(networks: &Networks, name: &str, id: &str, token: &str, images: &Path) -> anyhow::Result<Self> {
        let folder = temporary_folder()?;
        let net = Path::new("/run/netns").join(networks.name(name));
        let agent =
            agent(&net, folder.path(), &["join", token], images).spawn().context("start the agent")?;
        Ok(Self { id: id.to_owned(), net, folder, agent })
    }

    /// Starts the agent again, without a token.
    async fn restart(&mut self, images: &Path) -> anyhow::Result<()> {
        self.agent.kill().await?;
        self.agent = agent(&self.net, self.folder.path(), &[], images).spawn().context("start the agent")?;
        Ok(())
    }

    fn credentials(&self) -> anyhow::Result<Value> {
        let file = self.folder.path().join("data/agent/credentials.json");
        Ok(serde_json::from_slice(&fs::read(file)?)?)
    }

    fn machines(&self) -> anyhow::Result<usize> {
        Ok(traces::machines(&self.folder.path().join("data"))?.len())
    }

    /// Waits for the agent to end by itself; returns what it said.
    async fn refused(mut self) -> anyhow::Result<String> {
        let ended = timeout(FIRST_START, self.agent.wait()).await.context("the agent does not end");
        let said = fs::read_to_string(self.folder.path().join("log"))?;
        self.end().await?;
        let status = ended??;
        ensure!(!status.success(), "the agent ended with success:\n{said}");
        Ok(said)
    }

    async fn end(mut self) -> anyhow::Result<()> {
        if let Some(pid) = self.agent.id() {
            kill(Pid::from_raw(i32::try_from(pid)?), Signal::SIGTERM)?;
            timeout(RECOVERY, self.agent.wait()).await.context("the agent does not end")??;
        }
        let removed = nsenter(&self.net)
            .arg(WRENN)
            .args(["down", "--purge"])
            .env("WRENN_DATA", self.folder.path().join("data"))
            .output()
            .await?;
        let said = String::from_utf8_lossy(&removed.stderr).into_owned();
        ensure!(removed.status.success(), "`wrenn down --purge` failed: {said}");
        Ok(())
    }
}

/// A command in a namespace of networks, with none of this process's settings.
fn nsenter(net: &Path) -> Command {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net={}", net.display())).stdin(Stdio::null()).kill_on_drop(true).current_dir("/");
    for (name, value) in wrenn(Path::new("/")).as_std().get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

fn agent(net: &Path, folder: &Path, arguments: &[&str], images: &Path) -> Command {
    let mut command = nsenter(net);
    command
        .arg(WRENN)
        .arg("agent")
        .args(arguments)
        .env("WRENN_AGENT_DATA", folder.join("data/agent"))
        .env("WRENN_IMAGES", images)
        .env("WRENN_SLOTS_AHEAD", "1");
    match fs::OpenOptions::new().create(true).append(true).open(folder.join("log")) {
        Ok(log) => command.stdout(log.try_clone().map_or_else(|_| Stdio::null(), Stdio::from)).stderr(log),
        Err(_) => command.stdout(Stdio::null()).stderr(Stdio::null()),
    };
    command
}

/// Packets on the way to a host.
struct Capture {
    tcpdump: Child,
    file: PathBuf,
}

impl Capture {
    async fn start(link: &str, folder: &Path) -> anyhow::Result<Self> {
        let file = folder.join("packets");
        let tcpdump = Command::new("tcpdump")
            .args(["-i", link, "-U", "-s", "0", "-Z", "root", "-w"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("start tcpdump")?;
        let capture = Self { tcpdump, file };
        until("tcpdump captures", RECOVERY, async || Ok(capture.file.exists().then_some(()))).await?;
        Ok(capture)
    }

    async fn end(mut self) -> anyhow::Result<Vec<u8>> {
        if let Some(pid) = self.tcpdump.id() {
            kill(Pid::from_raw(i32::try_from(pid)?), Signal::SIGTERM)?;
        }
        timeout(RECOVERY, self.tcpdump.wait()).await.context("tcpdump does not end")??;
        Ok(fs::read(&self.file)?)
    }
}

/// Agents join over TLS from networks of their own, and their hosts are placed on, drained and deleted.
pub(crate) async fn hosts_join_from_other_networks() -> anyhow::Result<()> {
    let networks = Networks::make().await?;
    let result = on(&networks).await;
    networks.remove().await;
    result
}

async fn on(networks: &Networks) -> anyhow::Result<()> {
    let port = free_port()?;
    let installation = Installation::start_with_settings(|_| {
        vec![
            ("WRENN_GRPC_ADDR", format!("0.0.0.0:{port}")),
            ("WRENN_GRPC_PUBLIC_ADDR", format!("{SERVER}:{port}")),
            ("WRENN_HOST_CERTIFICATE_SEC", CERTIFICATE_SEC.to_string()),
        ]
    })
    .await?;
    let mut hosts = Vec::new();
    let result = scenario(networks, &installation, &mut hosts).await;
    let mut ended = Ok(());
    for host in hosts {
        ended = ended.and(host.end().await);
    }
    let removed = installation.end().await;
    result.and(ended).and(removed)
}

/// An administrator of the platform, and the owner of a team that brings hosts.
struct People {
    admin: Client,
    owner: Client,
    team: String,
}

impl People {
    async fn of(installation: &Installation) -> anyhow::Result<Self> {
        let env = installation.env()?;
        let nobody = Client::new(&env.base_url, Credentials::None)?;
        let login = json!({ "email": env.admin_email, "password": env.admin_password });
        let token = nobody.post("/v1/auth/login", &login).await?.text("/token").to_owned();
        let admin = Client::new(&env.base_url, Credentials::Bearer(token))?;
        let signup = json!({ "email": "owner@example.org", "password": "correct horse", "name": "Owner" });
        let signed_up = nobody.post("/v1/auth/signup", &signup).await?;
        let team = signed_up.text("/team_id").to_owned();
        let owner = Client::new(&env.base_url, Credentials::Bearer(signed_up.text("/token").to_owned()))?;
        let enabled = admin.put(&format!("/v1/admin/teams/{team}/byoc"), &json!({ "enabled": true })).await?;
        ensure!(enabled.status.is_success(), "{enabled:?}");
        Ok(Self { admin, owner, team })
    }
}

/// Makes a host; returns its id and its token.
async fn make_host(client: &Client, body: &Value) -> anyhow::Result<(String, String)> {
    let made = client.post("/v1/hosts", body).await?;
    ensure!(made.status == 201, "{made:?}");
    Ok((made.text("/host/id").to_owned(), made.text("/registration_token").to_owned()))
}

async fn has_status(client: &Client, id: &str, status: &str) -> anyhow::Result<()> {
    until(&format!("{id} is {status}"), FIRST_START, async || {
        let host = client.get(&format!("/v1/hosts/{id}")).await?;
        ensure!(host.text("/status") == status, "{}", host.body);
        Ok(Some(()))
    })
    .await
}

/// Makes a capsule and waits until it runs; returns its id and its host.
async fn capsule(client: &Client) -> anyhow::Result<(String, String)> {
    let made = client.post("/v1/capsules", &json!({ "template": "minimal" })).await?;
    ensure!(made.status == 201, "{made:?}");
    let id = made.text("/id").to_owned();
    let host = until(&format!("{id} runs"), BOOT, async || {
        let capsule = client.get(&format!("/v1/capsules/{id}")).await?;
        ensure!(capsule.text("/last_error").is_empty(), "{}", capsule.body);
        Ok((capsule.text("/status") == "running").then(|| capsule.text("/host_id").to_owned()))
    })
    .await?;
    Ok((id, host))
}

async fn shell(client: &Client, capsule: &str, command: &str) -> anyhow::Result<String> {
    let done = client.post(&format!("/v1/capsules/{capsule}/exec"), &json!({ "cmd": command })).await?;
    ensure!(done.status == 200, "{done:?}");
    Ok(done.text("/stdout").to_owned())
}

async fn scenario(
    networks: &Networks,
    installation: &Installation,
    hosts: &mut Vec<NetworkHost>,
) -> anyhow::Result<()> {
    let images = installation.data().join("images");
    let People { admin, owner, team } = People::of(installation).await?;
    let capture = Capture::start(&networks.link(1), &installation.data()).await?;

    let (plain, plain_token) = make_host(&admin, &json!({ "type": "regular" })).await?;
    let (hidden, hidden_token) = make_host(&admin, &json!({ "type": "regular" })).await?;
    let (brought, brought_token) = make_host(&owner, &json!({ "type": "byoc", "team_id": team })).await?;
    // A token that has expired, and one of a secret that was never issued.
    let (late, expired) = make_host(&admin, &json!({ "type": "regular" })).await?;
    let database = installation.server_setting("DATABASE_URL")?;
    let expire = "UPDATE host_tokens SET expires_at = now() WHERE kind = 'registration' AND created_at =
        (SELECT max(created_at) FROM host_tokens)";
    run("psql", &[&database, "-q", "-v", "ON_ERROR_STOP=1", "-c", expire]).await?;
    let wrong = plain_token.replacen("reg_", "reg_x", 1);
    for token in [expired, wrong] {
        let refused = NetworkHost::join(networks, "plain", &late, &token, &images)?.refused().await?;
        ensure!(refused.contains("registration token is not valid"), "{refused}");
    }
    for (name, id, token) in [
        ("plain", &plain, &plain_token),
        ("hidden", &hidden, &hidden_token),
        ("brought", &brought, &brought_token),
    ] {
        hosts.push(NetworkHost::join(networks, name, id, token, &images)?);
    }
    for host in hosts.iter() {
        has_status(&admin, &host.id, "online").await?;
    }
    let used = NetworkHost::join(networks, "brought", &plain, &plain_token, &images)?.refused().await?;
    ensure!(used.contains("was used"), "{used}");

    // The team's capsules run on the team's host, those of others on none of it.
    let (own, own_host) = capsule(&owner).await?;
    ensure!(own_host == brought, "the team's capsule runs on {own_host}");
    let local = local_host(&admin).await?;
    drain(&admin, &local, true).await?;
    drain(&admin, &hidden, true).await?;
    let (seen, seen_host) = capsule(&admin).await?;
    ensure!(seen_host == plain, "the capsule runs on {seen_host}");
    ensure!(shell(&admin, &seen, &format!("echo {SECRET}")).await? == format!("{SECRET}\n"), "an echo");
    drain(&admin, &plain, true).await?;
    drain(&admin, &hidden, false).await?;
    let (behind, behind_host) = capsule(&admin).await?;
    ensure!(behind_host == hidden, "the capsule runs on {behind_host}");
    ensure!(shell(&admin, &behind, "echo hi").await? == "hi\n", "an echo from behind a router");
    // A drained host goes on with what it has.
    ensure!(shell(&admin, &seen, "echo hi").await? == "hi\n", "an echo from a drained host");

    renewal(&admin, hosts, &images).await?;

    deletion(&admin, &hidden, &behind, hosts).await?;
    for (client, id) in [(&owner, &own), (&admin, &seen)] {
        let deleted = client.delete(&format!("/v1/capsules/{id}")).await?;
        ensure!(deleted.status == 204, "{deleted:?}");
    }
    let gone = owner.delete(&format!("/v1/hosts/{brought}")).await?;
    ensure!(gone.status == 204, "{gone:?}");

    let packets = capture.end().await?;
    ensure!(packets.len() > 10_000, "only {} bytes were captured", packets.len());
    for text in [SECRET, plain_token.as_str(), "ControlPlane/Attach", &seen] {
        let found = packets.windows(text.len()).any(|window| window == text.as_bytes());
        ensure!(!found, "{text:?} can be read on the way");
    }
    Ok(())
}

async fn local_host(admin: &Client) -> anyhow::Result<String> {
    let hosts = admin.get("/v1/hosts").await?;
    let local = hosts.body.as_array().into_iter().flatten().find(|host| host["provider"] == "local");
    let id = local.and_then(|host| host["id"].as_str()).context("the installation has a host of its own")?;
    Ok(id.to_owned())
}

async fn drain(admin: &Client, host: &str, enabled: bool) -> anyhow::Result<()> {
    let drained = admin.post(&format!("/v1/hosts/{host}/drain"), &json!({ "enabled": enabled })).await?;
    ensure!(drained.status.is_success(), "{drained:?}");
    Ok(())
}

/// Certificates are renewed while hosts work, and a host that is started anew needs no token.
async fn renewal(admin: &Client, hosts: &mut [NetworkHost], images: &Path) -> anyhow::Result<()> {
    let Some(host) = hosts.first_mut() else { bail!("no host") };
    let before = host.credentials()?;
    until("the certificate is renewed", Duration::from_secs(3 * CERTIFICATE_SEC), async || {
        Ok((host.credentials()?["certificate"] != before["certificate"]).then_some(()))
    })
    .await?;
    ensure!(host.credentials()?["private_key"] != before["private_key"], "the key is a new one");
    host.restart(images).await?;
    has_status(admin, &host.id, "draining").await?;
    ensure!(host.machines()? == 1, "the capsule runs on");

    // A certificate without its key is of no use to a thief.
    let thief = temporary_folder()?;
    let mut stolen = host.credentials()?;
    stolen["private_key"] = before["private_key"].clone();
    fs::create_dir_all(thief.path().join("data/agent"))?;
    fs::write(thief.path().join("data/agent/credentials.json"), stolen.to_string())?;
    let agent = agent(&host.net, thief.path(), &[], images).spawn()?;
    let thief = NetworkHost { id: host.id.clone(), net: host.net.clone(), folder: thief, agent };
    let log = thief.folder.path().join("log");
    let refused = until("the thief is refused", FIRST_START, async || {
        let said = fs::read_to_string(&log)?;
        Ok(said.contains("no valid credentials").then_some(()))
    })
    .await;
    thief.end().await?;
    refused?;
    has_status(admin, &host.id, "draining").await
}

/// A host with a capsule is deleted only if that is meant, and its agent then removes everything.
async fn deletion(
    admin: &Client,
    id: &str,
    capsule: &str,
    hosts: &mut Vec<NetworkHost>,
) -> anyhow::Result<()> {
    let refused = admin.delete(&format!("/v1/hosts/{id}")).await?;
    ensure!(refused.status == 409 && refused.text("/error/code") == "host_has_capsules", "{refused:?}");
    for list in ["/capsule_ids", "/sandbox_ids", "/error/sandbox_ids"] {
        ensure!(refused.body.pointer(list) == Some(&json!([capsule])), "{list}: {}", refused.body);
    }
    let deleted = admin.delete(&format!("/v1/hosts/{id}?force=true")).await?;
    ensure!(deleted.status == 204, "{deleted:?}");
    ensure!(admin.get(&format!("/v1/hosts/{id}")).await?.status == 404, "the host is gone");
    let index = hosts.iter().position(|host| host.id == id).context("the host was started")?;
    let mut host = hosts.remove(index);
    let ended = timeout(FIRST_START, host.agent.wait()).await.context("the agent ends");
    let left = host.machines();
    host.end().await?;
    ended??;
    ensure!(left? == 0, "a machine is left");
    let stopped = admin.get(&format!("/v1/capsules/{capsule}")).await?;
    ensure!(stopped.text("/status") == "stopped", "{}", stopped.body);
    ensure!(!stopped.text("/stop_reason").is_empty(), "{}", stopped.body);
    Ok(())
}
