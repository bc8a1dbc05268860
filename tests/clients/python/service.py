"""A running Bursar as its callers see it: the variables to export, and whose tokens it pays out."""

import re
from dataclasses import dataclass, field
from pathlib import Path

import requests

import authority
from authority import Material, Sts

HEADER = "the-header-secret-of-the-suites"
OBJECT_ID = "0b1ec700-0000-4000-8000-000000000004"
RESOURCE_ID = (
    "/subscriptions/5ab5c41b-0000-4000-8000-000000000005/resourceGroups/books"
    "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/ledger"
)
VAULT = "https://vault.azure.net"
APP_SERVICE = "app-service"
IMDS = "imds"
DOORS = {APP_SERVICE: ("IDENTITY_ENDPOINT", "IDENTITY_HEADER"), IMDS: ("AZURE_POD_IDENTITY_AUTHORITY_HOST",)}
IMDS_PATH = "/metadata/identity/oauth2/token"
TIMEOUT = 10


@dataclass(frozen=True)
class Service:
    """The default identity of one service, and all that a caller may say to reach it."""

    exports: dict[str, str]
    authority: str
    ca_file: str | None
    tenant: str
    client_id: str
    selectors: dict[str, str] = field(default_factory=dict)

    def environment(self, door: str) -> dict[str, str]:
        """What to export for one way in; exporting both would always take the first."""
        return {name: self.exports[name] for name in DOORS[door]}

    def bare_answer(self, door: str, **query: str) -> requests.Response:
        """The answer to an ask without an SDK around it, to compare what an SDK makes of it."""
        if door == APP_SERVICE:
            url, version = self.exports["IDENTITY_ENDPOINT"], "2019-08-01"
            headers = {"X-IDENTITY-HEADER": self.exports["IDENTITY_HEADER"]}
        else:
            url, version = self.exports["AZURE_POD_IDENTITY_AUTHORITY_HOST"] + IMDS_PATH, "2018-02-01"
            headers = {"Metadata": "true"}
        return requests.get(url, headers=headers, params={"api-version": version, **query}, timeout=TIMEOUT)


def outward_words(said: dict | str) -> str:
    """What Bursar says to a person, without the quotation marks that SDKs write differently."""
    text = said if isinstance(said, str) else said["error_description"]
    return "".join(letter for letter in text if letter not in "'\"\\")


def exported(said: str) -> dict[str, str]:
    """The variables in lines such as a shell would read."""
    lines = re.findall(r"^\s*export (\w+)=(.*)$", said, re.MULTILINE)
    return {name: value.strip().strip("'\"") for name, value in lines}


def write_configuration(directory: Path, ports: list[int], sts: Sts, material: Material) -> Path:
    """One identity for each kind of credential, and one whose secret is wrong; the first is the default."""
    (directory / "header").write_text(HEADER)
    (directory / "secret").write_text(authority.SECRET)
    (directory / "wrong").write_text(authority.WRONG_SECRET)
    (directory / "app.pem").write_text(material.app.key_pem() + material.app.certificate_pem())
    (directory / "assertion.jwt").write_text(material.federated_assertion())
    file = directory / "bursar.toml"
    file.write_text(
        f"""
[server]
listen = ["127.0.0.1:{ports[0]}"]
admin_listen = "127.0.0.1:{ports[1]}"
header_secret = [{{ file = "header" }}]

[tenants.test]
id = "{authority.TENANT}"
authority = "{sts.authority}"
instance_discovery = false
ca_file = "{sts.ca_file}"

[identities.ledger]
tenants = ["test"]
client_id = "{authority.SECRET_CLIENT}"
object_id = "{OBJECT_ID}"
resource_id = "{RESOURCE_ID}"
default = true
resources = ["*"]
credentials = [{{ kind = "secret", file = "secret" }}]

[identities.certified]
tenants = ["test"]
client_id = "{authority.CERTIFICATE_CLIENT}"
resources = ["{VAULT}"]
credentials = [{{ kind = "certificate", file = "app.pem" }}]

[identities.federated]
tenants = ["test"]
client_id = "{authority.FEDERATED_CLIENT}"
resources = ["{VAULT}"]
credentials = [{{ kind = "assertion", file = "assertion.jwt" }}]

[identities.rejected]
tenants = ["test"]
client_id = "{authority.REJECTED_CLIENT}"
resources = ["{VAULT}"]
credentials = [{{ kind = "secret", file = "wrong" }}]
"""
    )
    return file


def configured(ports: list[int], sts: Sts) -> Service:
    """The service that `write_configuration` describes."""
    host = f"http://127.0.0.1:{ports[0]}"
    exports = {
        "IDENTITY_ENDPOINT": f"{host}/msi/token",
        "IDENTITY_HEADER": HEADER,
        "AZURE_POD_IDENTITY_AUTHORITY_HOST": host,
    }
    selectors = {"object_id": OBJECT_ID, "resource_id": RESOURCE_ID}
    return Service(exports, sts.authority, sts.ca_file, authority.TENANT, authority.SECRET_CLIENT, selectors)
