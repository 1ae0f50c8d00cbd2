#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Sends the lists of tests/corpus/http and compares statuses.

http_corpus.py requests|bodies FILE PORT [TOKEN]: prints what differs; exit status 1 if anything does.
"""
import re
import socket
import sys

STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
ESCAPES = {b"\\\\": b"\\", b"\\r": b"\r", b"\\n": b"\n", b"\\t": b"\t"}


def unescape(text):
    def one(match):
        found = match.group(0)
        return ESCAPES[found] if found in ESCAPES else bytes([int(found[2:], 16)])

    return re.sub(rb"\\\\|\\[rnt]|\\x[0-9a-f]{2}", one, text.encode("latin-1"))


def ask(port, raw):
    """The status of the last answer; 0 when the connection ended without one."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as sock:
        answer = b""
        try:
            sock.sendall(raw)
            sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it may end the connection before it has read everything
        try:
            while piece := sock.recv(65536):
                answer += piece
        except ConnectionResetError:
            pass
    found = STATUS.findall(answer)
    return int(found[-1]) if found else 0


def rows(path):
    with open(path, encoding="latin-1", newline="\n") as lines:
        for line in lines:
            if not line.startswith("#"):
                yield line.rstrip("\n").split("\t")


def main(kind, path, port, token=""):
    total = wrong = 0
    for row in rows(path):
        if kind == "requests":
            status, name, text = row
            raw = unescape(text)
        else:
            status, target, name, text = row
            body = unescape(text)
            head = (
                f"POST {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            raw = head.encode() + body
        total += 1
        got = ask(int(port), raw)
        if got != int(status):
            wrong += 1
            print(f"{name}: {got}, wanted {status}")
    print(f"{total} sent, {wrong} wrong")
    return 1 if wrong or total < 300 else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
