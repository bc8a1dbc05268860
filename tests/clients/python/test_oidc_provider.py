"""A certified OpenID provider that is not ours issues to Bursar; what it refuses, Bursar explains."""

import json
import os
from dataclasses import dataclass

import jwt
import pytest
import requests

import keys
from conftest import is_ready
from processes import Command, free_ports, running

RESOURCE = "https://ledger.example/api"
SECRET = "a-secret-that-the-provider-knows"
TIMEOUT = 10
EXCHANGES = 100

POST = {"token_endpoint_auth_method": "client_secret_post", "client_secret": SECRET}
JWT = {"token_endpoint_auth_method": "private_key_jwt"}
CERTIFICATE = 'kind = "certificate", file = "app.pem"'

# What the provider has registered of a client, and what Bursar is told of it.
CLIENTS = {
    "secret": (POST, 'kind = "secret", file = "secret"'),
    "ps256": ({**JWT, "token_endpoint_auth_signing_alg": "PS256"}, CERTIFICATE),
    "rs256": ({**JWT, "token_endpoint_auth_signing_alg": "RS256"}, CERTIFICATE + ', algorithm = "RS256"'),
    "either": (JWT, CERTIFICATE),
    "named": (JWT, CERTIFICATE + ', kid = "second"'),
    "misnamed": (JWT, CERTIFICATE + ', kid = "first"'),
    "other-algorithm": ({**JWT, "token_endpoint_auth_signing_alg": "RS256"}, CERTIFICATE),
    "other-key": (JWT, 'kind = "certificate", file = "stranger.pem"'),
    "other-secret": (POST, 'kind = "secret", file = "wrong"'),
    "unregistered": (None, CERTIFICATE),
}
ACCEPTED = ["secret", "ps256", "rs256", "either", "named"]
REFUSED = {
    "misnamed": "signature verification failed",
    "other-algorithm": "alg mismatch",
    "other-key": "signature verification failed",
    "other-secret": "invalid secret provided",
    "unregistered": "client not found",
}


@dataclass(frozen=True)
class Provider:
    """The running provider, by what it prints."""

    command: Command
    issuer: str

    def journal(self) -> list[dict]:
        """What it was asked so far; the first line is the issuer."""
        return [json.loads(line) for line in self.command.said().splitlines()[1:]]

    def document(self) -> dict:
        return requests.get(f"{self.issuer}/.well-known/openid-configuration", timeout=TIMEOUT).json()

    def post_assertion(self, assertion: str) -> requests.Response:
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": assertion,
            "resource": RESOURCE,
        }
        return requests.post(f"{self.issuer}/token", data=form, timeout=TIMEOUT)

    def verified(self, token: str) -> dict:
        """What a resource server makes of the token, which knows the issuer by its name alone."""
        key = jwt.PyJWKClient(self.document()["jwks_uri"], timeout=TIMEOUT).get_signing_key_from_jwt(token).key
        return jwt.decode(token, key, algorithms=["RS256"], audience=RESOURCE, issuer=self.issuer)


@dataclass(frozen=True)
class Bursar:
    """The service in front of the provider."""

    host: str

    def ask(self, **query: str) -> requests.Response:
        query = {"resource": RESOURCE, **query}
        return requests.get(f"{self.host}/token", params=query, headers={"Metadata": "true"}, timeout=TIMEOUT)


@pytest.fixture(scope="module")
def provider(tmp_path_factory, material):
    directory = tmp_path_factory.mktemp("provider")
    file = directory / "clients.json"
    file.write_text(json.dumps(registrations(material)))
    with running("provider", [os.environ["PROVIDER"], str(file)], directory, os.environ["NODE"]) as command:
        issuer = command.wait_until(lambda: command.said().partition("\n")[0], "its issuer")
        yield Provider(command, issuer)


@pytest.fixture(scope="module")
def bursar(tmp_path_factory, provider, material):
    directory = tmp_path_factory.mktemp("serve")
    ports = free_ports(2)
    file = write_configuration(directory, ports, provider.issuer, material)
    with running("serve", ["serve", "--config", str(file)], directory) as command:
        command.wait_until(lambda: is_ready(f"http://127.0.0.1:{ports[1]}/readyz"), "readiness")
        yield Bursar(f"http://127.0.0.1:{ports[0]}")


def registrations(material) -> list[dict]:
    """A key has no name, but for the clients that have two, of which the second is the application's."""
    alone = [material.app.jwk()]
    two = [{**material.stranger.jwk(), "kid": "first"}, {**material.app.jwk(), "kid": "second"}]
    held = {"named": two, "misnamed": two}
    return [
        {"client_id": name, "jwks": {"keys": held.get(name, alone)}, **registration}
        for name, (registration, _) in CLIENTS.items()
        if registration
    ]


