"""A web server with everything that is hard to pass on; only the standard library.

/            a page that shows what it hears over a WebSocket and as an event
/headers     the request's headers as JSON
/echo        the request's body, as it comes
/sum         the length and the SHA-256 of the request's body
/bytes?n=N   N bytes
/events      server-sent events: one for every GET of /emit
/socket      a WebSocket that echoes
"""

import base64
import hashlib
import http.server
import json
import queue
import sys
import urllib.parse

PAGE = b"""<!doctype html><title>site</title><h1>From inside</h1><p id=socket></p><p id=event></p><script>
const show = (id, text) => (document.getElementById(id).textContent = text);
const socket = new WebSocket(`ws://${location.host}/socket`);
socket.onopen = () => socket.send('from the browser');
socket.onmessage = (event) => show('socket', 'heard ' + event.data);
const events = new EventSource('/events');
events.onopen = () => fetch('/emit');
events.onmessage = (event) => show('event', 'event ' + event.data);
</script>"""
events = queue.Queue()


class Site(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, body, kind="text/plain", status=200):
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def pieces(self):
        """The body of the request, however it is sent."""
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            while size := int(self.rfile.readline(), 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return
        left = int(self.headers.get("content-length", 0))
        while left:
            piece = self.rfile.read1(min(left, 65536))
            left -= len(piece)
            yield piece

    def chunk(self, piece):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))

    def do_GET(self):
        url = urllib.parse.urlparse(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        if url.path == "/":
            self.answer(PAGE, "text/html")
        elif url.path == "/headers":
            self.answer(json.dumps({"path": self.path, "headers": {k.lower(): v for k, v in self.headers.items()}}).encode(), "application/json")
        elif url.path == "/bytes":
            self.answer(b"x" * int(query["n"]), "application/octet-stream")
        elif url.path == "/emit":
            events.put("tick")
            self.answer(b"")
        elif url.path == "/events":
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            while True:
                self.chunk(b"data: %s\n\n" % events.get().encode())
        elif url.path == "/socket":
            self.socket()
        else:
            self.answer(b"nothing here", status=404)

    do_HEAD = do_GET

    def do_POST(self):
        if self.path == "/echo":
            self.send_response(200)
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            for piece in self.pieces():
                self.chunk(piece)
            self.wfile.write(b"0\r\n\r\n")
            return
        length, digest = 0, hashlib.sha256()
        for piece in self.pieces():
            length += len(piece)
            digest.update(piece)
        self.answer(f"{length} {digest.hexdigest()}".encode())

    def socket(self):
        key = self.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        self.send_response(101)
        self.send_header("upgrade", "websocket")
        self.send_header("connection", "upgrade")
        self.send_header("sec-websocket-accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
        self.end_headers()
        while frame := self.frame():
            opcode, data = frame
            if opcode == 9:
                opcode = 10
            length = len(data)
            head = bytes([0x80 | opcode])
            head += bytes([length]) if length < 126 else b"\x7e" + length.to_bytes(2, "big") if length < 65536 else b"\x7f" + length.to_bytes(8, "big")
            self.wfile.write(head + data)
            if opcode == 8:
                break
        self.close_connection = True

    def frame(self):
        head = self.rfile.read(2)
        if len(head) < 2:
            return None
        length = head[1] & 0x7F
        if length >= 126:
            length = int.from_bytes(self.rfile.read(2 if length == 126 else 8), "big")
        mask = self.rfile.read(4)
        data = self.rfile.read(length)
        return head[0] & 0x0F, bytes(byte ^ mask[i % 4] for i, byte in enumerate(data))

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Site).serve_forever()
