# SPDX-License-Identifier: Apache-2.0
"""The files a rule looks at, and C read just well enough for rules."""
import os
import re
from collections import namedtuple
from pathlib import Path

Fault = namedtuple("Fault", "path line text")
Function = namedtuple("Function", "name line lines parameters depth")

SKIPPED = {".git", "build", "__pycache__"}
FIXTURES = "tests/lint/fixtures/"
COMMENT_OR_TEXT = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def _blank(match):
    """The same number of lines, nothing else: places stay right. Quotes stay, so that code stays code."""
    text = match.group(0)
    return '""' if text[0] in "\"'" else "\n" * text.count("\n") or " "


class Tree:
    def __init__(self, root, build):
        self.root = Path(root)
        self.build = Path(build)
        self.files = sorted(self._walk())
        self._texts = {}

    def _walk(self):
        for folder, folders, names in os.walk(self.root):
            folders[:] = [f for f in folders if f not in SKIPPED]
            for name in names:
                path = os.path.relpath(os.path.join(folder, name), self.root)
                if not path.startswith(FIXTURES):
                    yield path

    def text(self, path):
        if path not in self._texts:
            self._texts[path] = (self.root / path).read_text(encoding="utf-8", errors="replace")
        return self._texts[path]

    def lines(self, path):
        """(number, text) of each line."""
        return enumerate(self.text(path).split("\n"), 1)

    def code(self, path):
        """C without comments and with empty strings, line by line in place."""
        return COMMENT_OR_TEXT.sub(_blank, self.text(path))

    def c_files(self, *prefixes):
        return [p for p in self.files if p.endswith((".c", ".h")) and p.startswith(prefixes or ("",))]

    def scripts(self):
        """Shell scripts, by name or by first line."""
        for path in self.files:
            if path.endswith(".sh"):
                yield path
            elif "." not in os.path.basename(path) and re.match(r"#!.*\b(ba|da)?sh\b", self.text(path)[:80]):
                yield path

    def includes(self, path):
        """(line, name, is_quoted) of each include."""
        for number, line in self.lines(path):
            m = re.match(r'\s*#\s*include\s+([<"])([^>"]+)[>"]', line)
            if m:
                yield number, m.group(2), m.group(1) == '"'

    def functions(self, path):
        """Functions as the house style writes them: the brace that opens and the one that closes stand in column 0."""
        lines = self.code(path).split("\n")
        start = None
        for i, line in enumerate(lines):
            if line.rstrip() == "{":
                start = i
            elif line.rstrip() == "}" and start is not None:
                head = start - 1
                while head > 0 and lines[head - 1].strip() and lines[head - 1][-1] not in ";}":
                    head -= 1
                signature = " ".join(lines[head:start])
                name = re.search(r"(\w+)\s*\(", signature)
                if name and not signature.lstrip().startswith("#"):
                    body = lines[start:i + 1]
                    title = signature.strip() if name.group(1) == "Test" else name.group(1)
                    yield Function(title, head + 1, i - head + 1, _parameters(signature, name.end()), _depth(body))
                start = None


def _parameters(signature, at):
    """How many parameters stand between the parenthesis at `at` and its partner."""
    depth = 1
    count = 1
    for i, c in enumerate(signature[at:], at):
        depth += (c == "(") - (c == ")")
        count += c == "," and depth == 1
        if depth == 0:
            inside = signature[at:i].strip()
            return 0 if inside in ("", "void") else count - inside.endswith("...")
    return count


def _depth(body):
    """Deepest nesting of control blocks; initialisers and statement expressions are no blocks."""
    depth = deepest = 0
    stack = []
    for line in body[1:-1]:
        for i, c in enumerate(line):
            if c == "{":
                before = line[:i].rstrip()
                block = before.endswith(")") and not before.endswith("](") or re.search(r"\b(else|do)$", before) is not None
                block = block and not re.search(r"=\s*\([^()]*\)$", before)
                stack.append(bool(block))
                depth += bool(block)
                deepest = max(deepest, depth)
            elif c == "}" and stack:
                depth -= stack.pop()
    return deepest
