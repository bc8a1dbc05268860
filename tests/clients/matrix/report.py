"""The matrix on a terminal."""

from itertools import groupby

from .case import CASES
from .cell import RED, Outcome
from .client import Client

WIDTH = 13


def matrix(outcomes: list[Outcome]) -> str:
    """A table for each dialect, a line for each credential of a client."""
    lines = []
    for dialect, group in groupby(outcomes, lambda o: o.cell.dialect):
        head = "".join(case.name.rjust(WIDTH) for case in CASES)
        lines += ["", f"{dialect.name:40}{head}"]
        for (client, credential), row in groupby(group, lambda o: (o.cell.client, o.cell.credential)):
            marks = "".join(outcome.mark.rjust(WIDTH) for outcome in row)
            lines.append(f"{client.name + ' ' + credential:40}{marks}")
    return "\n".join(lines)


def words(outcomes: list[Outcome]) -> str:
    """What clients said, and how long it took: for whoever describes a client."""
    return "\n".join(
        f"{o.cell.dialect.name} {o.cell.client.name} {o.cell.credential} {o.cell.case.name}: {o.mark} {o.took:.1f} s {said[:400]!r}"
        for o in outcomes
        for said in o.said or ([""] if o.cell.case.is_slow else [])
    )


def versions(clients: list[Client]) -> str:
    """What has been installed in place of what is pinned."""
    return "\n".join(f"{client.name}: {client.package} {client.newest}, pinned {client.version}" for client in clients)


def reds(outcomes: list[Outcome]) -> list[Outcome]:
    return [outcome for outcome in outcomes if outcome.mark == RED]
