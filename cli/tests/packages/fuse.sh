# packages: fuse3 bindfs sshfs openssh-server
# FUSE filesystems: one over a folder, one over SSH.
mkdir /source /mirror /remote
echo text >/source/note
bindfs --force-user=nobody /source /mirror
[ "$(cat /mirror/note)" = text ] && [ "$(stat -c %U /mirror/note)" = nobody ]
fusermount3 -u /mirror
ssh-keygen -q -N '' -f /root/.ssh/id_ed25519 -t ed25519 && cp /root/.ssh/id_ed25519.pub /root/.ssh/authorized_keys
/usr/sbin/sshd
sshfs -o StrictHostKeyChecking=no localhost:/source /remote
[ "$(cat /remote/note)" = text ]
fusermount3 -u /remote
