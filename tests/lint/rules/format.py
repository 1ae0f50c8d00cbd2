# SPDX-License-Identifier: Apache-2.0
"""C is laid out by clang-format with the project's .clang-format."""
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tree import Fault

STYLE = Path(__file__).resolve().parents[3] / ".clang-format"


def check(tree):
    def first_fault(path):
        done = subprocess.run(["clang-format", f"--style=file:{STYLE}", "--dry-run", "--Werror", path],
                              cwd=tree.root, stderr=subprocess.PIPE, text=True)
        m = re.search(r"^.+?:(\d+):\d+: error", done.stderr, re.M)
        return Fault(path, m.group(1), "laid out otherwise; clang-format -i it, or make fmt") if m else None

    with ThreadPoolExecutor(2) as pool:
        yield from filter(None, pool.map(first_fault, tree.c_files()))
