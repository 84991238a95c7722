# packages: iptables nftables conntrack wireguard-tools
# A router: a network behind NAT by iptables, another by nftables, and a tunnel of WireGuard.
ip netns add inner
ip link add outer0 type veth peer name inner0 netns inner
ip address add 10.77.0.1/24 dev outer0 && ip link set outer0 up
ip -n inner address add 10.77.0.2/24 dev inner0 && ip -n inner link set inner0 up
ip -n inner route add default via 10.77.0.1
ip link add far type dummy && ip address add 192.0.2.1/32 dev far && ip link set far up
sysctl -qw net.ipv4.ip_forward=1
iptables -t nat -A PREROUTING -d 198.51.100.1 -p tcp --dport 80 -j DNAT --to 192.0.2.1:8080
iptables -t nat -A POSTROUTING -s 10.77.0.0/24 -j MASQUERADE
iptables -A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
cd /tmp && echo found >note && python3 -m http.server 8080 --bind 192.0.2.1 >/dev/null 2>&1 &
for _ in $(seq 100); do
    answer=$(ip netns exec inner curl -s --max-time 5 http://198.51.100.1/note || true)
    [ "$answer" ] && break
    sleep 0.2
done
[ "$answer" = found ]
conntrack -L 2>/dev/null | grep 198.51.100.1
nft add table ip other
nft 'add chain ip other out { type nat hook postrouting priority 100; }'
nft add rule ip other out ip saddr 10.77.0.0/24 masquerade
nft list ruleset | grep 'ip saddr 10.77.0.0/24 masquerade'
ip link add wg0 type wireguard
wg genkey >/key && wg set wg0 private-key /key listen-port 51820
wg show wg0 | grep 51820
