#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the requests and bodies of tests/corpus/http as seeds, a file each: seeds.py CORPUS FOLDER."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "harness"))
from http_corpus import rows, unescape  # noqa: E402

TOKEN = "open-sesame"  # of api_fuzz.c


def main(corpus, folder):
    seeds = [unescape(row[2]) for row in rows(f"{corpus}/requests.tsv")]
    for _, target, _, text in rows(f"{corpus}/bodies.tsv"):
        body = unescape(text)
        head = (
            f"POST {target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\nIdempotency-Key: k\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        seeds.append(head.encode() + body)
    for number, seed in enumerate(seeds):
        if len(seed) <= 8192:
            with open(f"{folder}/seed-{number:03}", "wb") as out:
                out.write(seed)


if __name__ == "__main__":
    main(*sys.argv[1:])
