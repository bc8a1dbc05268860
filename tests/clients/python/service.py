"""A running Bursar as its callers see it: the variables to export, and whose tokens it pays out."""

import re
from dataclasses import dataclass
from pathlib import Path

import requests

import authority
from authority import Material, Sts

DEV_TENANT = "b0b00000-0000-4000-8000-000000000001"
DEV_CLIENT = "b0b00000-0000-4000-8000-000000000002"
HEADER = "the-header-secret-of-the-suites"
OBJECT_ID = "0b1ec700-0000-4000-8000-000000000004"
RESOURCE_ID = (
    "/subscriptions/5ab5c41b-0000-4000-8000-000000000005/resourceGroups/books"
    "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/ledger"
)
VAULT = "https://vault.azure.net"
APP_SERVICE = "app-service"
IMDS = "imds"
DOORS = (APP_SERVICE, IMDS)
TIMEOUT = 10


@dataclass(frozen=True)
class Service:
    """The default identity of one service, and all that a caller may say to reach it."""

    endpoint: str
    header: str
    host: str
    authority: str
    ca_file: str | None
    tenant: str
    client_id: str
    selectors: dict[str, str]

    def environment(self, door: str) -> dict[str, str]:
        """What to export for one way in; with several, a client would always take the same one."""
        return {
            APP_SERVICE: {"IDENTITY_ENDPOINT": self.endpoint, "IDENTITY_HEADER": self.header},
            IMDS: {"AZURE_POD_IDENTITY_AUTHORITY_HOST": self.host},
        }[door]

    def bare_answer(self, door: str, **query: str) -> requests.Response:
        """The answer to an ask without an SDK around it, to compare what an SDK makes of it."""
        url, version, headers = {
            APP_SERVICE: (self.endpoint, "2019-08-01", {"X-IDENTITY-HEADER": self.header}),
            IMDS: (f"{self.host}/metadata/identity/oauth2/token", "2018-02-01", {"Metadata": "true"}),
        }[door]
        return requests.get(url, headers=headers, params={"api-version": version, **query}, timeout=TIMEOUT)


def outward_words(said: dict | str) -> str:
    """What Bursar says to a person, without the quotation marks that SDKs write differently."""
    text = said if isinstance(said, str) else said["error_description"]
    return "".join(letter for letter in text if letter not in "'\"\\")


def exported(said: str) -> dict[str, str]:
    """The variables in lines such as a shell, or a file of them, would have."""
    lines = re.findall(r"^\s*(?:# )?(?:export )?([A-Z_]+)=(.*)$", said, re.MULTILINE)
    return {name: value.strip().strip("'\"") for name, value in lines}


def reached_by(said: str) -> dict[str, str]:
    """What a command says of how to reach it, as parts of a service."""
    exports = exported(said)
    return {
        "endpoint": exports["IDENTITY_ENDPOINT"],
        "header": exports["IDENTITY_HEADER"],
        "host": exports["AZURE_POD_IDENTITY_AUTHORITY_HOST"],
    }


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
drain = "0s"

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


def configured(said: str, sts: Sts) -> Service:
    """The service that `write_configuration` describes, by what `bursar env` says of it."""
    return Service(
        **reached_by(said),
        authority=sts.authority,
        ca_file=sts.ca_file,
        tenant=authority.TENANT,
        client_id=authority.SECRET_CLIENT,
        selectors={"object_id": OBJECT_ID, "resource_id": RESOURCE_ID},
    )


def says_all(said: str) -> bool:
    """Whether `bursar dev` has come to its last line, which shows an ask."""
    return re.search(r"^\s*curl .*\n", said, re.MULTILINE) is not None


def developers(said: str) -> Service:
    """The service that `bursar dev` describes."""
    return Service(
        **reached_by(said),
        authority=re.search(r"\bauthority +(\S+)", said)[1],
        ca_file=None,
        tenant=DEV_TENANT,
        client_id=DEV_CLIENT,
        selectors=dict(re.findall(r"\b(object_id|resource_id) +(\S+)", said)),
    )
