# SPDX-License-Identifier: Apache-2.0
"""Relative links and file names in the documentation lead somewhere."""
import os
import re

from tree import Fault

LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")


def check(tree):
    for path in tree.files:
        if not path.endswith(".md"):
            continue
        for number, line in tree.lines(path):
            for target in LINK.findall(line):
                if not (tree.root / os.path.dirname(path) / target).exists():
                    yield Fault(path, number, f"no such file: {target}")
