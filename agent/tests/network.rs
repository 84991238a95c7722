//! Slots with real namespaces, and what guests reach from inside them, tried with real sockets.
//!
//! No machine is needed: where a guest would be, a second namespace stands behind a veth that has taken the name
//! of the tap, so that every rule applies to it.
//!
//! ```text
//!   guest namespace ── eth0 ═ tap0 ── slot's namespace ── host ── tstw ═ eth0 ── world namespace
//!   172.30.0.2                                                             198.51.100.10 and others
//! ```

#![allow(clippy::expect_used, reason = "a test that cannot go on fails")]
#![allow(clippy::disallowed_methods, reason = "real machines, networks and disks take real time")]

mod host;

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::fd::AsFd,
    path::{Path, PathBuf},
    time::Duration,
};

use host::{DataDir, claim, eventually, pool, require, run};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use wrenn_agent::{
    leftovers::clean_abandoned,
    net::{AdoptSlotError, Cidr, ClaimError, Egress, Instance, PoolConfig, Slot, SlotPool, connect_in},
};
use wrenn_base::Clock;
use wrenn_proto::GUEST_PORT;

/// Longer than any answer on one machine takes, and short enough to wait for where none may come.
const SHORT: Duration = Duration::from_secs(2);

fn required() {
    require(&["ip", "nft"]);
}

/// Runs `work` on a thread of its own inside a namespace.
async fn inside<T: Send + 'static>(netns: &Path, work: impl FnOnce() -> T + Send + 'static) -> T {
    let netns = netns.to_owned();
    let in_thread = move || {
        let file = File::open(&netns).unwrap_or_else(|error| panic!("{}: {error}", netns.display()));
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).expect("enter namespace");
        work()
    };
    tokio::task::spawn_blocking(|| std::thread::spawn(in_thread).join()).await.expect("join").expect("thread")
}

/// A namespace that goes with its value.
struct Namespace(String);

impl Namespace {
    fn new(name: &str) -> Self {
        let name = format!("tstw-{name}-{}", std::process::id());
        run("ip", &["netns", "add", &name]);
        run("ip", &["-n", &name, "link", "set", "lo", "up"]);
        Self(name)
    }

    fn path(&self) -> PathBuf {
        Path::new("/run/netns").join(&self.0)
    }

    fn ip(&self, args: &str) {
        let words: Vec<&str> = ["-n", &self.0].into_iter().chain(args.split(' ')).collect();
        run("ip", &words);
    }

    /// Accepts connections on every address, and sends back what comes.
    async fn echo(&self, port: u16) {
        inside(&self.path(), move || echo(TcpListener::bind(("0.0.0.0", port)).expect("listen"))).await;
    }

    async fn reaches(&self, address: &str) -> bool {
        let address: SocketAddr = address.parse().expect("address");
        inside(&self.path(), move || exchange(address).is_ok()).await
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = std::process::Command::new("ip").args(["netns", "delete", &self.0]).status();
    }
}

fn echo(listener: TcpListener) {
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut byte = [0];
            let _ = stream.read_exact(&mut byte).and_then(|()| stream.write_all(&byte));
        }
    });
}

/// Connects, and sees whether a byte comes back.
fn exchange(address: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&address, SHORT)?;
    stream.set_read_timeout(Some(SHORT))?;
    stream.write_all(b"x")?;
    stream.read_exact(&mut [0])
}

/// A guest without a machine, behind the tap of a slot.
fn guest(name: &str, slot: &Slot) -> Namespace {
    let guest = Namespace::new(name);
    let netns = slot.netns().file_name().and_then(|name| name.to_str()).expect("name").to_owned();
    let in_slot = |args: &str| {
        let words: Vec<&str> = ["-n", &netns].into_iter().chain(args.split(' ')).collect();
        run("ip", &words);
    };
    in_slot("link delete tap0");
    in_slot(&format!("link add tap0 type veth peer name eth0 netns {}", guest.0));
    in_slot("address add 172.30.0.1/30 dev tap0");
    in_slot("link set tap0 up");
    guest.ip("address add 172.30.0.2/30 dev eth0");
    guest.ip("link set eth0 up");
    guest.ip("route add default via 172.30.0.1");
    guest
}

/// The world beyond the host: a public address, private ones, and one where clouds serve credentials.
struct World {
    namespace: Namespace,
    link: String,
    /// Third byte of its addresses, so that tests side by side do not meet.
    number: u8,
}

