# packages: nginx apache2 php-cli haproxy
# Web servers behind each other: haproxy, nginx, apache, PHP's own.
mkdir /site && echo '<?php echo "from php ", 6 * 7;' >/site/index.php
php -S 127.0.0.1:8001 -t /site >/dev/null 2>&1 &
sed -i 's/Listen 80/Listen 8002/' /etc/apache2/ports.conf
a2enmod -q proxy proxy_http
echo 'ProxyPass / http://127.0.0.1:8001/' >/etc/apache2/conf-enabled/test.conf
apache2ctl start
rm -f /etc/nginx/sites-enabled/default
echo 'server { listen 8003; location / { proxy_pass http://127.0.0.1:8002; } }' >/etc/nginx/conf.d/test.conf
nginx
printf '%s\n' 'defaults' ' mode http' ' timeout connect 10s' ' timeout client 10s' ' timeout server 10s' \
    'listen all' ' bind 127.0.0.1:8004' ' server one 127.0.0.1:8003' >/haproxy.cfg
haproxy -D -f /haproxy.cfg
for _ in $(seq 100); do
    answer=$(curl -sf http://127.0.0.1:8004/ || true)
    [ "$answer" ] && break
    sleep 0.3
done
[ "$answer" = 'from php 42' ]
