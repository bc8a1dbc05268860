"""Records what every client sends: cd tests/clients && BURSAR=... python3 -m matrix.record [CLIENT...]

Every client asks a listener of this program, once for each dialect, credential and selector, for an identity that is not
there, and with the wrong header secret; the listener passes it on to `bursar dev`. What was sent is written to
tests/wire/CLIENT/DIALECT-CASE.http: the bytes of the request, with the listener's name, request ids, keys and the
kernel's release replaced by fixed ones. A credential that sends something else than those before it has its name at the end.
What follows an Arc challenge is DIALECT-CASE-with-key.http, and the request by which a client looks for IMDS is
DIALECT-probe.http; curl reads the pages of instance metadata, page-NAME.http. Answers that are no token's stand in
tests/wire/answers, and are the same for every client. tests/wire.rs replays all of it. The clients have to be ready:
tests/clients/run matrix.
"""

import os
import re
import subprocess
import sys

from . import env
from .case import SELECTORS, SYSTEM, UNKNOWN, UNKNOWN_IDS, WRONG_SECRET
from .client import ROOT, Client, read_all
from .dialect import DIALECTS, Dialect
from .listener import ARC_KEYS, SECRET, Listener, bursar
from .place import Place
from .service import ADDRESS, LINK_LOCAL
from .service import WRONG_SECRET as SHOWN_SECRET

WIRE = ROOT / "tests" / "wire"
ANSWERS = WIRE / "answers"
RESOURCE = "https://vault.azure.net"
REQUEST_ID = b"11111111-1111-4111-8111-111111111111"
GUID = rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
INSIDE = "--inside"
# What `bursar dev` knows its identity by.
IDS = {
    "client_id": "b0b00000-0000-4000-8000-000000000002",
    "object_id": "b0b00000-0000-4000-8000-000000000003",
    "resource_id": "/subscriptions/b0b00000-0000-4000-8000-000000000004/resourcegroups/dev/providers"
    "/Microsoft.ManagedIdentity/userAssignedIdentities/dev",
}
# What clients are known to read, and how they are refused.
PAGES = {
    "instance": "/metadata/instance?api-version=2021-02-01",
    "compute": "/metadata/instance/compute?api-version=2017-08-01",
    "location": "/metadata/instance/compute/location?api-version=2020-06-01&format=text",
    "versions": "/metadata/versions",
    "info": "/metadata/identity/info?api-version=2018-02-01",
    "without-version": "/metadata/instance",
    "without-header": "/metadata/instance?api-version=2021-02-01",
    "nothing-there": "/metadata/instance/compute/nothing?api-version=2021-02-01",
    "attested": "/metadata/attested/document?api-version=2020-09-01",
}


def main(words: list[str]) -> None:
    if words[:1] == [INSIDE]:
        with bursar():
            record(next(dialect for dialect in DIALECTS if dialect.name == words[1]), words[2:])
        return
    for directory in (ANSWERS, *(WIRE / client.name for client in chosen(words))):
        directory.mkdir(parents=True, exist_ok=True)
        for old in directory.glob("*.http") if directory != ANSWERS or not words else ():
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
            for case, command, environment in runs(listener, dialect, client, credential):
                is_refused = case in (UNKNOWN.name, WRONG_SECRET.name)
                for request, answer in exchanges(listener, command, environment, is_refused):
                    name = part(request, case)
                    # A client looks for IMDS in every case alike.
                    if name != "probe" or not is_refused:
                        keep(client, credential, f"{dialect.name}-{name}", request, kept)
                    keep_answer(dialect, name, answer)
        if client.name == "curl" and dialect.place == LINK_LOCAL:
            read_pages(listener, client)


def runs(listener: Listener, dialect: Dialect, client: Client, credential: str):
    """What the client is run for: the name of the case, the command, and the environment."""
    can = [case for case in (SYSTEM, *SELECTORS) if client.limit(credential, dialect.name, case.name) is None]
    command = [*client.command, credential]
    environment = surroundings(listener, dialect, client)
    for case in can:
        yield case.selector, [*command, case.selector, IDS.get(case.selector, "-"), RESOURCE], environment
    if named := [case.selector for case in can if case is not SYSTEM]:
        yield UNKNOWN.name, [*command, named[0], UNKNOWN_IDS[named[0]], RESOURCE], environment
    if can and dialect.has_secret:
        wrong = surroundings(listener, dialect, client, SHOWN_SECRET)
        yield WRONG_SECRET.name, [*command, can[0].selector, "-", RESOURCE], wrong


