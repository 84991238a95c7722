# packages: openssh-server cron supervisor rsync tmux
# Services that expect a machine with an init: started by hand, and by a supervisor.
/usr/sbin/sshd
ssh-keygen -q -N '' -f /root/.ssh/id_ed25519 -t ed25519 && cp /root/.ssh/id_ed25519.pub /root/.ssh/authorized_keys
[ "$(ssh -o StrictHostKeyChecking=no localhost echo over ssh)" = 'over ssh' ]
mkdir /from && echo text >/from/note && rsync -a -e ssh localhost:/from/ /to/ && [ "$(cat /to/note)" = text ]
printf '%s\n' '[program:test]' 'command=sh -c "echo started > /started; exec sleep 1000"' >/etc/supervisor/conf.d/test.conf
/usr/bin/supervisord -c /etc/supervisor/supervisord.conf
for _ in $(seq 200); do [ -s /started ] && supervisorctl status test | grep -q RUNNING && break; sleep 0.3; done
supervisorctl status test | grep RUNNING
tmux new-session -d 'echo in tmux > /tmux; sleep 1000'
cron
echo '* * * * * root touch /by-cron' >/etc/cron.d/test
for _ in $(seq 200); do [ -e /tmux ] && [ -e /by-cron ] && break; sleep 0.5; done
ls /tmux /by-cron
