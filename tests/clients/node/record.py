#!/usr/bin/env -S python3 -B
"""Records what the clients of tests/clients/matrix/clients/node.toml send: tests/clients/node/record.py

Every client asks a listener of this program, once for each dialect, credential and selector, and what it sent is
written to tests/wire/CLIENT/DIALECT-SELECTOR.http: the bytes of the request, with the listener's name, request ids and
the kernel's release replaced by fixed ones. What follows an Arc challenge is DIALECT-SELECTOR-with-key.http, and the
request by which DefaultAzureCredential looks for IMDS is DIALECT-probe.http.
"""

import os
import re
import subprocess
import sys
import tomllib
from itertools import product
from pathlib import Path

from listener import ARC_KEYS, DIALECTS, SECRET, Listener, certificate

ROOT = Path(__file__).resolve().parents[3]
CLIENTS = ROOT / "tests/clients/matrix/clients/node.toml"
WIRE = ROOT / "tests/wire"
RESOURCE = "https://vault.azure.net"
REQUEST_ID = b"11111111-1111-4111-8111-111111111111"

# What `bursar dev` knows its identity by.
SELECTORS = {
    "none": "-",
    "client_id": "b0b00000-0000-4000-8000-000000000002",
    "object_id": "b0b00000-0000-4000-8000-000000000003",
    "resource_id": "/subscriptions/b0b00000-0000-4000-8000-000000000004/resourcegroups/dev/providers"
    "/Microsoft.ManagedIdentity/userAssignedIdentities/dev",
}

# Some dialects need an address or a directory that only a namespace of one's own can give.
NAMESPACES = {
    "imds-link-local": ("--net", "ip link set lo up && ip address add 169.254.169.254/32 dev lo"),
    "arc": ("--mount", f"mount -t tmpfs none /var/opt && mkdir -p {ARC_KEYS}"),
}


def main():
    if len(sys.argv) == 2:
        return record(sys.argv[1])
    for client in clients():
        directory = WIRE / client["name"]
        directory.mkdir(parents=True, exist_ok=True)
        for old in directory.glob("*.http"):
            old.unlink()
    for dialect in DIALECTS:
        subprocess.run(in_namespace(dialect, [sys.executable, "-B", __file__, dialect]), check=True)


def clients():
    return tomllib.loads(CLIENTS.read_text())["client"]


def in_namespace(dialect, command):
    if dialect not in NAMESPACES:
        return command
    kind, prepare = NAMESPACES[dialect]
    return ["unshare", "--user", "--map-root-user", kind, "sh", "-ec", f'{prepare}; exec "$@"', "sh", *command]


def record(dialect):
    listener = Listener(dialect)
    for client in (client for client in clients() if dialect in client["dialects"]):
        written = {}
        for credential, selector in product(client["credentials"], SELECTORS):
            if not cannot(client, credential=credential, dialect=dialect, selector=selector):
                for request in requests(listener, client, credential, selector):
                    keep(WIRE / client["name"] / file_name(dialect, selector, request), request, written)


def cannot(client, **wanted):
    return any(all(fits(row[key], value) for key, value in wanted.items()) for row in client.get("cannot", []))


def fits(names, name):
    return names == "*" or name in (names if isinstance(names, list) else [names])


def requests(listener, client, credential, selector):
    environment = {"PATH": os.environ["PATH"], "NO_PROXY": "127.0.0.1,169.254.169.254"} | listener.environment()
    for name, value in client.get("environment", {}).get(listener.dialect, {}).items():
        environment[name] = value.format(certificate=certificate())
    listener.requests.clear()
    command = [*client["command"], credential, selector, SELECTORS[selector], RESOURCE]
    out = subprocess.run(
        command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )
    if out.returncode or '"token"' not in out.stdout:
        sys.exit(f"{listener.dialect}: {' '.join(command)}: {out.stdout}{out.stderr}")
    return [neutral(request, listener) for request in listener.requests]


def neutral(request, listener):
    request = request.replace(listener.host.encode(), b"127.0.0.1:4141")
    request = re.sub(rb"(?i)(x-ms-client-request-id: )\S+", rb"\g<1>" + REQUEST_ID, request)
    return re.sub(rb"\(Linux [^;]+;", b"(Linux 6.12.0;", request)


def file_name(dialect, selector, request):
    if b"resource=" not in request:
        return f"{dialect}-probe.http"
    answers_challenge = f"Authorization: Basic {SECRET}".encode() in request
    return f"{dialect}-{selector}{'-with-key' if answers_challenge else ''}.http"


def keep(path, request, written):
    """A client's credentials send the same; where they once do not, one file no longer tells all."""
    if written.setdefault(path, request) != request:
        sys.exit(f"{path}: another credential of this client sends something else")
    path.write_bytes(request)


main()