impl World {
    fn new(number: u8) -> Self {
        let namespace = Namespace::new(&format!("world{number}"));
        let link = format!("tstw{number}");
        run("ip", &["link", "add", &link, "type", "veth", "peer", "name", "eth0", "netns", &namespace.0]);
        run("ip", &["address", "add", &format!("10.213.{number}.1/30"), "dev", &link]);
        run("ip", &["link", "set", &link, "up"]);
        namespace.ip(&format!("address add 10.213.{number}.2/30 dev eth0"));
        namespace.ip("link set eth0 up");
        namespace.ip(&format!("route add default via 10.213.{number}.1"));
        let world = Self { namespace, link, number };
        for address in [world.public(), world.private(), world.metadata()] {
            world.namespace.ip(&format!("address add {address}/32 dev lo"));
        }
        world.route(&world.private());
        world.route(&world.metadata());
        world
    }

    fn route(&self, address: &str) {
        let gateway = format!("10.213.{}.2", self.number);
        run("ip", &["route", "add", &format!("{address}/32"), "via", &gateway]);
    }

    /// Makes the public address one of the internet to the pools that were started before: with a route that these do
    /// not know yet.
    fn open_public(&self) {
        self.route(&self.public());
    }

    fn public(&self) -> String {
        format!("198.51.100.{}", self.number)
    }

    fn private(&self) -> String {
        format!("192.168.213.{}", self.number)
    }

