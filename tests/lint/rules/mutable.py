# SPDX-License-Identifier: Apache-2.0
"""No variable lives in a file: state is passed. Read from the symbol tables of the built archives."""
import re
import subprocess

from tree import Fault

# name: why it may live.
ALLOWED = {
    "log_level": "base/log.c: the level of the process",
    "dropped": "base/log.c: lines that standard error did not take",
    "empty": "base/str.c: what an unallocated string points at; never written",
    "wire": "worker/api/wire.c: recv(2) has no room for an argument",
}


def check(tree):
    for archive in sorted(tree.build.glob("libscram*.a")):
        table = subprocess.run(["nm", "-A", "-f", "sysv", str(archive)], capture_output=True, text=True).stdout
        for row in table.splitlines():
            cells = [c.strip() for c in row.split("|")]
            if len(cells) < 7 or cells[3] != "OBJECT" or not re.match(r"\.t?(data|bss)(?!\.rel\.ro)", cells[6]):
                continue
            m = re.match(r".*?:([\w.-]+\.o):(\S+)", cells[0])
            name = re.sub(r"\.\d+$", "", m.group(2)) if m else cells[0]
            if name not in ALLOWED and not name.startswith(("__", "_DYNAMIC")):
                yield Fault(f"{archive.name}({m.group(1) if m else '?'})", 0, f"{name} can change; make it const or a parameter")
