"""MSAL for Python cannot tell the emulated authority from the real one."""

import json

import jwt
import msal
import pytest

import keys
from authority import CERTIFICATE_CLIENT, FEDERATED_CLIENT, SECRET_CLIENT, TENANT
from authority import ROLE, SECOND_VERSION, SECRET, WRONG_SECRET
from tokens import client_of, verified

RESOURCE = "https://vault.azure.net"
SCOPES = [RESOURCE + "/.default"]
PASSPHRASE = "open sesame"


def client(sts, client_id, credential, tenant=TENANT):
    return msal.ConfidentialClientApplication(
        client_id,
        client_credential=credential,
        authority=f"{sts.authority}/{tenant}",
        instance_discovery=False,
        verify=sts.ca_file,
    )


def token_endpoint(sts):
    return f"{sts.authority}/{TENANT}/oauth2/v2.0/token"


def granted(result):
    assert "access_token" in result, result.get("error_description")
    return result["access_token"]


def claims_of(sts, token, audience=RESOURCE):
    return verified(token, audience=audience, authority=sts.authority, ca_file=sts.ca_file)


def asserting(said):
    """The form that MSAL prefers: it asks for the assertion when it needs one."""
    return {"client_assertion": lambda: said}


def with_sha1(material, _directory):
    return {"private_key": material.app.key_pem(), "thumbprint": material.app.sha1()}


def with_certificate(material, _directory):
    return {"private_key": material.app.key_pem(), "public_certificate": material.app.certificate_pem()}


def with_passphrase(material, directory):
    locked = {"private_key": material.app.key_pem(PASSPHRASE), "passphrase": PASSPHRASE}
    return {**with_certificate(material, directory), **locked}


def with_sha1_and_chain(material, directory):
    return {**with_certificate(material, directory), "thumbprint": material.app.sha1()}


def with_pfx(material, directory):
    file = directory / "app.pfx"
    file.write_bytes(material.app.pfx(PASSPHRASE))
    return {"private_key_pfx_path": str(file), "passphrase": PASSPHRASE}


FORMS = {
    "sha1": (with_sha1, "RS256", "x5t"),
    "sha1-and-chain": (with_sha1_and_chain, "RS256", "x5t"),
    "certificate": (with_certificate, "PS256", "x5t#S256"),
    "passphrase": (with_passphrase, "PS256", "x5t#S256"),
    "pfx": (with_pfx, "PS256", "x5t#S256"),
}


def test_the_printed_line_is_all_that_a_client_needs(plain_sts):
    told = client(plain_sts, plain_sts.client_id, plain_sts.client_secret, plain_sts.tenant)
    claims = claims_of(plain_sts, granted(told.acquire_token_for_client(SCOPES)))
    assert (claims["tid"], client_of(claims)) == (plain_sts.tenant, plain_sts.client_id)


def test_a_secret_buys_a_token_that_says_who_holds_it(sts):
    result = client(sts, SECRET_CLIENT, SECRET).acquire_token_for_client(SCOPES)
    claims = claims_of(sts, granted(result))
    assert (claims["tid"], client_of(claims)) == (TENANT, SECRET_CLIENT)
    assert claims["roles"] == [ROLE]
    assert claims["sub"] == claims["oid"]
    assert claims["exp"] > claims["iat"] >= claims["nbf"]
    assert result["token_type"] == "Bearer"
    assert 3500 < result["expires_in"] <= 3600


@pytest.mark.parametrize("form", FORMS)
def test_a_certificate_buys_a_token(sts, material, tmp_path, form):
    credential, algorithm, thumbprint = FORMS[form]
    before = len(sts.exchanges(client_id=CERTIFICATE_CLIENT))
    result = client(sts, CERTIFICATE_CLIENT, credential(material, tmp_path)).acquire_token_for_client(SCOPES)
    assert client_of(claims_of(sts, granted(result))) == CERTIFICATE_CLIENT
    [exchange] = sts.exchanges(client_id=CERTIFICATE_CLIENT)[before:]
    header = exchange["assertion"]["header"]
    assert header["alg"] == algorithm
    assert thumbprint in header


@pytest.mark.filterwarnings("ignore:Passing a static")
@pytest.mark.parametrize("form", ["given", "asked for"])
def test_a_federated_assertion_buys_a_token(sts, material, form):
    said = material.federated_assertion()
    credential = {"client_assertion": said} if form == "given" else asserting(said)
    result = client(sts, FEDERATED_CLIENT, credential).acquire_token_for_client(SCOPES)
    assert client_of(claims_of(sts, granted(result))) == FEDERATED_CLIENT


def test_the_second_call_is_answered_from_the_cache(sts):
    app = client(sts, SECRET_CLIENT, SECRET)
    before = len(sts.exchanges(client_id=SECRET_CLIENT))
    first, second = (app.acquire_token_for_client(SCOPES) for _ in range(2))
    assert (first["token_source"], second["token_source"]) == ("identity_provider", "cache")
    assert granted(first) == granted(second)
    assert len(sts.exchanges(client_id=SECRET_CLIENT)) == before + 1


def test_a_resource_may_want_tokens_of_the_second_version(sts):
    result = client(sts, SECRET_CLIENT, SECRET).acquire_token_for_client([SECOND_VERSION + "/.default"])
    claims = claims_of(sts, granted(result), audience=SECOND_VERSION)
    assert (claims["ver"], claims["azp"]) == ("2.0", SECRET_CLIENT)
    assert claims["iss"] == f"{sts.authority}/{TENANT}/v2.0"


