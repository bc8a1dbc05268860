"""A Bursar that several workloads share, each by a proof of its own."""

import json
import time
from dataclasses import dataclass
from pathlib import Path

import jwt

import authority
from authority import KID, Material, Sts
from service import VAULT

AUDIENCE = "api://bursar"
ISSUER = authority.FEDERATED["issuer"]
LEDGER_HEADER = "the-header-secret-of-ledger"
CERTIFIED_HEADER = "the-header-secret-of-certified"
NAMESPACE = "default"
ACCOUNT = "books"


@dataclass(frozen=True)
class Shared:
    """Where it is asked. What a caller shows is the caller's own."""

    endpoint: str
    authority: str
    ca_file: str


def service_account_token(material: Material, **changes) -> str:
    """What kubelet projects for a pod of the account `books`; `changes` are what is false about it."""
    now = int(time.time())
    claims = {
        "aud": [AUDIENCE],
        "exp": now + 3607,
        "iat": now,
        "iss": ISSUER,
        "jti": "7c3c9e8c-0000-4000-8000-000000000001",
        "kubernetes.io": {
            "namespace": NAMESPACE,
            "node": {"name": "node-1", "uid": "7c3c9e8c-0000-4000-8000-000000000002"},
            "pod": {"name": "books-6d5f", "uid": "7c3c9e8c-0000-4000-8000-000000000003"},
            "serviceaccount": {"name": ACCOUNT, "uid": "7c3c9e8c-0000-4000-8000-000000000004"},
        },
        "nbf": now,
        "sub": f"system:serviceaccount:{NAMESPACE}:{ACCOUNT}",
    }
    return jwt.encode({**claims, **changes}, material.cluster.key, algorithm="RS256", headers={"kid": KID})


def write_configuration(directory: Path, ports: list[int], sts: Sts, material: Material) -> Path:
    """Two identities; a caller with a header secret for each, and one that is a service account."""
    (directory / "secret").write_text(authority.SECRET)
    (directory / "app.pem").write_text(material.app.key_pem() + material.app.certificate_pem())
    (directory / "header-of-ledger").write_text(LEDGER_HEADER)
    (directory / "header-of-certified").write_text(CERTIFIED_HEADER)
    (directory / "cluster.json").write_text(json.dumps(material.cluster.jwks(KID)))
    file = directory / "bursar.toml"
    file.write_text(
        f"""
[server]
listen = ["127.0.0.1:{ports[0]}"]
admin_listen = "127.0.0.1:{ports[1]}"
dialects = ["app-service", "native"]
drain = "0s"

[tenants.test]
id = "{authority.TENANT}"
authority = "{sts.authority}"
instance_discovery = false
ca_file = "{sts.ca_file}"

[identities.ledger]
tenants = ["test"]
client_id = "{authority.SECRET_CLIENT}"
resources = ["*"]
credentials = [{{ kind = "secret", file = "secret" }}]

[identities.certified]
tenants = ["test"]
client_id = "{authority.CERTIFICATE_CLIENT}"
resources = ["*"]
credentials = [{{ kind = "certificate", file = "app.pem" }}]

[kubernetes]
issuer = "{ISSUER}"
audience = ["{AUDIENCE}"]
jwks_file = "cluster.json"

[callers.ledger]
proof = {{ kind = "header-secret", file = "header-of-ledger" }}
identities = ["ledger"]
resources = ["{VAULT}"]

[callers.certified]
proof = {{ kind = "header-secret", file = "header-of-certified" }}
identities = ["certified"]
resources = ["{VAULT}"]

[callers.books]
proof = {{ kind = "service-account", namespace = "{NAMESPACE}", service_account = "{ACCOUNT}" }}
identities = ["certified"]
resources = ["{VAULT}"]
"""
    )
    return file
