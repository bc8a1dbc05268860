"""docs/clients.md: what the runs gave, for people who choose a client."""

import difflib
import re
from collections.abc import Iterable
from itertools import groupby

from .case import CASES, DOWN
from .cell import NO, YES, Outcome
from .client import Client, Patience
from .version import without_own

GUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
LONGEST = 100

INTRODUCTION = """\
# Clients

Which client speaks to Bursar in which dialect, and what it does there. Each cell is a run of the unmodified client against `bursar dev`, in a
network of its own; `tests/clients/run matrix --write` writes this page, and `tests/clients/run matrix` fails when a run gives anything else.

What leads a client to Bursar is what `bursar env --client NAME --dialect NAME` prints, set and unset in an environment full of variables that lead elsewhere, a proxy among them;
a client that does not speak a dialect gets what `bursar env --dialect NAME` prints, and at 169.254.169.254, where no variable leads, the address does.
The other clients that `bursar env` knows (those for .NET and C++, az, azcopy, kubelogin, go-autorest, Packer, Vault, Google's) stand there by their sources and documentation: they were not run, and Terraform's variables were tried with curl.

A token counts if it is a JWT for the resource that was asked for and of the identity that was asked for.
`yes` is a run that did what its column says, `yes, mute` one whose error is of the client's own words and keeps Bursar's reason to itself. `no` has its reason below the table; where a failure can show it, a run failed in just this way. `–` has nothing to ask.
"""


def page(outcomes: list[Outcome], clients: list[Client]) -> str:
    """The whole page."""
    parts = [INTRODUCTION, _versions(clients), _columns(), "## The matrix\n"]
    parts += [_dialect(dialect.title, list(group)) for dialect, group in groupby(outcomes, lambda o: o.cell.dialect)]
    parts += [_trouble(outcomes)]
    return "\n".join(parts)


def _versions(clients: list[Client]) -> str:
    rows = [(client.name, f"`{client.env}`", f"`{client.package}`", client.version) for client in clients]
    return table("## Versions\n", ("client", "to `bursar env`", "package", "version"), rows)


def _columns() -> str:
    return table("## What the columns mean\n", ("column", "`yes` means"), [(case.title, case.meaning) for case in CASES])


def _dialect(title: str, outcomes: list[Outcome]) -> str:
    reasons: list[str] = []
    rows = []
    for (client, credential), group in groupby(outcomes, lambda o: (o.cell.client, o.cell.credential)):
        marks = [_mark(outcome, reasons) for outcome in group]
        rows.append((f"{client.name} {credential}", *marks))
    text = table(f"### {title}\n", ("client", *(case.title for case in CASES)), rows)
    return "".join([text, *("\n" if reasons else ""), *(f"{n}. {reason}\n" for n, reason in enumerate(reasons, 1))])


def _mark(outcome: Outcome, reasons: list[str]) -> str:
    if outcome.mark != NO:
        return outcome.mark
    reason = outcome.cell.limit.reason
    if reason not in reasons:
        reasons.append(reason)
    return f"no ({reasons.index(reason) + 1})"


def _trouble(outcomes: list[Outcome]) -> str:
    head = """\
## When the authority is down

Bursar answers from its cache as long as it has a live token. Without one it answers 429 or 503 with a `Retry-After` of at most 5 s, and the rest is the client's.
How often and when a client asks again is told by its source; that it gives up in time, and what it says then, by the run.
"""
    seen: dict[tuple[str, Patience, str], list[str]] = {}
    for outcome in outcomes:
        cell = outcome.cell
        if cell.case is DOWN and outcome.mark == YES:
            key = (f"{cell.client.name} {cell.credential}", cell.patience, _beginning(outcome.said))
            seen.setdefault(key, []).append(cell.dialect.name)
    rows = sorted(_patience(*key, dialects) for key, dialects in seen.items())
    return table(head, ("client", "dialects", "asks at most", "waits", "gives up within", "its error begins"), rows)


def _patience(client: str, patience: Patience, says: str, dialects: list[str]) -> tuple[str, ...]:
    asks = "once" if patience.tries == 1 else f"{patience.tries} times"
    return client, ", ".join(dialects), asks, patience.waits, f"{patience.gives_up} s", says


def _beginning(said: list[str]) -> str:
    """As much of an error as is the same in every run."""
    text = re.sub(GUID, "...", " ".join(said))
    return f"`{text[:LONGEST].replace('`', '')}`"


def table(head: str, columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table under a heading."""
    columns = list(columns)
    lines = [columns, ["---"] * len(columns), *rows]
    return head + "\n" + "".join(f"| {' | '.join(map(_cell, line))} |\n" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def difference(written: str, found: str) -> list[str]:
    """The lines in which two pages differ, as a person compares them. A machine's own programs may be others."""
    lines = without_own(written).splitlines(), without_own(found).splitlines()
    return list(difflib.unified_diff(*lines, "docs/clients.md", "this run", n=0, lineterm=""))
