"""`bursar dev`, as clients and the matrix see it."""

import json
import os
import re
import subprocess
import sys
import time
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from . import env
from .place import Place

LOOPBACK, LINK_LOCAL = "loopback", "link-local"
ADDRESS = "169.254.169.254"
TLS = "127.0.0.1:4143"
LISTEN = {LOOPBACK: ["127.0.0.1:4141", f"https://{TLS}"], LINK_LOCAL: [f"{ADDRESS}:80"]}
SECRET = "the-header-secret-of-the-matrix"
WRONG_SECRET = "no-such-header-secret"
READY_WITHIN = 30
GONE_WITHIN = 15
POLL_EVERY = 0.05
CONTROL_WITHIN = 30


class Service:
    """One `bursar dev` in a place of its own, with its one identity."""

    secret = SECRET
    certificate = ""

    def __init__(self, kind: str, directory: Path):
        self.listens = LISTEN[kind]
        self._kind = kind
        self._certificate = directory / f"{kind}.pem"
        self._said = directory / f"{kind}.stdout"
        self._logged = directory / f"{kind}.stderr"
        listen = [word for address in self.listens for word in ("--listen", address)]
        command = [os.environ["BURSAR"], "dev", *listen, "--header-secret", SECRET]
        with self._said.open("wb") as said, self._logged.open("wb") as logged:
            self.place, self._process = Place.open(
                [ADDRESS] if kind == LINK_LOCAL else [],
                command,
                env={"PATH": os.environ["PATH"]},
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=logged,
            )

    def wait_until_ready(self) -> None:
        """Reads what the command says of itself, once it has said all."""
        deadline = time.monotonic() + READY_WITHIN
        while "Get a token:" not in self._said.read_text():
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise SystemExit(f"bursar dev does not start\n{self._logged.read_text(errors='replace')}")
            time.sleep(POLL_EVERY)
        said = self._said.read_text()

        def told(pattern: str) -> str:
            return re.search(pattern, said).group(1)

        self.authority = told(r"authority +(\S+)")
        self.ids = {name: told(rf"{name} (\S+)") for name in ("client_id", "object_id", "resource_id")}

        if self._kind == LOOPBACK:
            self._read_certificate()

    def _read_certificate(self) -> None:
        """What the https listener shows, made anew for each start: some clients have to be told to trust it."""
        host, _, port = TLS.partition(":")
        read = f"import ssl; print(ssl.get_server_certificate(({host!r}, {port})))"
        shown = subprocess.run(
            self.place.within([sys.executable, "-c", read]), check=True, capture_output=True, text=True, timeout=CONTROL_WITHIN
        ).stdout
        self._certificate.write_text(shown)
        self.certificate = str(self._certificate)

    @cache
    def lines(self, client, dialect: str, secret: str) -> env.Lines:
        """What points a client at this service, as `bursar env` tells whoever was told the same as `bursar dev`."""
        return env.lines(self.place.within(env.command(client, dialect, self.listens, secret)))

    def fault(self, resource: str, **rule) -> None:
        """What befalls every exchange for this resource."""
        rules = json.dumps([{"match": {"scope": f"{resource}/.default"}, **rule}])
        ask = ["curl", "-sS", "--fail", "-d", rules, f"{self.authority}/_sts/faults"]
        subprocess.run(self.place.within(ask), check=True, capture_output=True, timeout=CONTROL_WITHIN)

    def stop(self) -> None:
        """Asks the command to leave; that it does so well is part of the proof."""
        self._process.terminate()
        try:
            code = self._process.wait(GONE_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        if code:
            raise SystemExit(f"bursar dev ended with {code}\n{self._logged.read_text(errors='replace')}")


@contextmanager
def services(kinds: set[str], directory: Path):
    """The services of these kinds, for as long as the block lasts."""
    started: dict[str, Service] = {}
    try:
        for kind in sorted(kinds):
            started[kind] = Service(kind, directory)
        for service in started.values():
            service.wait_until_ready()
        yield started
    finally:
        for service in started.values():
            service.stop()
