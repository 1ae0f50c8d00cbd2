#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""fake_pg.py SOCKET CASE: a server that speaks the protocol of PostgreSQL as far as CASE says, and then wrong.
fake_pg.py --list prints the cases. PostgreSQL manual, "Message Formats"."""
import os
import socket
import struct
import sys

ESC = b"\x1b[2J\x1b]0;owned\x07\r\x9b31m \xe2\x80\xae \xff\xfe"
PIECE = 1 << 16


def msg(kind, body=b""):
    return kind + struct.pack("!I", len(body) + 4) + body


def error(text, state=b"XX000", severity=b"ERROR"):
    return msg(b"E", b"S" + severity + b"\0V" + severity + b"\0C" + state + b"\0M" + text + b"\0\0")


def row(*values):
    body = struct.pack("!H", len(values))
    for value in values:
        body += struct.pack("!i", len(value)) + value
    return msg(b"D", body)


def columns(*names):
    body = struct.pack("!H", len(names))
    for name in names:
        body += name + b"\0" + struct.pack("!IHIhiH", 0, 0, 25, -1, -1, 0)
    return msg(b"T", body)


READY = msg(b"Z", b"I")
AUTH_OK = msg(b"R", struct.pack("!I", 0))
HELLO = AUTH_OK + msg(b"S", b"server_version\00015.0\0") + msg(b"S", b"client_encoding\0UTF8\0") + msg(b"K", b"\0" * 8) + READY
SET_OK = msg(b"C", b"SET\0") + READY
PREPARED = msg(b"1") + READY
CURSOR = msg(b"1") + msg(b"2") + columns(b"seq", b"hash")
NO_CURSOR = CURSOR + msg(b"C", b"SELECT 0\0") + READY


def cursor(*values, head=columns(b"seq", b"hash")):
    return msg(b"1") + msg(b"2") + head + row(*values) + msg(b"C", b"SELECT 1\0") + READY


def endless(piece):
    return [piece * max(1, PIECE // len(piece))]


# What is said: to the first message, to the SET, to the prepared statement, to the question for the cursor, to the records.
# A list is said without end; after the last the connection is cut.
STAGES = {"start": [], "set": [HELLO], "prepare": [HELLO, SET_OK], "cursor": [HELLO, SET_OK, PREPARED],
          "append": [HELLO, SET_OK, PREPARED, NO_CURSOR]}
WRONG = {
    "nothing": b"",
    "garbage": bytes(range(256)) * 64,
    "zeroes-without-end": endless(b"\0" * 64),
    "half-a-header": b"R\0\0",
    "half-a-message": msg(b"E", b"SERROR\0")[:-3],
    "length-zero": b"R\0\0\0\0" * 8,
    "length-negative": b"E\xff\xff\xff\xff" + b"x" * 64,
    "a-gigabyte-is-announced": [b"E\x3f\xff\xff\xff" + b"x" * PIECE],
    "error-of-8-MiB": error(b"password=hunter2 " * (1 << 19)),
    "error-with-control-bytes": error(b"password=hunter2 " + ESC + b" postgresql://u:hunter2@host/db\n\tend"),
    "error-without-fields": msg(b"E", b"\0"),
    "error-without-end": msg(b"E", b"Mpassword=hunter2"),
    "error-of-odd-state": error(b"odd", state=b"\x1b[2J!"),
    "notices-without-end": endless(msg(b"N", b"SNOTICE\0C00000\0M" + ESC + b"\0\0")),
    "parameters-without-end": endless(msg(b"S", b"a\0" + ESC + b"\0")),
    "notifications-without-end": endless(msg(b"A", b"\0\0\0\1" + b"c" * 60 + b"\0" + b"p" * 200 + b"\0")),
    "ready-without-end": endless(READY),
    "completions-without-end": endless(msg(b"C", b"SELECT 1\0")),
    "a-copy-in": msg(b"G", b"\0\0\1\0\0") + READY,
    "a-copy-out-without-end": [msg(b"H", b"\0\0\1\0\0") + msg(b"d", b"x" * 1000) * 60],
    "a-copy-of-both": msg(b"W", b"\0\0\1\0\0"),
    "rows-without-columns": row(b"1") + READY,
    "unknown-kind": msg(b"?", b"x") + READY,
    "fatal": error(b"terminated, password=hunter2", state=b"57P01", severity=b"FATAL"),
}
OF_START = {
    "silence": None,
    "auth-unknown": msg(b"R", struct.pack("!I", 99)),
    "auth-short": msg(b"R", b"\0"),
    "auth-sasl-of-nothing": msg(b"R", struct.pack("!I", 10) + b"\0"),
    "auth-again-and-again": endless(AUTH_OK),
    "key-of-odd-length": AUTH_OK + msg(b"K", b"\0" * 3) + READY,
    "old-error": b"Epassword=hunter2 " + ESC + b"\0",
    "tls-and-then-none": b"S" + bytes(range(256)),
}
OF_CURSOR = {
    "no-column": cursor(head=columns()),
    "one-column": cursor(b"7", head=columns(b"seq")),
    "65535-columns": msg(b"1") + msg(b"2") + msg(b"T", struct.pack("!H", 65535)) + READY,
    "fewer-values-than-columns": cursor(b"7"),
    "more-values-than-columns": cursor(b"7", b"x", b"y"),
    "value-of-negative-length": CURSOR + msg(b"D", struct.pack("!Hii", 2, -77, 5)) + READY,
    "value-longer-than-its-row": CURSOR + msg(b"D", struct.pack("!Hi", 2, 1 << 20) + b"x") + READY,
    "seq-is-no-number": cursor(b"many", ESC),
    "seq-of-2-to-the-64": cursor(b"18446744073709551615", b"0" * 64),
    "hash-of-a-mebibyte": cursor(b"7", b"f" * (1 << 20)),
    "nul-in-values": cursor(b"7\0" + b"9", b"a\0b"),
    "rows-without-end": [CURSOR + row(b"1", b"x" * 1000) * 60],
}


def all_cases():
    cases = {f"start:{n}": [w] for n, w in OF_START.items()}
    cases.update({f"cursor:{n}": STAGES["cursor"] + [w] for n, w in OF_CURSOR.items()})
    for stage, before in STAGES.items():
        # What has no end is waited for until a deadline: at the first stage and the last.
        cases.update({f"{stage}:{n}": before + [w] for n, w in WRONG.items()
                      if stage in ("start", "append") or not isinstance(w, list)})
    return cases


def said(conn, stage):
    """Waits until the client wants an answer: its first message, a Query, or a Sync."""
    if stage == 0:
        size = struct.unpack("!I", exactly(conn, 4))[0]
        exactly(conn, size - 4)
        return
    while True:
        kind = exactly(conn, 1)
        exactly(conn, struct.unpack("!I", exactly(conn, 4))[0] - 4)
        if kind in b"QS":
            return


def exactly(conn, n):
    data = b""
    while len(data) < n:
        more = conn.recv(n - len(data))
        if not more:
            raise ConnectionError
        data += more
    return data


def serve(conn, answers):
    for stage, answer in enumerate(answers):
        said(conn, stage)
        if answer is None:
            conn.recv(1)
            return
        if isinstance(answer, list):
            while True:
                conn.sendall(answer[0])
        conn.sendall(answer)


def main():
    cases = all_cases()
    if sys.argv[1] == "--list":
        print("\n".join(cases))
        return
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(sys.argv[1])
    os.chmod(sys.argv[1], 0o777)
    listener.listen(16)
    while True:
        conn, _ = listener.accept()
        try:
            serve(conn, cases[sys.argv[2]])
        except OSError:
            pass
        conn.close()


main()
