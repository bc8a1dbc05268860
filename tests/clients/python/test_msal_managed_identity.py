"""MSAL's own managed-identity client, on which others are built."""

import time

import msal
import pytest
import requests

from authority import CERTIFICATE_CLIENT
from service import DOORS, VAULT, outward_words
from tokens import client_of, verified

UNKNOWN = "dead0000-0000-4000-8000-00000000dead"


@pytest.fixture(params=DOORS)
def door(request):
    return request.param


@pytest.fixture
def client(door, monkeypatch):
    """A client that stands at the door of a service and asks for one identity."""

    def of(service, **selector):
        for name, value in service.environment(door).items():
            monkeypatch.setenv(name, value)
        assigned = msal.UserAssignedManagedIdentity(**selector) if selector else msal.SystemAssignedManagedIdentity()
        return msal.ManagedIdentityClient(assigned, http_client=requests.Session())

    return of


def claims_of(service, result):
    assert "access_token" in result, result.get("error_description")
    return verified(result["access_token"], audience=VAULT, authority=service.authority, ca_file=service.ca_file)


@pytest.mark.parametrize("assigned", ["system", "user"])
def test_a_token_and_then_the_same_from_the_cache(bursar, client, assigned):
    asking = client(bursar, **({"client_id": bursar.client_id} if assigned == "user" else {}))
    first, second = (asking.acquire_token_for_client(resource=VAULT) for _ in range(2))
    claims = claims_of(bursar, first)
    assert (claims["tid"], client_of(claims)) == (bursar.tenant, bursar.client_id)
    assert abs(time.time() + first["expires_in"] - claims["exp"]) <= 2
    assert first["token_type"] == "Bearer"
    assert first["resource"] == VAULT
    assert (first["token_source"], second["token_source"]) == ("identity_provider", "cache")
    assert first["access_token"] == second["access_token"]


@pytest.mark.parametrize("selector", ["object_id", "resource_id"])
def test_an_identity_is_found_by_its_other_names(bursar, client, selector):
    asking = client(bursar, **{selector: bursar.selectors[selector]})
    assert client_of(claims_of(bursar, asking.acquire_token_for_client(resource=VAULT))) == bursar.client_id


def test_each_selector_gets_its_own_identity(serve, client):
    asking = client(serve, client_id=CERTIFICATE_CLIENT)
    assert client_of(claims_of(serve, asking.acquire_token_for_client(resource=VAULT))) == CERTIFICATE_CLIENT


def test_a_claims_challenge_gets_past_msals_cache(serve, client):
    asking = client(serve)
    challenge = '{"access_token":{"nbf":{"essential":true,"value":"1700000000"}}}'
    asked = [{}, {"claims_challenge": challenge}]
    first, second = (asking.acquire_token_for_client(resource=VAULT, **more) for more in asked)
    assert (first["token_source"], second["token_source"]) == ("identity_provider", "identity_provider")
    assert claims_of(serve, second)["tid"] == serve.tenant


def test_an_unknown_identity_is_called_unknown(bursar, client, door):
    bare = bursar.bare_answer(door, resource=VAULT, client_id=UNKNOWN)
    result = client(bursar, client_id=UNKNOWN).acquire_token_for_client(resource=VAULT)
    assert bare.status_code == 400
    assert "access_token" not in result
    assert outward_words(bare.json()) in outward_words(result["error_description"])
