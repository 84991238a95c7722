# packages: postgresql postgresql-client
# A cluster that an ordinary user makes and runs.
useradd --create-home someone
bin=$(ls -d /usr/lib/postgresql/*/bin)
su someone -c "$bin/initdb -D ~/cluster >/dev/null && $bin/pg_ctl -D ~/cluster -w -t 120 -o '-k /tmp' -l ~/log start"
su someone -c "psql -h /tmp -Atc 'SELECT sum(n) FROM generate_series(1, 100) n' postgres" | grep -x 5050
su someone -c "$bin/pg_ctl -D ~/cluster -w stop"
