#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every principal of tests/corpus/rights.tsv on every operation of its channel.

rights.py ask TABLE TOKEN set|unset PORT RUN_DIR EXPECTED: asks, says what is not as the table has it, and writes the refusals
that the journal must have. rights.py journal STATE_DIR EXPECTED: compares, count by count.
"""
import collections
import encodings.idna  # noqa: F401 who has become another user may not be able to read it
import http.client
import json
import os
import re
import socket
import struct
import sys
import traceback

NO_FIRE = "00000000-0000-4000-8000-000000000000"
STRANGER, MEMBER, NOBODY = 64001, 64002, 65534
TIMEOUT_S = 60


def rows(path, kind):
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            fields = line.rstrip("\n").split("\t")
            if fields[0] == kind:
                yield fields[1:]


def scram_group():
    with open("/etc/group", encoding="utf-8") as lines:
        return next(int(line.split(":")[2]) for line in lines if line.startswith("scram:"))


def become(user):
    group = scram_group()
    uid, gid, groups = {
        "root": (0, 0, []),
        "member": (MEMBER, MEMBER, [group]),
        "primary": (MEMBER, group, []),
        "stranger": (STRANGER, STRANGER, []),
        "nobody": (NOBODY, NOBODY, []),
    }[user]
    os.setgroups(groups)
    os.setgid(gid)
    os.setuid(uid)
    return uid


def as_user(user, work):
    """The list that work returns, made by a process of that user."""
    inside, outside = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            become(user)
            with os.fdopen(outside, "w") as out:
                json.dump(work(), out)
            status = 0
        except Exception:
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(outside)
    with os.fdopen(inside) as text:
        got = text.read()
    if os.waitpid(pid, 0)[1]:
        raise RuntimeError(f"the process of {user} failed")
    return json.loads(got)


class Local(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=TIMEOUT_S)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT_S)
        self.sock.connect(self.path)


def ask_http(make, method, path, headers, body):
    """A status, `connect`, or `closed` where an answer was due."""
    connection = make()
    try:
        connection.connect()
        connection.putrequest(method, path.replace("{id}", NO_FIRE), skip_host=True, skip_accept_encoding=True)
        names = [name for name, _ in headers]
        if "Host" not in names:
            connection.putheader("Host", "127.0.0.1")
        for name, value in headers:
            connection.putheader(name, value)
        if method in ("POST", "PUT"):
            connection.putheader("Content-Type", "application/json")
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body.encode() if body else None)
        return connection.getresponse().status
    except PermissionError:
        return "connect"
    except (http.client.RemoteDisconnected, ConnectionResetError):
        return "closed"
    finally:
        connection.close()


def parse_headers(text, token, host):
    text = text.replace("@", token).replace("HOST", host)
    return [tuple(part.strip() for part in line.split(":", 1)) for line in text.split("&") if line]


def who_of(channel, user):
    return "127.0.0.1" if channel == "tcp" else f"uid:{ {'root': 0, 'stranger': STRANGER, 'nobody': NOBODY}.get(user, MEMBER)}"


def http_cells(table, token, state, port, run_dir, refusals):
    routes = [(row + [""])[:5] for row in rows(table, "route")]
    cells = wrong = 0
    for row in rows(table, "http"):
        name, its_state, channel, user, read, write, given = (row + [""])[:7]
        if its_state != state:
            continue
        host = f"127.0.0.1:{port}"
        headers = parse_headers(given, token, host)
        if channel == "tcp":
            headers = headers if any(n == "Host" for n, _ in headers) else headers + [("Host", host)]

        def make(channel=channel):
            if channel == "tcp":
                return http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
            return Local(f"{run_dir}/api.sock")

        got = as_user(user, lambda: [ask_http(make, r[0], r[1], headers, r[4]) for r in routes])
        for (method, path, kind, granted, _), status in zip(routes, got):
            wanted = write if kind == "write" else read
            cells += 1
            if str(status) != (granted if wanted == "ok" else wanted):
                wrong += 1
                print(f"{name}, {channel}: {method} {path}: {status}, wanted {granted if wanted == 'ok' else wanted}")
            if kind == "write" and wanted not in ("ok", "connect"):
                at = "http" if channel == "tcp" else channel
                refusals[f"{at} {who_of(channel, user)} {method} {path} {wanted}"] += 1
    return cells, wrong


def ask_control(path, op):
    """`ok`, `refused`, `turned away` or `connect`."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(TIMEOUT_S)
        try:
            sock.connect(path)
            message = json.dumps({"op": op}).encode()
            sock.sendall(struct.pack("<I", len(message)) + message)
            answer = b""
            while len(answer) < 4 or len(answer) < 4 + struct.unpack("<I", answer[:4])[0]:
                piece = sock.recv(65536)
                if not piece:
                    return "turned away"
                answer += piece
        except PermissionError:
            return "connect"
        except (BrokenPipeError, ConnectionResetError):
            return "turned away"
    reply = json.loads(answer[4:])
    return "refused" if "only a worker" in (reply["error"] or "") else "ok"


