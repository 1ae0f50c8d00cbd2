# SPDX-License-Identifier: Apache-2.0
"""Functions with a trap in them, and words that have no place in a finished file."""
import re

from tree import Fault

FUNCTIONS = {
    "strcpy": "sc_strcopy", "strncpy": "sc_strcopy", "strcat": "struct sc_str", "strncat": "struct sc_str",
    "sprintf": "snprintf or sc_str_addf", "vsprintf": "vsnprintf", "gets": "fgets", "strtok": "strtok_r or a scan",
    "atoi": "strtol with its end checked", "atol": "strtol with its end checked", "atof": "sc_parse_quantity",
    "system": "posix_spawn with an argument list", "popen": "posix_spawn with a pipe", "alloca": "a fixed size",
    "signal": "sigaction or signalfd", "sleep": "a wait for the event", "usleep": "a wait for the event",
    "exit": "a return up to main",
}
CALL = re.compile(r"(?<![\w.>])(" + "|".join(FUNCTIONS) + r")\s*\(")
# Programs under test may sleep; a program of one file may exit where it likes.
SLEEPERS = ("tests/programs/",)
WORDS = [
    (re.compile(r"\b(TODO|FIXME|XXX|HACK|WIP)\b"), "do it, or write down the limit it is"),
    (re.compile(r"(?<![\w@.-])/(?:home|work|Users)/[a-z]"), "no path of somebody's machine; make it relative"),
    (re.compile(r"\b(?:language model|chat ?bot|AI[- ](?:assistant|generated)|(?:this|previous|earlier) session)\b", re.I),
     "say what the program does, not how the text came to be"),
]
TEXT = (".c", ".h", ".def", ".md", ".py", ".sh", ".mk", ".yaml", ".yml", ".sql", ".awk")


def check(tree):
    for path in tree.c_files():
        code = tree.code(path)
        has_main = re.search(r"^int main\(", code, re.M)
        for number, line in enumerate(code.split("\n"), 1):
            m = CALL.search(line)
            if not m or m.group(1) == "exit" and has_main or m.group(1) == "sleep" and path.startswith(SLEEPERS):
                continue
            if re.match(r"\s*#\s*define", line):
                continue
            yield Fault(path, number, f"{m.group(1)} is not used here; {FUNCTIONS[m.group(1)]} instead")
    for path in tree.files:
        if not path.endswith(TEXT) and "." in path.rsplit("/", 1)[-1] or path == "tests/lint/rules/banned.py":
            continue
        for number, line in tree.lines(path):
            for pattern, fix in WORDS:
                m = pattern.search(line)
                if m:
                    yield Fault(path, number, f"'{m.group(0)}'; {fix}")
