"""MSAL at the door of Service Fabric, where alone it says which token a resource has refused."""

import hashlib

import msal
import pytest
import requests

import authority
from authority import SECRET_CLIENT
from conftest import is_ready
from processes import free_ports, running, said_by
from service import HEADER, VAULT, exported
from tokens import client_of, verified

CHALLENGE = '{"access_token":{"nbf":{"essential":true,"value":"1700000000"}}}'


def write_configuration(directory, ports, sts):
    (directory / "header").write_text(HEADER)
    (directory / "secret").write_text(authority.SECRET)
    file = directory / "bursar.toml"
    file.write_text(
        f"""
[server]
listen = ["https://127.0.0.1:{ports[0]}"]
admin_listen = "127.0.0.1:{ports[1]}"
dialects = ["service-fabric"]
header_secret = [{{ file = "header" }}]
drain = "0s"

[tenants.test]
id = "{authority.TENANT}"
authority = "{sts.authority}"
instance_discovery = false
ca_file = "{sts.ca_file}"

[identities.ledger]
tenants = ["test"]
client_id = "{SECRET_CLIENT}"
resources = ["*"]
credentials = [{{ kind = "secret", file = "secret" }}]
"""
    )
    return file


@pytest.fixture(scope="module")
def variables(tmp_path_factory, sts):
    """What `bursar env` has a program on Service Fabric export; the listener's certificate is one of the moment."""
    directory = tmp_path_factory.mktemp("fabric")
    ports = free_ports(2)
    file = write_configuration(directory, ports, sts)
    with running("fabric", ["serve", "--config", str(file)], directory) as command:
        command.wait_until(lambda: is_ready(f"http://127.0.0.1:{ports[1]}/readyz"), "readiness")
        lines = said_by("env", "--config", str(file), "--dialect", "service-fabric", "--shell", "dotenv")
        yield exported(lines)


@pytest.fixture
def program(variables, monkeypatch):
    """Programs, each with a cache of its own."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    def another():
        assigned = msal.SystemAssignedManagedIdentity()
        return msal.ManagedIdentityClient(assigned, http_client=requests.Session(), client_capabilities=["cp1"])

    return another


@pytest.fixture
def exchanges(sts):
    """How many exchanges for a resource there have been since this was last called."""
    seen = {}

    def since(resource):
        now = len(sts.exchanges(client_id=SECRET_CLIENT, scope=f"{resource}/.default"))
        before, seen[resource] = seen.get(resource, 0), now
        return now - before

    since(VAULT)
    return since


def token_of(result):
    assert "access_token" in result, result.get("error_description")
    assert result["token_source"] == "identity_provider"
    return result["access_token"]


def test_a_token_that_a_resource_refused_is_replaced_once_for_all(sts, program, exchanges):
    first, second = program(), program()
    refused = token_of(first.acquire_token_for_client(resource=VAULT))
    assert token_of(second.acquire_token_for_client(resource=VAULT)) == refused
    assert exchanges(VAULT) <= 1
    fresh = token_of(first.acquire_token_for_client(resource=VAULT, claims_challenge=CHALLENGE))
    assert fresh != refused
    assert exchanges(VAULT) == 1
    assert client_of(verified(fresh, audience=VAULT, authority=sts.authority, ca_file=sts.ca_file)) == SECRET_CLIENT
    # The other one comes later with the same refused token, and a third one without any.
    assert token_of(second.acquire_token_for_client(resource=VAULT, claims_challenge=CHALLENGE)) == fresh
    assert token_of(program().acquire_token_for_client(resource=VAULT)) == fresh
    assert exchanges(VAULT) == 0


def test_an_exchange_that_fails_is_told_to_the_program_that_forced_it(sts, program):
    asking = program()
    resource = "https://failing.example"
    refused = token_of(asking.acquire_token_for_client(resource=resource))
    sts.fail({"match": {"scope": f"{resource}/.default"}, "status": 503})
    try:
        failed = asking.acquire_token_for_client(resource=resource, claims_challenge=CHALLENGE)
        assert "access_token" not in failed, "it gets anything but the token that was refused"
        assert "ask again" in failed["error_description"]
        assert token_of(program().acquire_token_for_client(resource=resource)) == refused, "the others keep it"
    finally:
        sts.heal()


def test_the_digest_goes_as_the_reference_has_it(program, variables, monkeypatch):
    asked = []
    get = requests.Session.send
    monkeypatch.setattr(
        requests.Session, "send", lambda self, request, **how: asked.append(request.url) or get(self, request, **how)
    )
    asking = program()
    refused = token_of(asking.acquire_token_for_client(resource="https://digest.example"))
    token_of(asking.acquire_token_for_client(resource="https://digest.example", claims_challenge=CHALLENGE))
    digest = hashlib.sha256(refused.encode()).hexdigest()
    assert asked[-1].startswith(variables["IDENTITY_ENDPOINT"])
    assert f"token_sha256_to_refresh={digest}" in asked[-1]
