# SPDX-License-Identifier: Apache-2.0
"""The pure core calls no system and no clock: what its rooms' objects leave undefined is on a short list."""
import re
import subprocess

from tree import Fault

ROOMS = ("signal", "predicate", "condition", "interlock")
ALLOWED = re.compile(r"""^(sc_\w+|_GLOBAL_OFFSET_TABLE_|__stack_chk_fail
    |(__)?(mem\w+|str\w+?|rawmem\w+|snprintf|vsnprintf|qsort|bsearch)(_chk)?|__isoc99_\w+|__ctype_b_loc|__errno_location
    |malloc|aligned_alloc|calloc|realloc|reallocarray|free
    |fmaf?|floor|ceil|round|trunc|fabs|exp2?|log2?|pow|fmin|fmax|ldexp|frexp|l?lround|nan|isnan|__isnan
    |__ubsan\w*|__asan\w*)$""", re.X)


def check(tree):
    for room in ROOMS:
        for path in sorted((tree.build / "obj/userspace" / room).glob("*.o")):
            out = subprocess.run(["nm", "-u", str(path)], capture_output=True, text=True).stdout
            source = f"userspace/{room}/{path.stem}.c"
            for name in re.findall(r"\bU (\S+)", out):
                if not ALLOWED.match(name):
                    yield Fault(source, 1, f"calls {name}; the core takes time and the world as arguments")
