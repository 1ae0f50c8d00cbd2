#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""webhooks.py DIRECTORY SECRET_FILE: receives webhooks as a careful receiver would.

Writes its port to DIRECTORY/port once it listens, and each request as one line of JSON to DIRECTORY/log: path, key, event,
whether its signature is right (null: it has none), whether its time is recent, and the body. The secret is read for each
request. The path says what is answered: /ok 200, /failing-twice 500 twice and then 200, /refusing 400, /hanging nothing.
"""
import hashlib
import hmac
import http.server
import json
import os
import sys
import threading
import time

directory, secret_file = sys.argv[1:]
lock = threading.Lock()
failures = {}


def is_signed_well(headers, body):
    given = headers.get("Scram-Signature")
    if given is None:
        return None
    with open(secret_file, "rb") as f:
        secret = f.read().rstrip(b"\n")
    stamp = headers["Scram-Timestamp"].encode()
    return hmac.compare_digest(given, "v1=" + hmac.new(secret, stamp + b"." + body, hashlib.sha256).hexdigest())


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        line = json.dumps({
            "path": self.path,
            "key": self.headers["Idempotency-Key"],
            "event": self.headers["Scram-Event"],
            "type": self.headers["Content-Type"],
            "signed": is_signed_well(self.headers, body),
            "stamp": self.headers["Scram-Timestamp"],
            "signature": self.headers["Scram-Signature"],
            "raw": body.decode(),
            "recent": abs(time.time() - int(self.headers["Scram-Timestamp"])) < 300,
            "body": json.loads(body),
        })
        with lock, open(directory + "/log", "a", encoding="utf-8") as log:
            log.write(line + "\n")
        status = self.status(self.path)
        if status is None:
            threading.Event().wait()
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def status(self, path):
        if path == "/failing-twice":
            with lock:
                failures[path] = failures.get(path, 0) + 1
                return 500 if failures[path] <= 2 else 200
        return {"/ok": 200, "/refusing": 400, "/hanging": None}.get(path, 404)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


server = Server(("127.0.0.1", 0), Receiver)
with open(directory + "/port.new", "w", encoding="utf-8") as f:
    f.write(str(server.server_port))
os.rename(directory + "/port.new", directory + "/port")
server.serve_forever()
