# SPDX-License-Identifier: Apache-2.0
"""docs/reference says what the built program says of itself."""
import re
import subprocess
from pathlib import Path

from tree import Fault

SCRIPT = Path(__file__).resolve().parents[3] / "scripts/docs"


def check(tree):
    program = tree.build / "scram"
    if not program.exists():
        return
    out = subprocess.run([str(SCRIPT), "--check", str(program), "docs/reference"], cwd=tree.root, capture_output=True, text=True)
    for line in out.stdout.splitlines():
        m = re.match(r"(.+?):(\d+): (.*)", line)
        yield Fault(m.group(1), m.group(2), m.group(3))
    if out.returncode and not out.stdout:
        yield Fault("scripts/docs", 1, f"cannot print the reference: {out.stderr.strip()[:100]}")
