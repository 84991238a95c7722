# packages: redis-server memcached
# Two stores in memory, as users of their own.
su redis -s /bin/sh -c 'redis-server --daemonize yes --dir /tmp --port 7001 --logfile /tmp/redis.log'
for _ in $(seq 100); do redis-cli -p 7001 ping 2>/dev/null | grep -q PONG && break; sleep 0.2; done
redis-cli -p 7001 incr counter && [ "$(redis-cli -p 7001 get counter)" = 1 ]
memcached -u nobody -d -p 7002
for _ in $(seq 100); do (exec 3<>/dev/tcp/127.0.0.1/7002) 2>/dev/null && break; sleep 0.2; done
exec 3<>/dev/tcp/127.0.0.1/7002 && printf 'version\r\nquit\r\n' >&3 && grep VERSION <&3