def surroundings(listener: Listener, dialect: Dialect, client: Client, secret: str = SECRET) -> dict[str, str]:
    environment = {"PATH": os.environ["PATH"], "HOME": "/"}
    if dialect.has_variables:
        environment |= env.lines(env.command(client, dialect.name, listener.listens, secret)).set
    for name, value in client.environment.get(dialect.name, {}).items():
        environment[name] = value.format(certificate=listener.certificate)
    return environment


def exchanges(listener: Listener, command: list[str], environment: dict[str, str], is_refused: bool):
    """What the client sends and is answered, one run of it."""
    listener.exchanges.clear()
    out = subprocess.run(
        command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )
    wanted = '"error"' if is_refused else '"token"'
    if out.returncode or wanted not in out.stdout:
        raise SystemExit(f"{' '.join(command)}: {out.stdout}{out.stderr}")
    return [(neutral(request, listener), settled(answer)) for request, answer in listener.exchanges]


def read_pages(listener: Listener, client: Client) -> None:
    """The pages of instance metadata, where they lie for every client."""
    for name, target in PAGES.items():
        shown = [] if name == "without-header" else ["-H", "Metadata: true"]
        listener.exchanges.clear()
        command = ["curl", "-sS", "-o", "/dev/null", *shown, f"http://{ADDRESS}{target}"]
        subprocess.run(command, check=True, timeout=60)
        [(request, answer)] = listener.exchanges
        (WIRE / client.name / f"page-{name}.http").write_bytes(neutral(request, listener))
        (ANSWERS / f"page-{name}.http").write_bytes(settled(answer))


def keep(client: Client, credential: str, name: str, request: bytes, kept: dict[str, list[bytes]]) -> None:
    """Writes what no credential before has sent."""
    known = kept.setdefault(name, [])
    if request not in known:
        file = f"{name}-{credential}.http" if known else f"{name}.http"
        (WIRE / client.name / file).write_bytes(request)
        known.append(request)


def keep_answer(dialect: Dialect, name: str, answer: bytes) -> None:
    """Writes an answer that is no token's; two clients that are told different things are none of ours."""
    if answer.startswith(b"HTTP/1.1 200 "):
        return
    is_challenge = b"www-authenticate" in answer
    file = ANSWERS / f"{dialect.name.removesuffix('-link-local')}-{'challenge' if is_challenge else name.removesuffix('-with-key')}.http"
    if file.exists() and file.read_bytes() != answer:
        raise SystemExit(f"{file.name} is also answered with {answer.decode()}")
    file.write_bytes(answer)


def neutral(request: bytes, listener: Listener) -> bytes:
    """Without what is another in every run, or on every machine."""
    request = request.replace(listener.host.encode(), b"127.0.0.1:4141")
    request = re.sub(rb"(?i)(x-ms-client-request-id: |client-request-id: )\S+", rb"\g<1>" + REQUEST_ID, request)
    request = re.sub(rb"(?i)(authorization: basic )\S+", rb"\g<1>" + SECRET.encode(), request)
    request = re.sub(rb"\(Linux [^;]+;", b"(Linux 6.12.0;", request)
    request = re.sub(rb"; Linux; [^)]+\)", b"; Linux; 6.12.0)", request)
    return re.sub(rb"\(Linux-[^)]+\)", b"(Linux-6.12.0-x86_64-with-glibc2.36)", request)


def settled(answer: bytes) -> bytes:
    """An answer with its headers in order, and likewise without what is another in every run."""
    if id_of_request := re.search(rb"(?im)^x-ms-request-id: (\S+)", answer):
        answer = answer.replace(id_of_request[1], REQUEST_ID)
    answer = re.sub(rf"{ARC_KEYS}/bursar-".encode() + GUID, f"{ARC_KEYS}/bursar-".encode() + REQUEST_ID, answer)
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *headers = head.split(b"\r\n")
    headers = sorted(header for header in headers if not header.lower().startswith(b"date:"))
    return b"\r\n".join([status, *headers, b"", body])


def part(request: bytes, case: str) -> str:
    """Which of a client's requests this is."""
    if Listener.is_probe(request):
        return "probe"
    return f"{case}-with-key" if f"Basic {SECRET}".encode() in request else case


if __name__ == "__main__":
    main(sys.argv[1:])
