#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Replays what /v1/openapi.json says against the agent that says it: http_examples.py URL TOKEN.

Each operation is asked as described (examples as bodies and parameters); the answer must have a status that
is described, and the members that are required. Operations without an example must be reads, or refuse.
"""
import json
import sys
import urllib.error
import urllib.request

NO_FIRE = "00000000-0000-4000-8000-000000000000"


def ask(url, method, body, token):
    request = urllib.request.Request(url, method=method, data=body and json.dumps(body).encode())
    request.add_header("Content-Type", "application/json")
    request.add_header("Authorization", f"Bearer {token}")
    try:
        answer = urllib.request.urlopen(request, timeout=5)
    except urllib.error.HTTPError as error:
        answer = error
    kind = answer.headers["Content-Type"]
    text = answer.readline() if kind.startswith("text/event-stream") else answer.read()
    return answer.status, kind, text


def check(url, path, method, operation, token):
    where = url + path.replace("{id}", NO_FIRE if "fires" in path else "openapi-example")
    for p in operation.get("parameters", []):
        if p["in"] == "query" and "example" in p:
            where += f"?{p['name']}={p['example']}"
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    status, kind, text = ask(where, method.upper(), content.get("example"), token)
    described = operation["responses"].get(str(status))
    if described is None:
        return f"{status} is not described"
    if "example" in content and status >= 300:
        return f"the example is refused with {status}: {text[:200]}"
    if kind not in described["content"]:
        return f"{kind} is not described"
    schema = described["content"][kind]["schema"]
    if schema.get("type") == "object":
        missing = [name for name in schema.get("required", []) if name not in json.loads(text)]
        return f"{missing} is missing" if missing else None
    return "not a list" if schema.get("type") == "array" and not isinstance(json.loads(text), list) else None


def main(url, token):
    paths = json.loads(ask(url + "/v1/openapi.json", "GET", None, token)[2])["paths"]
    faults = total = 0
    # What is registered by an example is deleted by another.
    order = {"get": 1, "post": 0, "delete": 2}
    rows = [(p, m, o) for p, methods in paths.items() for m, o in methods.items()]
    for path, method, operation in sorted(rows, key=lambda row: order[row[1]]):
        fault = check(url, path, method, operation, token)
        total += 1
        if fault:
            faults += 1
            print(f"{method} {path}: {fault}")
    print(f"{total} operations, {faults} faults")
    return 1 if faults or total < 10 else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