def write_configuration(directory, ports, issuer, material):
    (directory / "secret").write_text(SECRET)
    (directory / "wrong").write_text(SECRET + "!")
    (directory / "app.pem").write_text(material.app.key_pem() + material.app.certificate_pem())
    (directory / "stranger.pem").write_text(material.stranger.key_pem() + material.stranger.certificate_pem())
    file = directory / "bursar.toml"
    file.write_text(
        f"""
[server]
listen = ["127.0.0.1:{ports[0]}"]
admin_listen = "127.0.0.1:{ports[1]}"
drain = "0s"

[tenants.provider]
kind = "oidc"
authority = "{issuer}"

[tenants.astray]
kind = "oidc"
authority = "{issuer}/astray"
"""
        + "".join(
            f"""
[identities.{name}]
tenants = ["provider", "astray"]
client_id = "{name}"
resources = ["*"]
credentials = [{{ {credential} }}]
"""
            for name, (_, credential) in CLIENTS.items()
        )
    )
    return file


def refusal(answer: requests.Response) -> str:
    """What Bursar says of a refusal that the operator has to mend: at once, in words that repeat no secret."""
    body = answer.json()
    assert (answer.status_code, body["error"]) == (403, "invalid_client"), body
    assert "Retry-After" not in answer.headers
    assert SECRET not in answer.text
    return body["error_description"]


@pytest.mark.parametrize("identity", ACCEPTED)
def test_the_provider_issues_for_the_resource_that_was_asked_for(provider, bursar, identity):
    answer = bursar.ask(identity=identity)
    body = answer.json()
    assert answer.status_code == 200, body
    claims = provider.verified(body["access_token"])
    assert (claims["client_id"], claims["aud"]) == (identity, RESOURCE)
    assert abs(claims["exp"] - int(body["expires_on"])) <= 2
    [asked] = [asked for asked in provider.journal() if asked["client"] == identity and "refused" not in asked]
    assert (asked["resource"], "scope" in asked) == (RESOURCE, False)


@pytest.mark.parametrize(
    ("identity", "algorithm", "thumbprint"), [("ps256", "PS256", "x5t#S256"), ("rs256", "RS256", "x5t")]
)
def test_an_assertion_is_signed_as_the_client_is_registered(provider, bursar, identity, algorithm, thumbprint):
    assert bursar.ask(identity=identity, resource=f"{RESOURCE}/signed/{identity}").status_code == 200
    [asked] = [asked for asked in provider.journal() if asked.get("resource") == f"{RESOURCE}/signed/{identity}"]
    header = asked["assertion"]["header"]
    assert (header["alg"], thumbprint in header, "kid" in header) == (algorithm, True, False)
    assert asked["assertion"]["claims"]["aud"] == provider.document()["token_endpoint"]


@pytest.mark.parametrize("identity", REFUSED)
def test_what_the_provider_refuses_is_explained(provider, bursar, identity):
    words = refusal(bursar.ask(identity=identity))
    for cause in ("client_id", "secret", "certificate", "algorithm", "audience"):
        assert cause in words
    assert provider.journal()[-1]["refused"] == "invalid_client"
    assert REFUSED[identity] in provider.journal()[-1]["why"]


def test_an_audience_that_is_not_the_providers_is_refused_and_explained(provider, bursar):
    """Its document tells another endpoint than it knows itself, as behind a proxy that rewrites paths."""
    words = refusal(bursar.ask(identity="ps256", tenant="astray"))
    last = provider.journal()[-1]
    assert last["assertion"]["claims"]["aud"] == f"{provider.issuer}/astray/token"
    assert last["why"].startswith("audience (aud) must equal")
    assert "audience is the token endpoint that discovery told" in words


def test_a_secret_needs_no_audience(bursar):
    assert bursar.ask(identity="secret", tenant="astray").status_code == 200


def test_a_resource_that_the_provider_does_not_know_is_the_callers_turn(bursar):
    answer = bursar.ask(identity="secret", resource="https://nothing.invalid")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_the_provider_takes_an_assertion_once(provider, material):
    """So that the hundred below mean something."""
    claims = {"issuer": "either", "subject": "either", "audience": provider.issuer}
    said = keys.assertion(material.app.key, {}, **claims)
    first, second = (provider.post_assertion(said) for _ in range(2))
    assert (first.status_code, second.status_code, second.json()["error"]) == (200, 401, "invalid_client")
    assert provider.journal()[-1]["why"] == "client assertion tokens must only be used once"


def test_no_assertion_is_sent_twice(provider, bursar):
    resources = [f"{RESOURCE}/{number}" for number in range(EXCHANGES)]
    answers = [bursar.ask(identity="either", resource=resource) for resource in resources]
    assert {answer.status_code for answer in answers} == {200}
    asked = [asked for asked in provider.journal() if asked.get("resource") in resources]
    assert not [one for one in asked if "refused" in one]
    assert len({one["assertion"]["claims"]["jti"] for one in asked}) == len(asked) == EXCHANGES
