#!/usr/bin/env python3
"""One instance of a plain HTTP service: it names itself, and can be made slow, failing, or well again.

    orders.py NAME PORT          GET anything            -> 200, "NAME\\n"
                                 POST /control?status=503&delay_ms=200
                                                         -> every answer from now on has this status, after this delay
It knows nothing of the mesh. On SIGTERM it finishes what it has and ends.
"""
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

name, port = sys.argv[1], int(sys.argv[2])
behaviour = {"status": 200, "delay_ms": 0}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        time.sleep(behaviour["delay_ms"] / 1000)
        self.answer(behaviour["status"], name)

    def do_POST(self):
        for key, values in parse_qs(urlsplit(self.path).query).items():
            behaviour[key] = int(values[0])
        self.answer(200, "ok")

    def answer(self, status, text):
        body = (text + "\n").encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        """A client that goes away is no news."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


server = Server(("127.0.0.1", port), Handler)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever(poll_interval=0.05)
