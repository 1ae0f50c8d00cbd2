# SPDX-License-Identifier: Apache-2.0
"""Every header compiles alone, and only once."""
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

from tree import Fault

FLAGS = ["-std=gnu17", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-Iinclude", "-Iuserspace", "-Itests"]


def command(tree, path):
    if path.startswith("bpf/"):
        return ["clang", "-target", "bpf", "-D__BPF__", "-D__TARGET_ARCH_x86", "-O2", "-fsyntax-only", "-Iinclude", "-Ibpf",
                f"-I{tree.build}/gen"]
    return ["gcc", *FLAGS, f"-I{tree.build}/gen"]


def check(tree):
    kernel_types = (tree.build / "gen/vmlinux.h").exists()
    packages = subprocess.run(["pkg-config", "--cflags", "libnl-3.0", "libpq"], capture_output=True, text=True).stdout.split()

    def compile_alone(path):
        first = '#include "vmlinux.h"\n' if path.startswith("bpf/") else ""
        done = subprocess.run([*command(tree, path), *packages, "-x", "c", "-"], cwd=tree.root, text=True, capture_output=True,
                              input=f'{first}#include "{path}"\n')
        m = re.search(r"^(.+?):(\d+):\d+: (?:fatal )?error: (.*)", done.stderr, re.M)
        return Fault(path, m.group(2) if m and m.group(1).endswith(path) else 1,
                     f"does not compile alone: {m.group(3) if m else done.stderr[:80]}; include what it uses") \
            if done.returncode else None

    headers = [p for p in tree.c_files() if p.endswith(".h") and (kernel_types or not p.startswith("bpf/"))]
    for path in headers:
        if "#pragma once" not in tree.text(path):
            yield Fault(path, 1, "no #pragma once; add it after the opening comment")
    with ThreadPoolExecutor(2) as pool:
        yield from filter(None, pool.map(compile_alone, headers))
