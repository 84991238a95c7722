# packages: docker.io iptables
# A Docker engine builds an image and runs it, with a limit of memory and behind NAT.
dockerd >/dockerd.log 2>&1 &
for _ in $(seq 300); do docker info >/dev/null 2>&1 && break; sleep 0.5; done
docker info 2>/dev/null | grep 'Storage Driver: overlay2'
mkdir -p /context/root/bin && cd /context
cp /bin/dash root/bin/sh && cp /bin/cat /bin/ls root/bin
for library in $(ldd /bin/dash /bin/cat /bin/ls | grep -o '/lib[^ ]*'); do cp -L --parents "$library" root; done
tar -C root -c . | docker import - base
printf '%s\n' 'FROM base' 'RUN echo built > /note' 'CMD ["cat", "/note"]' >Dockerfile
docker build -t test .
[ "$(docker run --rm --memory 64m test)" = built ]
# In a bridged network, an address of its own: the way out is masqueraded.
iptables -t nat -S POSTROUTING | grep MASQUERADE
docker run --rm test ls /sys/class/net | grep eth0
