# SPDX-License-Identifier: Apache-2.0
"""Who may include whom. One row per folder; the pure core knows no system call and no clock."""
import os

from tree import Fault

CORE = ["signal", "predicate", "condition", "interlock"]
# Public headers beyond the types every room may speak of.
OUTER = {"journal.h", "config.h", "engine.h"}
SYSTEM_FREE = ("sys/", "fcntl.h", "time.h", "signal.h", "pthread.h", "poll.h", "unistd.h", "bpf/", "netlink/")

# folder: (rooms besides itself, public headers; None = all types, OUTER excepted)
TABLE = {
    "base": ([], set()),
    "sys": (["base"], {"abi.h", "gate.h", "readonly.h", "readonly_abi.h", "signals.def", "target.h", "snapshot.h"}),
    "signal": (["base"], None),
    "predicate": (["base", "signal"], None),
    "condition": (["base", "signal", "predicate"], None),
    "interlock": (["base", "signal", "predicate", "condition"], None),
    "action": (["base"], None),
    "record": (["base"], {"journal.h"}),
    "config": (["base", "action"] + CORE, {"config.h"}),
    "engine": (["base", "action", "record", "config"] + CORE, OUTER),
    # The one place where sys and engine meet.
    "wire": (["base", "sys", "action", "record", "config", "engine"] + CORE, OUTER),
    "cli": (["base"], OUTER),
    "worker": (["base"], set()),
}
# Single doors between rooms: (file or folder, header), each with its reason.
DOORS = {
    ("cli", "engine/protocol.h"): "the messages both ends of the control socket speak",
    ("userspace/cli/notify.c", "engine/app_message.h"): "a shell hears at once what the agent would refuse",
    ("worker", "engine/protocol.h"): "likewise",
    ("worker", "record/segment.h"): "a worker reads the journal for itself",
    ("worker", "record/line.h"): "likewise",
    ("worker", "scram/journal.h"): "likewise",
    ("worker", "scram/messages.h"): "which records others are told of",
    ("worker", "scram/fire.h"): "the bounds of what a fire is asked with",
    ("worker", "record/redact.h"): "what is told or stored holds no secret",
    ("userspace/cli/offline.c", "record/fold.h"): "release --offline is the agent for that moment: it reads the journal",
    ("userspace/cli/offline.c", "sys/cgroup.h"): "and thaws",
    ("userspace/cli/offline.c", "wire/traffic.h"): "and gives back the network",
    ("userspace/cli/offline.c", "wire/readonly.h"): "and the right to write",
}


def may(room, path, name, quoted):
    rooms, public = TABLE[room]
    if (room, name) in DOORS or (path, name) in DOORS:
        return True
    if name.startswith("scram/"):
        header = name[len("scram/"):]
        if public is None or room in ("record", "config", "engine", "wire", "cli"):
            return header not in OUTER or header in (public or set())
        return header in public
    if quoted:
        folder = name.split("/")[0]
        return folder == room or folder in rooms or name == "version.h" or name.endswith(".skel.h") and room == "sys"
    return not (room in CORE and name.startswith(SYSTEM_FREE))


def check(tree):
    for path in tree.c_files("userspace/"):
        parts = path.split("/")
        if len(parts) < 3:
            continue  # main.c wires everything
        room = parts[1]
        if room not in TABLE:
            yield Fault(path, 1, f"room '{room}' has no row in tests/lint/rules/layers.py; add one")
            continue
        for line, name, quoted in tree.includes(path):
            if not may(room, path, name, quoted):
                yield Fault(path, line, f"{room} may not use {name}; take it as a value or through a port")
    for path in tree.c_files("include/"):
        for line, name, quoted in tree.includes(path):
            if quoted and not name.startswith("base/"):
                yield Fault(path, line, f"a public header may not use {name}; forward-declare the type")
    for path in tree.c_files("bpf/"):
        for line, name, quoted in tree.includes(path):
            if name.startswith("scram/") and name not in ("scram/abi.h", "scram/gate.h", "scram/readonly_abi.h", "scram/signals.def") or \
                    quoted and os.path.dirname(name):
                yield Fault(path, line, f"BPF shares scram/abi.h, scram/gate.h and scram/signals.def only, not {name}")