def control_cells(table, run_dir, refusals):
    ops = list(rows(table, "op"))
    path = f"{run_dir}/control.sock"
    shut = os.stat(path).st_mode & 0o777
    cells = wrong = 0
    for name, user, door, people, workers in rows(table, "control"):
        os.chmod(path, 0o666 if door == "open" else shut)
        got = as_user(user, lambda: [ask_control(path, op) for op, _ in ops])
        for (op, kind), verdict in zip(ops, got):
            wanted = people if kind == "people" else workers
            cells += 1
            if verdict != wanted:
                wrong += 1
                print(f"{name}: {op}: {verdict}, wanted {wanted}")
            if wanted in ("refused", "turned away"):
                what = op if wanted == "refused" else "connect"
                refusals[f"control.sock {who_of('control', user)} {what} None"] += 1
        os.chmod(path, shut)
    return cells, wrong


def missing(table, port):
    """What the table forgets: operations of the protocol, routes of the API."""
    with open("userspace/engine/protocol.c", encoding="utf-8") as source:
        ops = set(re.findall(r'\[SC_OP_\w+\] = \{"([^"]+)"', source.read()))
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    connection.request("GET", "/v1/openapi.json")
    paths = json.loads(connection.getresponse().read())["paths"]
    routes = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    in_table = {f"{row[0]} {row[1].split('?')[0]}" for row in rows(table, "route")}
    return sorted(ops ^ {row[0] for row in rows(table, "op")}) + sorted(routes - in_table)


def ask(table, token, state, port, run_dir, expected):
    refusals = collections.Counter()
    cells, wrong = http_cells(table, token, state, int(port), run_dir, refusals)
    if state == "set":
        more, more_wrong = control_cells(table, run_dir, refusals)
        cells, wrong = cells + more, wrong + more_wrong
    for name in missing(table, int(port)):
        wrong += 1
        print(f"{name} is not in the table, or no more in the program")
    with open(expected, "w", encoding="utf-8") as out:
        json.dump(refusals, out)
    print(f"{cells} cells, {sum(refusals.values())} refusals, {wrong} wrong")
    return 1 if wrong else 0


def journal(state_dir, expected):
    found = collections.Counter()
    records = 0
    folder = f"{state_dir}/journal"
    for name in sorted(os.listdir(folder)):
        if not name.endswith(".jsonl"):
            continue
        with open(f"{folder}/{name}", "rb") as segment:
            for line in segment.read().split(b"\n"):
                if b'"request.refused"' not in line:
                    continue
                body = json.loads(line)["body"]
                found[f"{body['channel']} {body['who']} {body['what']} {body['status']}"] += body["count"]
                records += 1
    with open(expected, encoding="utf-8") as text:
        wanted = collections.Counter(json.load(text))
    for key in sorted(set(found) | set(wanted)):
        if found[key] != wanted[key]:
            print(f"{key}: {found[key]} in the journal, {wanted[key]} asked")
    print(f"{sum(wanted.values())} refusals, {records} records")
    return 1 if found != wanted or records >= sum(wanted.values()) else 0


if __name__ == "__main__":
    sys.exit({"ask": ask, "journal": journal}[sys.argv[1]](*sys.argv[2:]))
