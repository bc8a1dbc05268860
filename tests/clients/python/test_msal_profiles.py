"""MSAL for Python in every kind of authority that it tells apart; Entra itself has its own suite."""

import jwt
import msal
import pytest

from authority import CERTIFICATE_CLIENT, ROLE, SECRET, SECRET_CLIENT, WRONG_SECRET
from profiles import PROFILES, RESOURCE, Profile

SCOPES = [RESOURCE + "/.default"]


@pytest.fixture(params=PROFILES)
def profile(request) -> Profile:
    return PROFILES[request.param]


def granted(result):
    assert "access_token" in result, result
    return result["access_token"]


def certificate(material):
    return {"private_key": material.app.key_pem(), "public_certificate": material.app.certificate_pem()}


def test_a_secret_buys_a_token(sts, profile):
    app = profile.client(sts, SECRET_CLIENT, SECRET)
    before = len(sts.exchanges(client_id=SECRET_CLIENT))
    first, second = (app.acquire_token_for_client(SCOPES) for _ in range(2))
    claims = profile.claims(sts, granted(first))
    assert (claims[profile.client_claim], claims["roles"]) == (SECRET_CLIENT, [ROLE])
    assert 3500 < first["expires_in"] <= 3600
    assert (second["token_source"], granted(second)) == ("cache", granted(first))
    [exchange] = sts.exchanges(client_id=SECRET_CLIENT)[before:]
    assert exchange["path"].endswith(profile.token_path)


def test_a_certificate_buys_a_token(sts, material, profile):
    before = len(sts.exchanges(client_id=CERTIFICATE_CLIENT))
    result = profile.client(sts, CERTIFICATE_CLIENT, certificate(material)).acquire_token_for_client(SCOPES)
    assert profile.claims(sts, granted(result))[profile.client_claim] == CERTIFICATE_CLIENT
    [exchange] = sts.exchanges(client_id=CERTIFICATE_CLIENT)[before:]
    header = exchange["assertion"]["header"]
    assert (header["alg"], profile.thumbprint in header) == (profile.algorithm, True)


def test_a_wrong_secret_is_refused_in_the_words_of_the_profile(sts, profile):
    result = profile.client(sts, SECRET_CLIENT, WRONG_SECRET).acquire_token_for_client(SCOPES)
    assert result["error"] == "invalid_client", result
    number = {"/adfs": "MSIS9622", "/oidc": "Invalid client secret"}.get(profile.path, "AADSTS7000215")
    assert result["error_description"].startswith(number)
    assert ("error_codes" in result) == number.startswith("AADSTS")


def test_adfs_has_no_use_for_sha_256(sts, material):
    """MSAL knows that; whoever makes assertions by hand learns it from the refusal."""
    said = jwt.encode({"iss": CERTIFICATE_CLIENT, "sub": CERTIFICATE_CLIENT}, material.app.key, algorithm="PS256")
    told = PROFILES["adfs"].client(sts, CERTIFICATE_CLIENT, {"client_assertion": lambda: said})
    result = told.acquire_token_for_client(SCOPES)
    assert result["error"] == "invalid_client"
    assert result["error_description"].startswith("MSIS9623: ")


def test_plain_scopes_are_enough_for_an_openid_provider(sts):
    result = PROFILES["oidc"].client(sts, SECRET_CLIENT, SECRET).acquire_token_for_client(["ledger.read"])
    claims = jwt.decode(granted(result), options={"verify_signature": False})
    assert (claims["scope"], claims["iss"]) == ("ledger.read", f"{sts.authority}/oidc")


def test_an_openid_authority_that_has_no_document_is_refused(sts):
    with pytest.raises(ValueError, match="OIDC"):
        msal.ConfidentialClientApplication(
            SECRET_CLIENT, client_credential=SECRET, oidc_authority=f"{sts.authority}/oidc/x", verify=sts.ca_file
        )


def test_a_faulty_status_alone_is_an_error_that_msal_can_read(sts, profile):
    scopes = ["https://busy.example/.default"]
    sts.fail({"match": {"scope": scopes[0]}, "times": 1, "status": 429})
    try:
        result = profile.client(sts, SECRET_CLIENT, SECRET).acquire_token_for_client(scopes)
        assert result["error"] == "temporarily_unavailable"
    finally:
        sts.heal()
