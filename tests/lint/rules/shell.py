# SPDX-License-Identifier: Apache-2.0
"""Shell scripts pass shellcheck."""
import re
import subprocess

from tree import Fault


def check(tree):
    scripts = list(tree.scripts())
    if not scripts:
        return
    out = subprocess.run(["shellcheck", "-x", "-P", "SCRIPTDIR", "-f", "gcc", *scripts], cwd=tree.root, capture_output=True,
                         text=True).stdout
    for line in out.splitlines():
        m = re.match(r"(.+?):(\d+):\d+: \w+: (.*)", line)
        yield Fault(m.group(1), m.group(2), m.group(3))
