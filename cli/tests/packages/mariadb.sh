# packages: mariadb-server
# A server by its own start script's means.
install -d -o mysql /run/mysqld
mariadbd-safe --user=mysql >/dev/null 2>&1 &
for _ in $(seq 300); do mariadb -e 'SELECT 1' >/dev/null 2>&1 && break; sleep 0.5; done
mariadb -Ne "CREATE DATABASE test; CREATE TABLE test.t (n INT); INSERT INTO test.t VALUES (40), (2); SELECT sum(n) FROM test.t" | grep -x 42
mariadb-admin shutdown
