# SPDX-License-Identifier: Apache-2.0
"""Every source file says its licence in its first line, and it is the right one for its folder (docs/adr/0001)."""
import re

from tree import Fault

DUAL = {"include/scram/abi.h", "include/scram/signals.def"}
SUFFIXES = (".c", ".h", ".def", ".py", ".sh", ".mk", ".sql")


def licences(path):
    """What the line may say; the first is the proposal."""
    if path in DUAL:
        return ["(GPL-2.0-only OR Apache-2.0)"]
    if path.startswith("bpf/"):
        return ["GPL-2.0-only"]
    # A public header may be offered to programs under either licence.
    return ["Apache-2.0"] + (["(GPL-2.0-only OR Apache-2.0)"] if path.startswith("include/") else [])


def check(tree):
    for path in tree.files:
        lines = tree.text(path).split("\n", 2)
        script = lines[0].startswith("#!")
        if not (path.endswith(SUFFIXES) or script or path == "Makefile"):
            continue
        line = lines[1] if script and len(lines) > 1 else lines[0]
        m = re.search(r"SPDX-License-Identifier: (.*?)\s*(?:\*/)?$", line)
        if not m or m.group(1) not in licences(path):
            yield Fault(path, 2 if script else 1, f"the line should say SPDX-License-Identifier: {licences(path)[0]}")
