# packages: podman crun uidmap slirp4netns fuse-overlayfs dbus-user-session
# Rootless containers of an ordinary user.
useradd --create-home --shell /bin/bash someone
grep someone /etc/subuid || usermod --add-subuids 100000-165535 --add-subgids 100000-165535 someone
mkdir -p /context/root/bin && cd /context
cp /bin/dash root/bin/sh && cp /bin/cat /usr/bin/id root/bin
for library in $(ldd /bin/dash /bin/cat /usr/bin/id | grep -o '/lib[^ ]*'); do cp -L --parents "$library" root; done
tar -C root -c . >base.tar
printf '%s\n' 'FROM localhost/base' 'RUN echo built > /note' 'CMD ["cat", "/note"]' >Dockerfile
install -d -m 700 -o someone /run/user/1000
chown -R someone .
as_someone() { su someone -c "cd /context && XDG_RUNTIME_DIR=/run/user/1000 podman --cgroup-manager cgroupfs $*"; }
as_someone import base.tar localhost/base
as_someone build -t test .
[ "$(as_someone run --rm --cgroups disabled test)" = built ]
[ "$(as_someone run --rm --cgroups disabled test id -u)" = 0 ]
