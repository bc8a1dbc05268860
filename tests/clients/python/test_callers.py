"""Several workloads share one Bursar through azure-identity: the value of IDENTITY_HEADER tells them apart."""

import asyncio
import time

import azure.identity
import azure.identity.aio
import pytest
import requests
from azure.core.exceptions import ClientAuthenticationError

import shared
from authority import CERTIFICATE_CLIENT, SECRET_CLIENT
from conftest import is_ready
from processes import free_ports, running
from service import VAULT
from tokens import client_of, verified

AT_ONCE = 5
CALLERS = {"ledger": SECRET_CLIENT, "certified": CERTIFICATE_CLIENT, "books": CERTIFICATE_CLIENT}


@pytest.fixture(scope="module")
def desk(tmp_path_factory, sts, material):
    directory = tmp_path_factory.mktemp("shared")
    ports = free_ports(2)
    file = shared.write_configuration(directory, ports, sts, material)
    with running("shared", ["serve", "--config", str(file)], directory) as command:
        command.wait_until(lambda: is_ready(f"http://127.0.0.1:{ports[1]}/readyz"), "readiness")
        yield shared.Shared(f"http://127.0.0.1:{ports[0]}/msi/token", sts.authority, sts.ca_file)


@pytest.fixture
def headers(material):
    """What each caller finds in IDENTITY_HEADER."""
    token = shared.service_account_token(material)
    return {"ledger": shared.LEDGER_HEADER, "certified": shared.CERTIFIED_HEADER, "books": token}


def ask_sync(resource, options):
    with azure.identity.ManagedIdentityCredential(**options) as credential:
        return credential.get_token(resource + "/.default")


async def ask_async(resource, options):
    async with azure.identity.aio.ManagedIdentityCredential(**options) as credential:
        return await credential.get_token(resource + "/.default")


@pytest.fixture(params=["sync", "async"])
def ask(request, desk, monkeypatch):
    """One call by a fresh credential, with what one caller has in its environment."""

    def once(header, resource=VAULT, **options):
        monkeypatch.setenv("IDENTITY_ENDPOINT", desk.endpoint)
        monkeypatch.setenv("IDENTITY_HEADER", header)
        return ask_sync(resource, options) if request.param == "sync" else asyncio.run(ask_async(resource, options))

    return once


def refused_at_once(ask, *arguments, **options):
    started = time.monotonic()
    with pytest.raises(ClientAuthenticationError) as refused:
        ask(*arguments, **options)
    assert time.monotonic() - started < AT_ONCE
    return str(refused.value)


def status(desk, header, **query):
    asked = {"api-version": "2019-08-01", "resource": VAULT, **query}
    return requests.get(desk.endpoint, params=asked, headers={"X-IDENTITY-HEADER": header}, timeout=10).status_code


@pytest.mark.parametrize("caller", CALLERS)
def test_each_caller_gets_its_own_identity_without_a_selector(desk, headers, ask, caller):
    token = ask(headers[caller]).token
    claims = verified(token, audience=VAULT, authority=desk.authority, ca_file=desk.ca_file)
    assert client_of(claims) == CALLERS[caller]


@pytest.mark.parametrize("caller", CALLERS)
def test_nobody_gets_anothers_identity_and_hears_so_at_once(desk, headers, ask, caller):
    (other,) = {SECRET_CLIENT, CERTIFICATE_CLIENT} - {CALLERS[caller]}
    said = refused_at_once(ask, headers[caller], client_id=other)
    assert "may not use this identity" in said
    assert status(desk, headers[caller], client_id=other) == 403


def test_nobody_gets_another_resource(desk, headers, ask):
    assert "may not ask for this resource" in refused_at_once(ask, headers["ledger"], "https://graph.microsoft.com")
    assert status(desk, headers["ledger"], resource="https://graph.microsoft.com") == 403


def test_a_token_of_another_cluster_opens_nothing(desk, material, ask):
    for changes in ({"iss": "https://other.example"}, {"aud": ["https://kubernetes.default.svc"]}, {"exp": 1}):
        token = shared.service_account_token(material, **changes)
        assert status(desk, token) == 401
    refused_at_once(ask, token)
