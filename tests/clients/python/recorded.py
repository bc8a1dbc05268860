"""A request in the authority's journal as a table of fields, in which what is new each time stands as what it is."""

import json
import re
from datetime import datetime

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
CLOSE = 5


def fields(entry: dict, certificates: dict[str, str]) -> dict[str, str]:
    """Every field by its path; `certificates` has names for certificates and thumbprints."""
    assertion = entry.get("assertion", {"header": {}, "claims": {}})
    parts = {part: entry[part] for part in ("query", "headers", "form")} | assertion
    table = {f"{part}.{name}": value for part, values in parts.items() for name, value in values.items()}
    if is_own := assertion["claims"].get("iss") == entry["form"].get("client_id"):
        table["form.client_assertion"] = "made for this request"
    for name in table.keys() & SHOWN.keys():
        table[name] = SHOWN[name](table[name])
    for name in table.keys() & TIMES if is_own else ():
        table[name] = _from_request(table[name], entry["time"])
    for name in table.keys() & NAMING:
        table[name] = _named(table[name], certificates)
    kept = {name: str(value) for name, value in table.items() if name not in IMPLIED}
    return {"method": entry["method"], "path": entry["path"], **kept}


def differences(msals: dict[str, str], ours: dict[str, str]) -> dict[str, tuple]:
    """What each says in the fields in which they are not the same."""
    pairs = {name: (msals.get(name), ours.get(name)) for name in msals | ours}
    return {name: (his, mine) for name, (his, mine) in pairs.items() if his != mine}


def _new(value: str) -> str:
    assert UUID.fullmatch(value), value
    return "a new UUID"


def _from_request(value: int | float, time: str) -> str:
    distance = value - datetime.fromisoformat(time).timestamp()
    whole = round(distance / 60) * 60
    assert abs(distance - whole) <= CLOSE, f"{value} is {distance} s from the request"
    return f"{whole:+} s" + ("" if isinstance(value, int) else ", not whole")


def _named(value: str | list[str], certificates: dict[str, str]) -> str:
    """The certificates that are meant, and how they are not quite written as RFC 7515 says."""
    given = [value] if isinstance(value, str) else value
    names = " ".join(certificates["".join(each.split()).rstrip("=")] for each in given)
    padded = isinstance(value, str) and value.endswith("=")
    return names + ", padded" * padded + ", in lines" * any("\n" in each for each in given)


# What a field is, where its text says too little or too much.
SHOWN = {
    "claims.jti": _new,
    "headers.client-request-id": _new,
    "headers.user-agent": lambda value: value.partition("/")[0],
    "headers.x-client-ver": lambda value: re.sub(r"\d+", "n", value),
    "headers.x-client-current-telemetry": lambda value: value.partition(",")[0],
    "form.claims": lambda value: json.dumps(json.loads(value), sort_keys=True),
}
TIMES = {"claims.iat", "claims.nbf", "claims.exp"}
NAMING = {"header.x5t", "header.x5t#S256", "header.x5c"}
# What follows from the rest, or from where the authority happens to listen.
IMPLIED = {"headers.content-length", "headers.host"}
