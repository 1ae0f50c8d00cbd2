# SPDX-License-Identifier: Apache-2.0
"""Tables are in the order people look things up: alphabetical, or that of the enum that indexes them."""
import re

from tree import Fault

# file: (array, how its rows are found). Alphabetical.
SORTED = {
    "userspace/cli/verbs.c": ("verbs", r'\t\t\.name = "([^"]+)"'),
}
# file: (array, enum, its header): rows [NAME] = ... in the order of the enum, all of them.
BY_ENUM = {
    "userspace/interlock/table.c": ("sc_interlocks", "sc_interlock_id", "include/scram/interlock.h"),
    "userspace/action/table.c": ("actions", "sc_action_kind", "include/scram/action.h"),
    "userspace/engine/protocol.c": ("ops", "sc_op", "userspace/engine/protocol.h"),
    "userspace/engine/ops.c": ("handlers", "sc_op", "userspace/engine/protocol.h"),
}


def array(tree, path, name):
    """(number, line) of the rows between the braces of the array."""
    inside = False
    for number, line in tree.lines(path):
        if inside and line.startswith("};"):
            return
        if inside:
            yield number, line
        elif re.search(rf"\b{name}\[\w*\] = {{$", line):
            inside = True
    if not inside:
        yield 0, ""


def enum_names(tree, header, name):
    m = re.search(rf"enum {name} {{(.*?)}}", tree.code(header), re.S)
    return [n for n in re.findall(r"\b(SC_\w+)", m.group(1)) if not n.endswith("_COUNT")] if m else []


def check(tree):
    for path, (name, pattern) in SORTED.items():
        before = ""
        for number, line in array(tree, path, name) if path in tree.files else ():
            m = re.match(pattern, line)
            if number == 0:
                yield Fault(path, 1, f"no array {name}[]; tell tests/lint/rules/tables.py its new name")
            elif m and m.group(1) <= before:
                yield Fault(path, number, f"{m.group(1)} comes before {before}; sort the table")
            before = m.group(1) if m else before
    for path, (name, enum, header) in BY_ENUM.items():
        if path not in tree.files:
            continue
        rows = [(n, got) for n, line in array(tree, path, name) for got in re.findall(r"\[(SC_\w+)\] =", line)]
        want = enum_names(tree, header, enum)
        for (number, got), expected in zip(rows, want):
            if got != expected:
                yield Fault(path, number, f"{got} stands where enum {enum} has {expected}; keep its order")
                break
        if len(rows) != len(want):
            yield Fault(path, 1, f"{name}[] has {len(rows)} rows, enum {enum} {len(want)}; one row each")
