"""What a token says of itself."""

import base64
import json

SLACK = 30


def claims_of(token: str) -> dict:
    """The claims of a JWT; nothing else is a token."""
    parts = token.split(".")
    if len(parts) != 3:
        raise ValueError("the token is no JWT")
    payload = parts[1] + "=" * (-len(parts[1]) % 4)
    return json.loads(base64.urlsafe_b64decode(payload))


def objection(token: str, expires_on: int, resource: str, ids: dict[str, str]) -> str | None:
    """Why this is not the token that was asked for."""
    try:
        claims = claims_of(token)
    except ValueError as error:
        return str(error)
    if claims.get("aud") != resource:
        return f"the token is for {claims.get('aud')!r} and not for {resource!r}"
    who = (claims.get("appid", claims.get("azp")), claims.get("oid"))
    if who != (ids["client_id"], ids["object_id"]):
        return f"the token is that of another identity: {who}"
    if abs(expires_on - claims["exp"]) > SLACK:
        return f"the client says that the token ends at {expires_on}, and the token {claims['exp']}"
    return None
