"""Where Bursar's requests are not MSAL's, and why. What is not listed here is the same in both."""

from dataclasses import dataclass
from typing import Callable

DISCOVERY = "discovery"
SIGNED = ("certificate", "chain")
BY_RESOURCE = ("adfs", "oidc")


@dataclass(frozen=True)
class Difference:
    """One field in the words of each, where it differs; `{resource}` stands for what was asked for."""

    field: str
    msals: str | None
    ours: str | None
    reason: str
    occurs: Callable[[str, str], bool] = lambda profile, flow: True


def expected(profile: str, flow: str, resource: str) -> dict[str, tuple]:
    """The differences that must occur in one flow with one kind of authority."""

    def of(value):
        return value and value.format(resource=resource)

    listed = [one for one in DELIBERATE if one.occurs(profile, flow)]
    return {one.field: (of(one.msals), of(one.ours)) for one in listed}


def in_discovery(_profile, flow):
    return flow == DISCOVERY


def in_exchanges(_profile, flow):
    return flow != DISCOVERY


def in_signed(_profile, flow):
    return flow in SIGNED


def by_resource(profile, flow):
    return profile in BY_RESOURCE and flow != DISCOVERY


def naming(certificate: str, sha1: bool):
    flow = {"app": "certificate", "issued": "chain"}[certificate]
    return lambda profile, of: of == flow and (profile == "adfs") == sha1


DELIBERATE = [
    # What carries the request.
    Difference("headers.user-agent", "python-requests", "bursar", "it says who asks"),
    Difference("headers.accept-encoding", "gzip, deflate", None, "answers are small, and bounded as they come"),
    Difference("headers.connection", "keep-alive", None, "HTTP/1.1 means it anyway"),
    # Who asks.
    Difference("headers.x-client-sku", "MSAL.Python", "Bursar", "our name, not MSAL's", in_exchanges),
    Difference("headers.return-client-request-id", None, "true", "as MSAL for .NET and Go do"),
    Difference("headers.x-client-current-telemetry", "4|730", None, "MSAL's own statistics", in_exchanges),
    Difference("headers.x-client-last-telemetry", "4|0|||", None, "MSAL's own statistics", in_exchanges),
    # Discovery says who asks too, so that an authority's log has all of a flight under one id.
    Difference("headers.accept", "*/*", "application/json", "nothing else is understood", in_discovery),
    Difference("headers.client-request-id", None, "a new UUID", "one id for the whole flight", in_discovery),
    Difference("headers.x-client-sku", None, "Bursar", "as in exchanges", in_discovery),
    Difference("headers.x-client-ver", None, "n.n.n", "as in exchanges", in_discovery),
    Difference("headers.x-client-os", None, "linux", "as in exchanges", in_discovery),
    Difference("headers.x-ms-lib-capability", None, "retry-after, h429", "as in exchanges", in_discovery),
    # What is asked for.
    Difference("form.client_info", "1", None, "an application's token has no user to tell of", in_exchanges),
    Difference("form.scope", "{resource}/.default", None, "only Entra knows /.default", by_resource),
    Difference("form.resource", None, "{resource}", "AD FS's own parameter, and RFC 8707's", by_resource),
    # The assertion.
    Difference("claims.exp", "+600 s, not whole", "+600 s", "parsers that want whole seconds exist", in_signed),
    Difference("claims.iat", "+0 s, not whole", "+0 s", "parsers that want whole seconds exist", in_signed),
    Difference("claims.nbf", None, "-60 s", "providers may demand it; the authority's clock may be behind", in_signed),
    Difference("header.x5t", "app, padded", "app", "RFC 7515 has no padding", naming("app", sha1=True)),
    Difference("header.x5t", "issued, padded", "issued", "RFC 7515 has no padding", naming("issued", sha1=True)),
    Difference("header.x5t#S256", "app, padded", "app", "RFC 7515 has no padding", naming("app", sha1=False)),
    Difference("header.x5t#S256", "issued, padded", "issued", "RFC 7515 has no padding", naming("issued", sha1=False)),
    Difference(
        "header.x5c",
        "issued, in lines",
        "issued issuer",
        "subject-name-and-issuer trust needs the chain, and base64 in JSON has no lines (RFC 7515 section 4.1.6)",
        lambda profile, flow: flow == "chain",
    ),
]
