# SPDX-License-Identifier: Apache-2.0
"""Short enough to read: lines, functions, parameters, nesting, files. A table laid out by hand (between clang-format
off and on) may have one row per line, however long."""
from tree import Fault

COLUMNS, FUNCTION, PARAMETERS, DEPTH, FILE = 100, 70, 5, 3, 500
# Functions whose parameters a library has decided.
GIVEN = {"on_request"}


def check(tree):
    for path in tree.c_files():
        by_hand = False
        for number, line in tree.lines(path):
            by_hand = "clang-format off" in line or by_hand and "clang-format on" not in line
            width = len(line.expandtabs(8))
            if width > COLUMNS and not by_hand:
                yield Fault(path, number, f"{width} columns; at most {COLUMNS}, break the line")
        count = tree.text(path).count("\n")
        if count > FILE:
            yield Fault(path, FILE + 1, f"{count} lines; at most {FILE}, split the file")
        for f in tree.functions(path):
            if f.lines > FUNCTION:
                yield Fault(path, f.line, f"{f.name} has {f.lines} lines; at most {FUNCTION}, take a step out of it")
            if f.parameters > PARAMETERS and f.name not in GIVEN:
                yield Fault(path, f.line, f"{f.name} has {f.parameters} parameters; at most {PARAMETERS}, group them")
            if f.depth > DEPTH:
                yield Fault(path, f.line, f"{f.name} nests {f.depth} deep; at most {DEPTH}, return early or split")