    fn metadata(&self) -> String {
        format!("169.254.213.{}", self.number)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // Its peer, and the routes over it, go with it.
        let _ = std::process::Command::new("ip").args(["link", "delete", &self.link]).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_are_made_ahead_and_leave_nothing() {
    required();
    let data = DataDir::new("slots");
    let instance = claim(&data);
    let pool = pool(&instance, 3).await;
    eventually("three slots are ready", async || pool.ready() == 3).await;
    let (first, second) = (pool.take().await.expect("take"), pool.take().await.expect("take"));
    assert_ne!(first.number(), second.number());
    assert_ne!(first.uid(), second.uid());
    eventually("taken ones are made up for", async || pool.ready() == 3).await;
    assert_eq!(data.leftovers().namespaces.len(), 5);

    let number = first.number();
    pool.release(first).await.expect("release");
    let names = data.leftovers().namespaces;
    assert!(!names.contains(&format!("wrenn{}-{}", instance.number(), number.0)), "{names:?}");
    pool.release(second).await.expect("release");
    pool.teardown().await.expect("teardown");
    data.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taker_that_gives_up_leaks_nothing() {
    required();
    let data = DataDir::new("give-up");
    let instance = claim(&data);
    let pool = pool(&instance, 0).await;
    let taking = tokio::time::timeout(Duration::from_millis(1), pool.take()).await;
    drop(taking);
    pool.teardown().await.expect("teardown");
    data.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_agent_adopts_what_it_keeps_and_removes_the_rest() {
    required();
    let data = DataDir::new("adopt");
    let instance = claim(&data);
    let before = pool(&instance, 2).await;
    eventually("slots are ready", async || before.ready() == 2).await;
    let kept = before.take().await.expect("take").number();
    eventually("slots are ready", async || before.ready() == 2).await;
    drop(before);

    let missing = wrenn_agent::net::SlotNumber(1000);
    let config = PoolConfig { ahead: 0, egress: Egress::default(), keep: [kept, missing].into() };
    let after = SlotPool::start(instance.clone(), config, Clock::process()).await.expect("start");
    assert_eq!(data.leftovers().namespaces, [format!("wrenn{}-{}", instance.number(), kept.0)]);
    assert!(matches!(after.adopt(missing).await, Err(AdoptSlotError::Missing(_))));
    let slot = after.adopt(kept).await.expect("adopt");
    assert!(matches!(after.adopt(kept).await, Err(AdoptSlotError::NotKept(_))), "somebody holds it");
    drop(slot);
    let slot = after.adopt(kept).await.expect("a dropped slot is adopted again");
    after.release(slot).await.expect("release");
    after.teardown().await.expect("teardown");
    data.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn installations_side_by_side_do_not_meet() {
    required();
    let (one, two) = (DataDir::new("one"), DataDir::new("two"));
    let (first, second) = (claim(&one), claim(&two));
    assert_ne!(first.number(), second.number());
    assert!(matches!(Instance::claim(&one.0), Err(ClaimError::InUse { .. })));
    let (pool_one, pool_two) = (pool(&first, 1).await, pool(&second, 1).await);
    let (slot_one, slot_two) = (pool_one.take().await.expect("take"), pool_two.take().await.expect("take"));
    assert_ne!(slot_one.netns(), slot_two.netns());
    pool_one.release(slot_one).await.expect("release");
    pool_one.teardown().await.expect("teardown");
    one.assert_clean();
    assert!(!two.leftovers().namespaces.is_empty(), "the other one's are untouched");
    let number = first.number();
    drop((pool_one, first));
    assert_eq!(claim(&one).number(), number, "the number stays");
    pool_two.release(slot_two).await.expect("release");
    pool_two.teardown().await.expect("teardown");
    two.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_of_a_crashed_installation_is_found_and_cleaned() {
    required();
    let data = DataDir::new("crash");
    let instance = claim(&data);
    let slot = pool(&instance, 1).await.take().await.expect("take");
    std::mem::forget(slot);
    drop(instance);
    let found = data.leftovers();
    assert!(!found.namespaces.is_empty() && !found.interfaces.is_empty(), "{found:?}");
    assert_eq!((found.tables.len(), found.runtime_dirs.len()), (1, 1), "{found:?}");
    // Slots may still be in the making by tasks of the forgotten pool.
    eventually("all is cleaned", async || {
        let _ = data.leftovers().clean().await;
        data.leftovers().is_empty()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_installation_has_is_removed_when_its_data_folder_was_unless_its_agent_lives() {
    required();
    let data = DataDir::new("removed");
    let instance = claim(&data);
    let slot = pool(&instance, 0).await.take().await.expect("take");
    let (netns, runtime_dir) = (slot.netns().to_owned(), instance.runtime_dir().to_owned());
    let name = netns.file_name().expect("name").to_str().expect("name").to_owned();
    std::mem::forget(slot);
    let mut inside = std::process::Command::new("ip");
    let mut inside = inside.args(["netns", "exec", &name, "sleep", "600"]).spawn().expect("sleep");
    fs::remove_dir_all(&data.0).expect("remove");

    clean_abandoned().await;
    assert!(netns.exists() && inside.try_wait().expect("status").is_none(), "the agent lives");
    drop(instance);
    // Tasks of the pool may hold the claim for a moment.
    let cleaned = async || {
        clean_abandoned().await;
        !netns.exists() && !runtime_dir.exists()
    };
    eventually("all is cleaned", cleaned).await;
    assert!(inside.wait().expect("status").code().is_none(), "killed");
}

#[tokio::test(flavor = "multi_thread")]
async fn guests_reach_the_internet_and_nothing_that_is_near() {
    required();
    let data = DataDir::new("reach");
    let world = World::new(11);
    world.namespace.echo(80).await;
    let instance = claim(&data);
    let pool = pool(&instance, 0).await;
    world.open_public();
    let (slot, neighbour_slot) = (pool.take().await.expect("take"), pool.take().await.expect("take"));
    let (guest, neighbour) = (guest("guest", &slot), guest("neighbour", &neighbour_slot));
    neighbour.echo(GUEST_PORT).await;
    let host = TcpListener::bind("0.0.0.0:0").expect("listen");
    let port = host.local_addr().expect("address").port();
    echo(host);

    assert!(guest.reaches(&format!("{}:80", world.public())).await, "the internet");
    for (what, address) in [
        ("a private network behind the host", format!("{}:80", world.private())),
        ("link-local metadata", format!("{}:80", world.metadata())),
        ("a machine in the host's own network", format!("10.213.{}.2:80", world.number)),
        ("the host in its own network", format!("10.213.{}.1:{port}", world.number)),
        ("the host by the address of its default route", format!("{}:{port}", default_address())),
        ("the gateway", format!("172.30.0.1:{port}")),
    ] {
        assert!(!guest.reaches(&address).await, "{what} ({address}) must not be reachable");
    }
    for near in outer_addresses(&slot).into_iter().chain(outer_addresses(&neighbour_slot)) {
        for port in [port, GUEST_PORT, 53] {
            assert!(!guest.reaches(&format!("{near}:{port}")).await, "{near}:{port} must not be reachable");
        }
    }
    // Nor does the world reach a guest that has not asked it.
    guest.echo(GUEST_PORT).await;
    for outer in outer_addresses(&slot) {
        assert!(!world.namespace.reaches(&format!("{outer}:{GUEST_PORT}")).await, "{outer} from outside");
    }
    // Once the pool knows of a route of its own to there, it is not the internet any more.
    pool.renew_rules().await.expect("renew");
    assert!(!guest.reaches(&format!("{}:80", world.public())).await, "behind a route of its own");
    for slot in [slot, neighbour_slot] {
        pool.release(slot).await.expect("release");
    }
    pool.teardown().await.expect("teardown");
    data.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_switch_opens_a_private_network_and_nothing_else() {
    required();
    let data = DataDir::new("switch");
    let world = World::new(12);
    world.namespace.echo(80).await;
    let instance = claim(&data);
    let allow: Vec<Cidr> =
        vec!["192.168.0.0/16".parse().expect("network"), "169.254.0.0/16".parse().expect("network")];
    let config = PoolConfig { ahead: 0, egress: Egress { allow }, keep: [].into() };
    let pool = SlotPool::start(instance, config, Clock::process()).await.expect("start");
    let slot = pool.take().await.expect("take");
    let guest = guest("switched", &slot);
    assert!(guest.reaches(&format!("{}:80", world.private())).await, "what was allowed");
    assert!(!guest.reaches(&format!("{}:80", world.metadata())).await, "what can never be allowed");
    assert!(!guest.reaches(&format!("10.213.{}.2:80", world.number)).await, "what was not allowed");
    pool.release(slot).await.expect("release");
    pool.teardown().await.expect("teardown");
    data.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_cannot_send_from_another_address() {
    required();
    let data = DataDir::new("spoof");
    let world = World::new(13);
    let instance = claim(&data);
    let pool = pool(&instance, 0).await;
    world.open_public();
    let slot = pool.take().await.expect("take");
    let guest = guest("spoofer", &slot);
    guest.ip("address add 203.0.113.99/32 dev lo");
    let heard = inside(&world.namespace.path(), || UdpSocket::bind("0.0.0.0:7777").expect("bind")).await;
    heard.set_read_timeout(Some(SHORT)).expect("timeout");
    let target = format!("{}:7777", world.public());
    inside(&guest.path(), move || {
        for (source, word) in [("203.0.113.99:0", "spoofed"), ("172.30.0.2:0", "honest")] {
            UdpSocket::bind(source).expect("bind").send_to(word.as_bytes(), &target).expect("send");
        }
    })
    .await;
    let mut words = Vec::new();
    let mut buffer = [0; 64];
    while let Ok(length) = heard.recv(&mut buffer) {
        words.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
    }
    assert_eq!(words, ["honest"]);
    pool.release(slot).await.expect("release");
    pool.teardown().await.expect("teardown");
    data.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_cannot_fill_the_table_of_connections() {
    required();
    let data = DataDir::new("flood");
    let world = World::new(14);
    let instance = claim(&data);
    let pool = pool(&instance, 0).await;
    world.open_public();
    let slot = pool.take().await.expect("take");
    let guest = guest("flooder", &slot);
    let target: std::net::IpAddr = world.public().parse().expect("address");
    inside(&guest.path(), move || {
        let socket = UdpSocket::bind("172.30.0.2:0").expect("bind");
        for port in 10_000..20_000 {
            // Refused by the world's closed ports, which an unconnected socket does not hear of.
            let _ = socket.send_to(b"x", (target, port));
        }
    })
    .await;
    let count =
        inside(slot.netns(), || fs::read_to_string("/proc/sys/net/netfilter/nf_conntrack_count")).await;
    let count: u32 = count.expect("count").trim().parse().expect("count");
    assert!((1000..4200).contains(&count), "{count} connections");
    pool.release(slot).await.expect("release");
    pool.teardown().await.expect("teardown");
    data.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_resolves_names_through_its_gateway() {
    required();
    let data = DataDir::new("resolver");
    let instance = claim(&data);
    let pool = pool(&instance, 1).await;
    let slot = pool.take().await.expect("take");
    let guest = guest("asker", &slot);
    // The root's nameservers: a question every resolver answers, if only with a failure.
    let query = [&[0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], &[0, 0, 2, 0, 1]].concat();
    let by_tcp = query.clone();
    let answers = inside(&guest.path(), move || {
        let limit = Some(Duration::from_secs(20));
        let socket = UdpSocket::bind("172.30.0.2:0").expect("bind");
        socket.set_read_timeout(limit).expect("timeout");
        socket.send_to(&query, "172.30.0.1:53").expect("send");
        let mut datagram = vec![0; 4096];
        let length = socket.recv(&mut datagram).expect("answer by datagram");
        datagram.truncate(length);

        let mut stream = TcpStream::connect("172.30.0.1:53").expect("connect");
        stream.set_read_timeout(limit).expect("timeout");
        stream.write_all(&[&[0, by_tcp.len() as u8][..], &by_tcp].concat()).expect("send");
        let mut length = [0; 2];
        stream.read_exact(&mut length).expect("length");
        let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut message).expect("answer by stream");
        [datagram, message]
    })
    .await;
    for answer in answers {
        assert_eq!(answer[..2], [0xab, 0xcd], "the answer of this query");
        assert_ne!(answer[2] & 0x80, 0, "an answer");
    }

    let begun = std::time::Instant::now();
    inside(&guest.path(), || {
        let socket = UdpSocket::bind("172.30.0.2:0").expect("bind");
        for _ in 0..5000 {
            socket.send_to(b"too short", "172.30.0.1:53").expect("send");
        }
    })
    .await;
    let snmp = inside(slot.netns(), || fs::read_to_string("/proc/thread-self/net/snmp").expect("snmp")).await;
    let may_pass = 400 + 200 * (begun.elapsed().as_secs() + 2);
    let udp = snmp.lines().filter_map(|line| line.strip_prefix("Udp: ")).nth(1).expect("figures");
    let figures: Vec<u64> = udp.split(' ').map(|figure| figure.parse().expect("a number")).collect();
    // Those that were read, and those that found the socket full; others wait in it.
    let passed = figures[0] + figures[2];
    assert!((1..=may_pass).contains(&passed), "{passed} of 5000 questions passed, not up to {may_pass}");
    pool.release(slot).await.expect("release");
    pool.teardown().await.expect("teardown");
    data.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agent_connects_to_a_guest_and_gives_up_in_time() {
    required();
    let data = DataDir::new("connect");
    let instance = claim(&data);
    let pool = pool(&instance, 0).await;
    let slot = pool.take().await.expect("take");
    let address = SocketAddr::from((wrenn_proto::GUEST_IP.0, GUEST_PORT));
    let begin = std::time::Instant::now();
    connect_in(slot.netns(), address, Duration::from_millis(300)).await.expect_err("there is no guest yet");
    assert!(begin.elapsed() < SHORT);

    let guest = guest("server", &slot);
    guest.echo(GUEST_PORT).await;
    let stream = connect_in(slot.netns(), address, SHORT).await.expect("connect");
    assert_eq!(stream.peer_addr().expect("peer"), address);
    assert_eq!(
        stream.local_addr().expect("local").ip(),
        wrenn_proto::GUEST_GATEWAY,
        "the guest sees its gateway"
    );
    pool.release(slot).await.expect("release");
    let gone = connect_in(Path::new("/run/netns/tstw-missing"), address, SHORT).await;
    assert!(gone.is_err());
    pool.teardown().await.expect("teardown");
    data.assert_clean();
}

/// Both ends of a slot's veth.
fn outer_addresses(slot: &Slot) -> Vec<String> {
    let name = slot.netns().file_name().and_then(|name| name.to_str()).expect("name").to_owned();
    let told = run("ip", &["-n", &name, "-4", "-oneline", "address", "show", "dev", "veth0"]);
    let inner = told.split_ascii_whitespace().skip_while(|&word| word != "inet").nth(1).expect("address");
    let inner: std::net::Ipv4Addr = inner.split('/').next().expect("address").parse().expect("address");
    vec![inner.to_string(), std::net::Ipv4Addr::from_bits(inner.to_bits() - 1).to_string()]
}

/// The host's address towards the internet.
fn default_address() -> String {
    let socket = UdpSocket::bind("0.0.0.0:0").expect("bind");
    // No packet is sent; it only chooses a route. Without one the loopback serves as well.
    let connected = socket.connect("192.0.2.200:9");
    connected
        .and_then(|()| socket.local_addr())
        .map_or("127.0.0.1".into(), |address| address.ip().to_string())
}
