"""Ways to obtain a token, as MSAL is told of them and as Bursar is, with the same files for both."""

import json
from dataclasses import dataclass, field

from authority import CAPABLE_CLIENT, CERTIFICATE_CLIENT, CHAIN_CLIENT, FEDERATED_CLIENT, SECRET, SECRET_CLIENT, TENANT
from authority import Material, Sts
from profiles import ENTRA, PROFILES, Profile

ALL = {"entra": ENTRA, **PROFILES}
PASSPHRASE = "open sesame"
CHALLENGE = json.dumps({"access_token": {"nbf": {"essential": True, "value": "1700000000"}}})
CLIENT_CLAIMS = json.dumps({"access_token": {"xms_az": {"essential": True}}})
SIGNED = {"tier": 3, "name": "ledger"}
FMI_PATH = "agents/one"


@dataclass(frozen=True)
class Flow:
    """One wish, as MSAL is told of it and as Bursar is."""

    identity: str
    client_id: str
    credential: object
    constructed: dict = field(default_factory=dict)
    called: dict = field(default_factory=dict)
    query: dict = field(default_factory=dict)


def secret(_directory):
    return SECRET


def pfx(name, **more):
    return lambda directory: {"private_key_pfx_path": str(directory / name), "passphrase": PASSPHRASE, **more}


def assertion(directory):
    return {"client_assertion": (directory / "assertion.jwt").read_text}


CAPABLE = {"client_capabilities": ["cp1"]}
FLOWS = {
    "secret": Flow("plain", SECRET_CLIENT, secret),
    "certificate": Flow("certified", CERTIFICATE_CLIENT, pfx("app.pfx")),
    "chain": Flow("chained", CHAIN_CLIENT, pfx("issued.pfx", public_certificate=True), {"client_claims": SIGNED}),
    "federated": Flow("federated", FEDERATED_CLIENT, assertion),
    "challenge": Flow("plain", SECRET_CLIENT, secret, {}, {"claims_challenge": CHALLENGE}, {"claims": CHALLENGE}),
    "client-claims": Flow(
        "plain", SECRET_CLIENT, secret, {}, {"forwarded_client_claims": CLIENT_CLAIMS}, {"client_claims": CLIENT_CLAIMS}
    ),
    "capable": Flow("capable", CAPABLE_CLIENT, secret, CAPABLE),
    "capable-challenge": Flow(
        "capable", CAPABLE_CLIENT, secret, CAPABLE, {"claims_challenge": CHALLENGE}, {"claims": CHALLENGE}
    ),
    "fmi-path": Flow("plain", SECRET_CLIENT, secret, {}, {"fmi_path": FMI_PATH}, {"fmi_path": FMI_PATH}),
}

SECRET_FILE = {"kind": "secret", "file": "secret"}
PFX = {"kind": "certificate", "passphrase": {"file": "passphrase"}}
IDENTITIES = {
    "plain": {"client_id": SECRET_CLIENT, "credentials": [SECRET_FILE], "fmi_paths": [FMI_PATH]},
    "capable": {"client_id": CAPABLE_CLIENT, "credentials": [SECRET_FILE], **CAPABLE},
    "certified": {"client_id": CERTIFICATE_CLIENT, "credentials": [{**PFX, "file": "app.pfx"}]},
    "chained": {
        "client_id": CHAIN_CLIENT,
        "credentials": [{**PFX, "file": "issued.pfx", "send_x5c": True, "claims": SIGNED}],
    },
    "federated": {"client_id": FEDERATED_CLIENT, "credentials": [{"kind": "assertion", "file": "assertion.jwt"}]},
}


def write_files(directory, material: Material):
    """What both prove themselves with."""
    (directory / "secret").write_text(SECRET)
    (directory / "passphrase").write_text(PASSPHRASE)
    (directory / "app.pfx").write_bytes(material.app.pfx(PASSPHRASE))
    (directory / "issued.pfx").write_bytes(material.issued.pfx(PASSPHRASE, (material.issuer,)))
    (directory / "assertion.jwt").write_text(material.federated_assertion())


def write_configuration(directory, ports: list[int], sts: Sts, proxy: str):
    """Every identity in every kind of authority."""
    shared = {"tenants": list(ALL), "resources": ["*"]}
    listeners = [f"127.0.0.1:{port}" for port in ports]
    configuration = {
        "server": {"listen": [listeners[0]], "admin_listen": listeners[1], "drain": "0s"},
        "tenants": {name: tenant(name, profile, sts, proxy) for name, profile in ALL.items()},
        "identities": {name: {**identity, **shared} for name, identity in IDENTITIES.items()},
    }
    file = directory / "bursar.json"
    file.write_text(json.dumps(configuration))
    return file


def tenant(name: str, profile: Profile, sts: Sts, proxy: str) -> dict:
    """A host that is not of this machine is reached through the proxy."""
    authority = profile.authority(sts)
    told = {"authority": authority, "instance_discovery": False, "ca_file": sts.ca_file}
    particular = {
        "entra": {"authority": sts.authority, "id": TENANT},
        "oidc": {"kind": "oidc"},
        # MSAL takes it for any provider; Bursar is told what it is, since it wants scopes and no resources.
        "oidc-of-ciam": {"authority": authority.removesuffix("/v2.0"), "kind": "ciam"},
    }
    return told | particular.get(name, {}) | ({"proxy": proxy} if profile.host else {})
