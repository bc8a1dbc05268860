"""The cases: what is asked of a client, and what must come of it."""

from dataclasses import dataclass, field

AT_ONCE = 15
PATIENCE = 120
LIFE = 6


@dataclass(frozen=True, eq=False)
class Case:
    """One column. `selector` is what the client points at its identity with; None is whatever it can. `reason` is
    what Bursar says of the refusal that is expected."""

    name: str
    title: str
    meaning: str
    selector: str | None = None
    fault: dict = field(default_factory=dict)
    is_slow: bool = False
    limit: int = AT_ONCE
    reason: str = ""


SYSTEM = Case("system", "system-assigned", "a token for the default identity, without naming one", "none")
SELECTORS = [
    Case("client-id", "by client id", "a token for the identity with this client id", "client_id"),
    Case("object-id", "by object id", "the same by object id", "object_id"),
    Case("resource-id", "by resource id", "the same by resource id", "resource_id"),
]
UNKNOWN = Case(
    "unknown",
    "unknown identity",
    f"an identity that is not there, named in every way that this client has, is an error within {AT_ONCE} s and never the default identity",
    reason="Identity not found",
)
WRONG_SECRET = Case(
    "wrong-secret",
    "wrong secret",
    f"a caller with the wrong header secret gets an error within {AT_ONCE} s",
    reason="is missing or wrong",
)
THROTTLED = Case(
    "throttled",
    "throttled",
    "the authority answers 429 twice, with `Retry-After: 1`, and the client gets its token all the same",
    fault={"status": 429, "headers": {"retry-after": "1"}, "times": 2},
    is_slow=True,
    limit=PATIENCE,
)
DOWN = Case(
    "down",
    "authority down",
    f"the authority answers 503 for good; the client gives up within {PATIENCE} s, with Bursar's words in its error",
    fault={"status": 503},
    is_slow=True,
    limit=PATIENCE,
)
REFRESH = Case(
    "refresh",
    "refresh",
    f"tokens live {LIFE} s; the same credential object, asked after that, gives another token",
    fault={"expires_in": LIFE},
    is_slow=True,
    limit=PATIENCE,
)
CASES = [SYSTEM, *SELECTORS, UNKNOWN, WRONG_SECRET, THROTTLED, DOWN, REFRESH]
UNKNOWN_IDS = {
    "client_id": "dead0000-0000-4000-8000-00000000dead",
    "object_id": "dead0000-0000-4000-8000-00000000beef",
    "resource_id": "/subscriptions/dead0000-0000-4000-8000-00000000dead/resourceGroups/none"
    "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/nobody",
}
