"""Records what every client sends: cd tests/clients && BURSAR=... python3 -m matrix.record [CLIENT...]

Every client asks a listener of this program, once for each dialect, credential and selector, and what it sent is
written to tests/wire/CLIENT/DIALECT-SELECTOR.http: the bytes of the request, with the listener's name, request ids and
the kernel's release replaced by fixed ones. A credential that sends something else than those before it has its name at the end.
What follows an Arc challenge is DIALECT-SELECTOR-with-key.http, and the request by which a client looks for IMDS is
DIALECT-probe.http. tests/wire.rs replays them. The clients have to be ready: tests/clients/run matrix.
"""

import os
import re
import subprocess
import sys

from . import env
from .case import SELECTORS, SYSTEM
from .client import ROOT, Client, read_all
from .dialect import DIALECTS, Dialect
from .listener import SECRET, Listener
from .place import Place
from .service import ADDRESS, LINK_LOCAL

WIRE = ROOT / "tests" / "wire"
RESOURCE = "https://vault.azure.net"
REQUEST_ID = b"11111111-1111-4111-8111-111111111111"
INSIDE = "--inside"
# What `bursar dev` knows its identity by.
IDS = {
    "client_id": "b0b00000-0000-4000-8000-000000000002",
    "object_id": "b0b00000-0000-4000-8000-000000000003",
    "resource_id": "/subscriptions/b0b00000-0000-4000-8000-000000000004/resourcegroups/dev/providers"
    "/Microsoft.ManagedIdentity/userAssignedIdentities/dev",
}


def main(words: list[str]) -> None:
    if words[:1] == [INSIDE]:
        record(next(dialect for dialect in DIALECTS if dialect.name == words[1]), words[2:])
        return
    for client in chosen(words):
        directory = WIRE / client.name
        directory.mkdir(parents=True, exist_ok=True)
        for old in directory.glob("*.http"):
            old.unlink()
    for dialect in DIALECTS:
        addresses = [ADDRESS] if dialect.place == LINK_LOCAL else []
        command = [sys.executable, "-B", "-m", "matrix.record", INSIDE, dialect.name, *words]
        _, process = Place.open(addresses, command, cwd=ROOT / "tests" / "clients")
        if process.wait():
            raise SystemExit(f"{dialect.name} could not be recorded")


def chosen(names: list[str]) -> list[Client]:
    return [client for client in read_all() if not names or client.name in names]


def record(dialect: Dialect, names: list[str]) -> None:
    """In a place where the dialect can be served."""
    listener = Listener(ADDRESS if dialect.place == LINK_LOCAL else None, dialect.name)
    for client in chosen(names):
        kept: dict[str, list[bytes]] = {}
        for credential in client.credentials:
            for case in (SYSTEM, *SELECTORS):
                if client.limit(credential, dialect.name, case.name) is None:
                    for request in requests(listener, dialect, client, credential, case.selector):
                        keep(client, credential, f"{dialect.name}-{part(request, case.selector)}", request, kept)


def keep(client: Client, credential: str, name: str, request: bytes, kept: dict[str, list[bytes]]) -> None:
    """Writes what no credential before has sent."""
    known = kept.setdefault(name, [])
    if request not in known:
        file = f"{name}-{credential}.http" if known else f"{name}.http"
        (WIRE / client.name / file).write_bytes(request)
        known.append(request)


def requests(listener: Listener, dialect: Dialect, client: Client, credential: str, selector: str) -> list[bytes]:
    """What the client sends, one run of it."""
    environment = {"PATH": os.environ["PATH"], "HOME": "/"}
    if dialect.has_variables:
        environment |= env.lines(env.command(client, dialect.name, listener.listens, SECRET)).set
    for name, value in client.environment.get(dialect.name, {}).items():
        environment[name] = value.format(certificate=listener.certificate)
    listener.requests.clear()
    command = [*client.command, credential, selector, IDS.get(selector, "-"), RESOURCE]
    out = subprocess.run(
        command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )
    if out.returncode or '"token"' not in out.stdout:
        raise SystemExit(f"{dialect.name}: {' '.join(command)}: {out.stdout}{out.stderr}")
    return [neutral(request, listener) for request in listener.requests]


def neutral(request: bytes, listener: Listener) -> bytes:
    """Without what is another in every run, or on every machine."""
    request = request.replace(listener.host.encode(), b"127.0.0.1:4141")
    request = re.sub(rb"(?i)(x-ms-client-request-id: |client-request-id: )\S+", rb"\g<1>" + REQUEST_ID, request)
    request = re.sub(rb"\(Linux [^;]+;", b"(Linux 6.12.0;", request)
    request = re.sub(rb"; Linux; [^)]+\)", b"; Linux; 6.12.0)", request)
    return re.sub(rb"\(Linux-[^)]+\)", b"(Linux-6.12.0-x86_64-with-glibc2.36)", request)


def part(request: bytes, selector: str) -> str:
    """Which of a client's requests this is."""
    if Listener.is_probe(request):
        return "probe"
    return f"{selector}-with-key" if f"Basic {SECRET}".encode() in request else selector


if __name__ == "__main__":
    main(sys.argv[1:])
