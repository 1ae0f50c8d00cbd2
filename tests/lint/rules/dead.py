# SPDX-License-Identifier: Apache-2.0
"""Every file is reached: C by the Makefile, headers by an include, scripts and BPF objects by a name."""
import os
import re

from tree import Fault

# Folders whose *.c the Makefile takes by wildcard, besides the rooms it lists.
WILDCARDS = ("tests/harness", "tests/harness/main", "tests/bpf", "tests/live", "tests/programs", "tests/bench", "tests/sim",
             "tests/fuzz", "tests/db")


def rooms(tree):
    make = tree.text("Makefile") if "Makefile" in tree.files else ""
    return re.findall(r"[\w/]+", " ".join(re.findall(r"^\w+_ROOMS := (.*)", make, re.M)))


def check(tree):
    included = {os.path.basename(name) for path in tree.c_files() for _, name, _ in tree.includes(path)}
    folders = set(WILDCARDS)
    for room in rooms(tree):
        folders |= {f"userspace/{room}", f"tests/unit/{room}"}
    names = "\n".join(tree.text(p) for p in tree.files if not p.endswith((".c", ".h")))
    for path in tree.files:
        folder, name = os.path.split(path)
        if name.endswith(".bpf.c") and folder == "bpf":
            if name.replace(".bpf.c", ".skel.h") not in included:
                yield Fault(path, 1, f"no file includes {name.replace('.bpf.c', '.skel.h')}; load it or remove it")
        elif name.endswith(".c") and folder not in folders and path != "userspace/main.c":
            yield Fault(path, 1, f"the Makefile builds nothing in {folder}/; add the folder or move the file")
        elif name.endswith((".h", ".def")) and name not in included:
            yield Fault(path, 1, "no file includes it; use it or remove it")
        elif folder == "scripts" and not re.search(rf"scripts/{re.escape(name)}\b", names):
            yield Fault(path, 1, "nothing mentions this script; call it from the Makefile or remove it")
