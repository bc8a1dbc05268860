"""What `bursar env` prints, and what comes of it in a client's environment."""

import os
import subprocess
from dataclasses import dataclass

from .ask import Broken

WITHIN = 30
# Where a client would be led that goes by what it finds: nobody is there.
NOWHERE = "http://127.0.0.1:9"
# What a shell may hold before it runs the lines: whatever some line of `bursar env` takes away or replaces, and a proxy.
STRAYS = {
    name: NOWHERE
    for name in (
        "IDENTITY_ENDPOINT",
        "IDENTITY_HEADER",
        "IDENTITY_SERVER_THUMBPRINT",
        "IMDS_ENDPOINT",
        "MSI_ENDPOINT",
        "MSI_SECRET",
        "AZURE_POD_IDENTITY_AUTHORITY_HOST",
        "AZURE_FEDERATED_TOKEN_FILE",
        "AZURE_CLIENT_SECRET",
        "AZURE_CLIENT_CERTIFICATE_PATH",
        "AZURE_USERNAME",
        "AZURE_PASSWORD",
        "AZURE_TOKEN_CREDENTIALS",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "http_proxy",
        "https_proxy",
    )
}


@dataclass(frozen=True)
class Lines:
    """Lines for a dotenv file: what is set, and what a comment says has to be unset."""

    set: dict[str, str]
    unset: frozenset[str]

    @classmethod
    def read(cls, text: str) -> "Lines":
        settings = [line.partition("=") for line in text.splitlines() if not line.startswith("#")]
        unset = [line.removeprefix("# unset ") for line in text.splitlines() if line.startswith("# unset ")]
        return cls({name: value for name, _, value in settings}, frozenset(unset))

    def applied_to(self, environment: dict[str, str]) -> dict[str, str]:
        """What a process finds after the lines were run in a shell with this environment."""
        left = {name: value for name, value in environment.items() if name not in self.unset}
        return left | self.set


def command(client, dialect: str, listens: list[str], secret: str) -> list[str]:
    """What is run to point this client at a service that listens there and wants this secret. A client that does not
    speak the dialect gets the variables that others go by."""
    words = [os.environ["BURSAR"], "env", "--shell", "dotenv", "--dialect", dialect, "--header-secret", secret]
    words += ["--client", client.env] if client.speaks(dialect) else []
    return words + [word for address in listens for word in ("--listen", address)]


def lines(words: list[str]) -> Lines:
    """What this command prints."""
    said = subprocess.run(words, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, timeout=WITHIN)
    if said.returncode:
        raise Broken(f"{' '.join(words)}: {said.stderr}")
    return Lines.read(said.stdout)