def test_another_tenant_is_another_token(sts):
    other = "c0ffee00-0000-4000-8000-00000000000c"
    result = client(sts, SECRET_CLIENT, SECRET, other).acquire_token_for_client(SCOPES)
    assert claims_of(sts, granted(result))["tid"] == other


def test_a_token_is_for_its_audience_alone(sts):
    token = granted(client(sts, SECRET_CLIENT, SECRET).acquire_token_for_client(SCOPES))
    with pytest.raises(jwt.InvalidAudienceError):
        claims_of(sts, token, audience="https://graph.microsoft.com")


def test_a_token_of_another_authority_does_not_verify(sts, plain_sts):
    other = client(plain_sts, plain_sts.client_id, plain_sts.client_secret, plain_sts.tenant)
    with pytest.raises(AssertionError, match="is none of"):
        claims_of(sts, granted(other.acquire_token_for_client(SCOPES)))


def wrong_secret(_sts, _material):
    return SECRET_CLIENT, WRONG_SECRET


def expired_certificate_assertion(sts, material):
    said = keys.assertion(
        material.app.key,
        {"x5t": material.app.x5t()},
        issuer=CERTIFICATE_CLIENT,
        subject=CERTIFICATE_CLIENT,
        audience=token_endpoint(sts),
        age=3600,
    )
    return CERTIFICATE_CLIENT, asserting(said)


def signed_by_a_stranger(_sts, material):
    return CERTIFICATE_CLIENT, {"private_key": material.stranger.key_pem(), "thumbprint": material.app.sha1()}


def unregistered_certificate(_sts, material):
    return CERTIFICATE_CLIENT, {
        "private_key": material.stranger.key_pem(),
        "public_certificate": material.stranger.certificate_pem(),
    }


def expired_federated_assertion(_sts, material):
    return FEDERATED_CLIENT, asserting(material.federated_assertion(age=3600))


def federated_subject_unknown(_sts, material):
    return FEDERATED_CLIENT, asserting(material.federated_assertion(subject="system:serviceaccount:x:y"))


def unknown_application(_sts, _material):
    return "dead0000-0000-4000-8000-00000000dead", SECRET


REFUSALS = {
    wrong_secret: ("invalid_client", 7000215),
    expired_certificate_assertion: ("invalid_client", 700024),
    expired_federated_assertion: ("invalid_client", 700024),
    signed_by_a_stranger: ("invalid_client", 700027),
    unregistered_certificate: ("invalid_client", 700027),
    federated_subject_unknown: ("invalid_client", 700213),
    unknown_application: ("unauthorized_client", 700016),
}


@pytest.mark.parametrize("attempt", REFUSALS, ids=lambda attempt: attempt.__name__)
def test_a_refusal_is_entras_own(sts, material, attempt):
    client_id, credential = attempt(sts, material)
    error, code = REFUSALS[attempt]
    result = client(sts, client_id, credential).acquire_token_for_client(SCOPES)
    assert "access_token" not in result
    assert (result["error"], result["error_codes"]) == (error, [code]), result
    assert f"AADSTS{code}" in result["error_description"]
    assert result["correlation_id"] and result["trace_id"] and result["timestamp"]
    assert not any(secret in json.dumps(result) for secret in secrets_in(credential))


def secrets_in(credential):
    """What the client holds and no answer may repeat."""
    held = [credential] if isinstance(credential, str) else credential.values()
    return [each() if callable(each) else each for each in held]


def test_msal_gives_up_on_an_unknown_tenant_at_discovery(sts):
    with pytest.raises(ValueError, match="Unable to get authority configuration for .*contoso.example"):
        client(sts, SECRET_CLIENT, SECRET, "contoso.example")


def test_the_token_endpoint_refuses_an_unknown_tenant(sts):
    form = {"grant_type": "client_credentials", "client_id": SECRET_CLIENT, "client_secret": SECRET, "scope": SCOPES[0]}
    answer = sts.post_token("contoso.example", form)
    body = answer.json()
    assert answer.status_code == 400
    assert (body["error"], body["error_codes"]) == ("invalid_request", [90002])
    assert body["correlation_id"]
    assert SECRET not in answer.text


def test_the_journal_keeps_no_secret(sts, material):
    said = material.federated_assertion()
    granted(client(sts, SECRET_CLIENT, SECRET).acquire_token_for_client(SCOPES))
    granted(client(sts, FEDERATED_CLIENT, asserting(said)).acquire_token_for_client(SCOPES))
    journal = json.dumps(sts.exchanges())
    assert SECRET_CLIENT in journal and FEDERATED_CLIENT in journal
    assert SECRET not in journal and said not in journal


def test_msal_throttles_itself_as_it_is_told(sts):
    scopes = ["https://throttled.example/.default"]
    app = client(sts, SECRET_CLIENT, SECRET)
    busy = {"status": 429, "headers": {"Retry-After": "60"}, "body": {"error": "temporarily_unavailable"}}
    sts.fail({"match": {"scope": scopes[0]}, "times": 1, **busy})
    try:
        before = len(sts.exchanges(scope=scopes[0]))
        refused = [app.acquire_token_for_client(scopes) for _ in range(2)]
        assert [result.get("error") for result in refused] == ["temporarily_unavailable"] * 2
        assert len(sts.exchanges(scope=scopes[0])) == before + 1
    finally:
        sts.heal()
