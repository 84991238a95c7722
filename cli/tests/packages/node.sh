# packages: nodejs
# A server, asked by a client.
cat >/server.js <<'END'
const server = require('http').createServer((request, response) => response.end('answer'));
server.listen(0, async () => {
    const answer = await fetch(`http://127.0.0.1:${server.address().port}/`);
    console.log(await answer.text());
    process.exit();
});
END
node /server.js | grep -x answer
