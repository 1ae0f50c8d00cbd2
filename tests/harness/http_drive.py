#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What curl cannot: http_drive.py PORT TOKEN FIRE-BODY. Exit status 1 at the first surprise."""
import re
import socket
import sys
import time

GET = b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n"


def connect(port):
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def read_all(sock):
    answer = b""
    try:
        while piece := sock.recv(65536):
            answer += piece
    except ConnectionResetError:
        pass
    return answer


def slow_head_is_ended(port):
    """A byte every half second keeps a connection lively, but not the request."""
    begin = time.monotonic()
    with connect(port) as sock:
        sock.settimeout(0.5)
        answer = b""
        for byte in GET * 2:
            try:
                sock.sendall(bytes([byte]))
                answer = sock.recv(100)
                break
            except socket.timeout:
                continue
            except OSError:
                break
        took = time.monotonic() - begin
        assert b" 408 " in answer and 8 < took < 14, (answer, took)


def silent_connection_is_ended(port):
    with connect(port) as sock:
        assert b" 408 " in sock.recv(100)


def many_connections_are_bounded(port):
    crowd = [connect(port) for _ in range(256)]
    with connect(port) as late:
        late.sendall(GET)
        assert b" 503 " in read_all(late), "the 257th was served"
    crowd[0].sendall(GET)
    assert b" 200 " in crowd[0].recv(100), "the first is not served"
    for sock in crowd:
        sock.close()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with connect(port) as sock:
            sock.sendall(GET)
            if b" 200 " in sock.recv(100):
                return
    raise AssertionError("places are not given back")


def answers_come_in_order(port):
    with connect(port) as sock:
        sock.sendall(GET.replace(b"health", b"fires") + GET + GET.replace(b"/v1/health", b"/nope"))
        sock.shutdown(socket.SHUT_WR)
        statuses = re.findall(rb"HTTP/1\.1 (\d+)", read_all(sock))
        assert statuses == [b"200", b"200", b"404"], statuses


class Stream:
    def __init__(self, port, after, token=None):
        self.sock = connect(port)
        auth = f"Authorization: Bearer {token}\r\n" if token else ""
        place = f"Last-Event-ID: {after}\r\n" if after is not None else ""
        self.sock.sendall(f"GET /v1/stream HTTP/1.1\r\nHost: localhost\r\n{auth}{place}\r\n".encode())
        self.text = b""

    def until(self, test, seconds=10):
        self.sock.settimeout(seconds)
        while not test(self.text):
            piece = self.sock.recv(65536)
            assert piece, "the stream ended"
            self.text += piece
        return self.text

    def ids(self):
        return [int(i) for i in re.findall(rb"^id: (\d+)$", self.text, re.M)]


def fire(port, token, body):
    head = (
        f"POST /v1/fire HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}"
    )
    with connect(port) as sock:
        sock.sendall(head.encode())
        answer = read_all(sock)
    assert b" 200 " in answer[:20], answer
    return re.search(rb'"fire_id":"([^"]+)"', answer).group(1)


def stream_loses_nothing(port, token, body):
    first = Stream(port, None)
    first.until(lambda text: b"retry:" in text)
    made = [fire(port, token, body)]
    first.until(lambda text: made[0] in text)
    last = first.ids()[-1]
    first.sock.close()
    made += [fire(port, token, body) for _ in range(20)]
    again = Stream(port, last)
    again.until(lambda text: all(one in text for one in made[1:]))
    made.append(fire(port, token, body))
    again.until(lambda text: made[-1] in text)
    got = again.ids()
    assert got == list(range(last + 1, last + 1 + len(got))), (last, got)
    assert b"state_snapshot" not in again.text
    whole = Stream(port, 0, token)
    whole.until(lambda text: made[-1] in text)
    got = whole.ids()
    assert got == list(range(1, len(got) + 1)), got[:50]
    assert b'"hash":"' in whole.text
    again.sock.close()
    whole.sock.close()


def streams_are_bounded(port):
    """Those of before may still hold their places for a moment."""
    streams = []
    while len(streams) <= 33:
        one = Stream(port, None)
        streams.append(one)
        if b" 503 " in one.until(lambda text: b"retry:" in text or b" 503 " in text):
            break
    assert 30 <= len(streams) <= 33, len(streams)
    for one in streams:
        one.sock.close()


def main(port, token, body):
    port = int(port)
    answers_come_in_order(port)
    stream_loses_nothing(port, token, body)
    many_connections_are_bounded(port)
    streams_are_bounded(port)
    slow_head_is_ended(port)
    silent_connection_is_ended(port)


if __name__ == "__main__":
    main(*sys.argv[1:])
