"""docs/clients.md: what the runs gave, for people who choose a client."""

from collections.abc import Iterable
from itertools import groupby

from .case import CASES, DOWN
from .cell import NO, Outcome
from .client import Client

INTRODUCTION = """\
# Clients

Which client speaks to Bursar in which dialect, and what it does there. Each cell is a run of the unmodified client against `bursar dev`, in a
network of its own; `tests/clients/run matrix --write` writes this page, and `tests/clients/run matrix` fails when a run gives anything else.

A token counts if it is a JWT for the resource that was asked for and of the identity that was asked for.
`yes` is a run that did what its column says. `no` has its reason below the table; where a failure can show it, a run failed in just this way. `–` has nothing to ask.
"""


def page(outcomes: list[Outcome], clients: list[Client]) -> str:
    """The whole page."""
    parts = [INTRODUCTION, _versions(clients), _columns(), "## The matrix\n"]
    parts += [_dialect(dialect.title, list(group)) for dialect, group in groupby(outcomes, lambda o: o.cell.dialect)]
    parts += [_trouble(clients)]
    return "\n".join(parts)


def _versions(clients: list[Client]) -> str:
    rows = [(client.title, f"`{client.name}`", client.version) for client in clients]
    return table("## Versions\n", ("client", "its name for `tests/clients/run matrix:NAME`", "version"), rows)


def _columns() -> str:
    return table("## What the columns mean\n", ("column", "`yes` means"), [(case.title, case.meaning) for case in CASES])


def _dialect(title: str, outcomes: list[Outcome]) -> str:
    reasons: list[str] = []
    rows = []
    for (client, credential), group in groupby(outcomes, lambda o: (o.cell.client, o.cell.credential)):
        marks = [_mark(outcome, reasons) for outcome in group]
        rows.append((f"{client.title}, {client.credentials[credential]}", *marks))
    text = table(f"### {title}\n", ("client", *(case.title for case in CASES)), rows)
    return "".join([text, *("\n" if reasons else ""), *(f"{n}. {reason}\n" for n, reason in enumerate(reasons, 1))])


def _mark(outcome: Outcome, reasons: list[str]) -> str:
    if outcome.mark != NO:
        return outcome.mark
    reason = outcome.cell.limit.reason
    if reason not in reasons:
        reasons.append(reason)
    return f"no ({reasons.index(reason) + 1})"


def _trouble(clients: list[Client]) -> str:
    head = """\
## When the authority is down

Bursar answers from its cache as long as it has a live token. Without one it answers 429 or 503 with a `Retry-After` of at most 5 s, and the rest is the client's:
how long it tries again by itself, and what it says in the end. The runs hold every client to these.
"""
    rows = [(client.title, _patience(client), " or ".join(f"“{_cell(words)}”" for words in client.down)) for client in clients]
    return table(head, ("client", "gives up within", "its error has"), rows)


def _patience(client: Client) -> str:
    rest = client.gives_up_within("*")
    special = [f"{seconds} s ({dialect})" for dialect, seconds in client.patience.items() if dialect != "*"]
    return ", ".join([*special, f"{rest} s" + " (others)" * bool(special)])


def table(head: str, columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table under a heading."""
    columns = list(columns)
    lines = [columns, ["---"] * len(columns), *rows]
    return head + "\n" + "".join(f"| {' | '.join(map(_cell, line))} |\n" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def difference(written: str, found: str) -> list[str]:
    """The lines in which two pages differ, as a person compares them."""
    import difflib

    return list(difflib.unified_diff(written.splitlines(), found.splitlines(), "docs/clients.md", "this run", "", "", 0, ""))
