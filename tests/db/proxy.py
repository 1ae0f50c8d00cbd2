#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""proxy.py LISTEN SERVER EVERY: between a client of Postgres and its server, over local sockets. Of the server's
ReadyForQuery messages, which tell that a COMMIT is done, every EVERYth is swallowed and the connection cut: the client never
learns of a commit that happened. Prints the number of cuts when it ends (SIGTERM)."""
import os
import signal
import socket
import struct
import sys
import threading

listen, server, every = sys.argv[1], sys.argv[2], int(sys.argv[3])
seen = 0
cuts = 0
lock = threading.Lock()


def is_cut():
    global seen, cuts
    with lock:
        seen += 1
        if seen % every:
            return False
        cuts += 1
        return True


def upward(client, upstream):
    try:
        while data := client.recv(65536):
            upstream.sendall(data)
    except OSError:
        pass
    for end in (client, upstream):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def downward(client, upstream):
    pending = b""
    try:
        while data := upstream.recv(65536):
            pending += data
            while len(pending) >= 5 and len(pending) >= 1 + struct.unpack("!I", pending[1:5])[0]:
                size = 1 + struct.unpack("!I", pending[1:5])[0]
                if pending[:1] == b"Z" and is_cut():
                    return
                client.sendall(pending[:size])
                pending = pending[size:]
    except OSError:
        pass
    finally:
        for end in (client, upstream):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def stop(*_):
    print(cuts, flush=True)
    os._exit(0)


signal.signal(signal.SIGTERM, stop)
listener = socket.socket(socket.AF_UNIX)
listener.bind(listen)
os.chmod(listen, 0o777)
listener.listen(16)
while True:
    one, _ = listener.accept()
    other = socket.socket(socket.AF_UNIX)
    try:
        other.connect(server)
    except OSError:
        one.close()
        continue
    threading.Thread(target=upward, args=(one, other), daemon=True).start()
    threading.Thread(target=downward, args=(one, other), daemon=True).start()
