"""azure-identity takes Bursar for the managed identity of an Azure host, with nothing set but its own variables."""

import asyncio
import time
from dataclasses import replace

import azure.identity
import azure.identity.aio
import pytest
from azure.core.exceptions import ClientAuthenticationError

from authority import CERTIFICATE_CLIENT, FEDERATED_CLIENT, REJECTED_CLIENT, WRONG_SECRET
from service import APP_SERVICE, DOORS, VAULT, outward_words
from tokens import client_of, verified

UNKNOWN = "dead0000-0000-4000-8000-00000000dead"
MANAGED = "ManagedIdentityCredential"
DEFAULT = "DefaultAzureCredential"
CLIENT_ID_OPTION = {MANAGED: "client_id", DEFAULT: "managed_identity_client_id"}
AT_ONCE = 5


def call(credential, method, resource, options):
    with getattr(azure.identity, credential)(**options) as held:
        return getattr(held, method)(resource + "/.default")


async def call_async(credential, method, resource, options):
    async with getattr(azure.identity.aio, credential)(**options) as held:
        return await getattr(held, method)(resource + "/.default")


FLAVOURS = {"sync": call, "async": lambda *arguments: asyncio.run(call_async(*arguments))}


@pytest.fixture(params=DOORS)
def door(request):
    return request.param


@pytest.fixture(params=FLAVOURS)
def ask(request, door, monkeypatch):
    """One call by a fresh credential, which reads the environment when it is made."""

    def once(service, credential=MANAGED, method="get_token", resource=VAULT, **options):
        for name, value in service.environment(door).items():
            monkeypatch.setenv(name, value)
        return FLAVOURS[request.param](credential, method, resource, options)

    return once


def claims_of(service, token, audience=VAULT):
    return verified(token.token, audience=audience, authority=service.authority, ca_file=service.ca_file)


def refused_at_once(ask, *arguments, **options):
    """What the SDK says of a refusal, which it must not have waited for or tried again."""
    started = time.monotonic()
    with pytest.raises(ClientAuthenticationError) as refused:
        ask(*arguments, **options)
    assert time.monotonic() - started < AT_ONCE
    return str(refused.value)


@pytest.mark.parametrize("method", ["get_token", "get_token_info"])
@pytest.mark.parametrize("assigned", ["system", "user"])
@pytest.mark.parametrize("credential", [MANAGED, DEFAULT])
def test_a_credential_gets_a_token(bursar, ask, credential, assigned, method):
    options = {CLIENT_ID_OPTION[credential]: bursar.client_id} if assigned == "user" else {}
    token = ask(bursar, credential, method, **options)
    claims = claims_of(bursar, token)
    assert (claims["tid"], client_of(claims)) == (bursar.tenant, bursar.client_id)
    assert abs(token.expires_on - claims["exp"]) <= 2
    assert token.expires_on > time.time() + 300


@pytest.mark.parametrize("selector", ["object_id", "resource_id"])
def test_an_identity_is_found_by_its_other_names(bursar, ask, selector):
    token = ask(bursar, identity_config={selector: bursar.selectors[selector]})
    assert client_of(claims_of(bursar, token)) == bursar.client_id


@pytest.mark.parametrize("client_id", [CERTIFICATE_CLIENT, FEDERATED_CLIENT], ids=["certificate", "assertion"])
def test_every_kind_of_credential_pays_out(serve, ask, client_id):
    assert client_of(claims_of(serve, ask(serve, client_id=client_id))) == client_id


def test_the_client_id_may_come_from_the_environment(serve, ask, monkeypatch):
    monkeypatch.setenv("AZURE_CLIENT_ID", CERTIFICATE_CLIENT)
    assert client_of(claims_of(serve, ask(serve, DEFAULT))) == CERTIFICATE_CLIENT


@pytest.mark.parametrize("resource", ["https://management.core.windows.net/", "api://ledger/books"])
def test_the_audience_is_the_resource_to_the_letter(bursar, ask, resource):
    token = ask(bursar, resource=resource)
    assert claims_of(bursar, token, audience=resource)["aud"] == resource


def test_clients_share_one_exchange(sts, serve, ask, request):
    resource = f"https://{request.node.callspec.id}.shared.example"
    tokens = {ask(serve, resource=resource).token for _ in range(3)}
    assert len(tokens) == 1
    assert len(sts.exchanges(scope=resource + "/.default")) == 1


def test_a_hiccup_of_the_authority_stays_behind_the_counter(sts, serve, ask, request):
    resource = f"https://{request.node.callspec.id}.hiccup.example"
    sts.fail({"match": {"scope": resource + "/.default"}, "times": 1, "status": 503})
    try:
        token = ask(serve, resource=resource)
    finally:
        sts.heal()
    assert claims_of(serve, token, audience=resource)["tid"] == serve.tenant
    assert len(sts.exchanges(scope=resource + "/.default")) == 2


@pytest.mark.parametrize("credential", [MANAGED, DEFAULT])
def test_an_unknown_identity_is_called_unknown(bursar, ask, door, credential):
    bare = bursar.bare_answer(door, resource=VAULT, client_id=UNKNOWN)
    said = refused_at_once(ask, bursar, credential, **{CLIENT_ID_OPTION[credential]: UNKNOWN})
    assert bare.status_code == 400
    assert "identity" in outward_words(bare.json())
    assert outward_words(bare.json()) in outward_words(said)


def test_what_policy_refuses_is_refused_in_words(serve, ask, door):
    asked = {"resource": "https://graph.microsoft.com", "client_id": CERTIFICATE_CLIENT}
    bare = serve.bare_answer(door, **asked)
    said = refused_at_once(ask, serve, **asked)
    assert bare.status_code == 403
    assert outward_words(bare.json()) in outward_words(said)


def test_a_rejected_credential_tells_the_operator_why(serve, ask, door):
    said = refused_at_once(ask, serve, client_id=REJECTED_CLIENT)
    bare = serve.bare_answer(door, resource=VAULT, client_id=REJECTED_CLIENT)
    assert bare.status_code == 403
    assert "AADSTS7000215" in said
    assert WRONG_SECRET not in said and WRONG_SECRET not in bare.text


@pytest.mark.parametrize("door", [APP_SERVICE])
def test_a_wrong_header_opens_nothing(bursar, ask, door):
    stranger = replace(bursar, header="no-such-header-secret")
    bare = stranger.bare_answer(door, resource=VAULT)
    said = refused_at_once(ask, stranger)
    assert bare.status_code in (401, 403)
    assert outward_words(bare.json()) in outward_words(said)
    assert bursar.header not in said
