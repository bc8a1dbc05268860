"""What a resource server does with a token: finds the issuer's keys, and believes nothing that they did not sign."""

import ssl

import jwt
import requests

TIMEOUT = 10


def verified(token: str, *, audience: str, authority: str, ca_file: str | None) -> dict:
    """The claims of a token that `authority` issued for `audience`."""
    configuration = discovery(token, authority, ca_file)
    keys = jwt.PyJWKClient(configuration["jwks_uri"], ssl_context=_trusting(ca_file), timeout=TIMEOUT)
    return jwt.decode(
        token,
        keys.get_signing_key_from_jwt(token).key,
        algorithms=["RS256"],
        audience=audience,
        issuer=configuration["issuer"],
        options={"require": ["aud", "exp", "iat", "iss", "nbf"]},
    )


def discovery(token: str, authority: str, ca_file: str | None) -> dict:
    """The issuer's OpenID configuration, found where the issuer's own name says that it lies."""
    issuer = jwt.decode(token, options={"verify_signature": False})["iss"]
    assert issuer.startswith(authority.rstrip("/") + "/"), f"{issuer} is none of {authority}"
    url = issuer.rstrip("/") + "/.well-known/openid-configuration"
    answer = requests.get(url, verify=ca_file or True, timeout=TIMEOUT)
    answer.raise_for_status()
    return answer.json()


def client_of(claims: dict) -> str:
    """The application that a token was issued to: `appid` in version 1, `azp` in version 2."""
    return claims["appid"] if claims["ver"] == "1.0" else claims["azp"]


def _trusting(ca_file: str | None) -> ssl.SSLContext | None:
    return ssl.create_default_context(cafile=ca_file) if ca_file else None
