"""The emulated authority as the suites see it: what it is told to know, and what it says that it was asked."""

import json
from dataclasses import dataclass
from pathlib import Path

import requests

import keys

TENANT = "0a5b0c11-7a11-4c5e-9d0e-1f2a3b4c5d6e"
SECRET_CLIENT = "5ec4e700-0000-4000-8000-000000000001"
CERTIFICATE_CLIENT = "ce471f1c-0000-4000-8000-000000000002"
FEDERATED_CLIENT = "fede4a7e-0000-4000-8000-000000000003"
CHAIN_CLIENT = "c4a10000-0000-4000-8000-000000000007"
CAPABLE_CLIENT = "ca9ab1e0-0000-4000-8000-000000000008"
REJECTED_CLIENT = "4e7ec7ed-0000-4000-8000-000000000006"
SECRET = "a-secret-that-no-answer-may-repeat"
WRONG_SECRET = "a-secret-that-is-no-longer-right"
SECOND_VERSION = "api://second.example"
ROLE = "Ledger.Read"
FEDERATED = {
    "issuer": "https://cluster.example/issuer",
    "subject": "system:serviceaccount:default:ledger",
    "audience": "api://AzureADTokenExchange",
}
JWKS_FILE = "jwks.json"
KID = "cluster-key"
TIMEOUT = 10


@dataclass(frozen=True)
class Material:
    """The key pairs of one run."""

    app: keys.Pair
    cluster: keys.Pair
    stranger: keys.Pair
    issuer: keys.Pair
    issued: keys.Pair

    @classmethod
    def generate(cls) -> "Material":
        app, cluster, stranger, issuer = (keys.Pair.generate(name) for name in ("app", "cluster", "stranger", "issuer"))
        return cls(app, cluster, stranger, issuer, keys.Pair.generate("issued", issuer))

    def federated_assertion(self, **changes) -> str:
        """What the cluster says of the workload; `changes` are what is false about it."""
        said = {**FEDERATED, "key": self.cluster.key, "header": {"kid": KID}, **changes}
        return keys.assertion(said.pop("key"), said.pop("header"), **said)


@dataclass(frozen=True)
class Sts:
    """A running authority, by the line that it prints."""

    authority: str
    tenant: str
    client_id: str
    client_secret: str
    ca_file: str | None

    @classmethod
    def announced(cls, said: str) -> "Sts | None":
        line, newline, _ = said.partition("\n")
        if not newline:
            return None
        told = json.loads(line)
        return cls(*(told[name] for name in ("authority", "tenant", "client_id", "client_secret", "ca_file")))

    def post_token(self, tenant: str, form: dict) -> requests.Response:
        return self._ask("POST", f"/{tenant}/oauth2/v2.0/token", data=form)

    def journal(self) -> list[dict]:
        """All that it was asked so far."""
        return self._ask("GET", "/_sts/requests").json()

    def exchanges(self, **form: str) -> list[dict]:
        """The token requests so far whose form has these fields."""
        tokens = [entry for entry in self.journal() if entry["method"] == "POST" and entry["path"].endswith("/token")]
        return [entry for entry in tokens if form.items() <= entry["form"].items()]

    def fail(self, *rules: dict) -> None:
        self._ask("POST", "/_sts/faults", json=list(rules)).raise_for_status()

    def heal(self) -> None:
        self._ask("DELETE", "/_sts/faults").raise_for_status()

    def _ask(self, method: str, path: str, **what) -> requests.Response:
        return requests.request(method, self.authority + path, verify=self.ca_file or True, timeout=TIMEOUT, **what)


def write_configuration(directory: Path, material: Material) -> Path:
    """An application for each way to prove oneself, so that no proof can pass for another."""
    (directory / "app.pem").write_text(material.app.certificate_pem())
    (directory / "issued.pem").write_text(material.issued.certificate_pem())
    (directory / JWKS_FILE).write_text(json.dumps(material.cluster.jwks(KID)))
    federated = ", ".join(f'{name} = "{value}"' for name, value in {**FEDERATED, "jwks_file": JWKS_FILE}.items())
    file = directory / "sts.toml"
    file.write_text(
        f"""
token_lifetime = "1h"
versions = {{ "{SECOND_VERSION}" = 2 }}

[[apps]]
client_id = "{SECRET_CLIENT}"
secrets = ["{SECRET}"]
tenants = ["*"]
roles = ["{ROLE}"]

[[apps]]
client_id = "{REJECTED_CLIENT}"
secrets = ["{SECRET}"]
tenants = ["*"]

[[apps]]
client_id = "{CERTIFICATE_CLIENT}"
certificates = ["app.pem"]
tenants = ["*"]
roles = ["{ROLE}"]

[[apps]]
client_id = "{CHAIN_CLIENT}"
certificates = ["issued.pem"]
tenants = ["*"]

[[apps]]
client_id = "{CAPABLE_CLIENT}"
secrets = ["{SECRET}"]
tenants = ["*"]

[[apps]]
client_id = "{FEDERATED_CLIENT}"
federated = [{{ {federated} }}]
tenants = ["*"]
roles = ["{ROLE}"]
"""
    )
    return file
