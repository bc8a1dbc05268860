"""The clients, as `clients/*.toml` describe them."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from .case import CASES, PATIENCE
from .dialect import DIALECTS

HERE = Path(__file__).parent
CLIENTS = HERE.parent
ROOT = CLIENTS.parent.parent


@dataclass(frozen=True, eq=False)
class Limit:
    """What a client cannot do, where, and why. `says` is a part of its error, by which a run shows it."""

    reason: str
    dialects: frozenset[str]
    credentials: frozenset[str]
    cases: frozenset[str] | None
    says: str | None

    def covers(self, credential: str, dialect: str, case: str) -> bool:
        within = self.cases is None or case in self.cases
        return within and credential in self.credentials and dialect in self.dialects


@dataclass(frozen=True, eq=False)
class Client:
    """A client: how it is called, and what it is known to do."""

    name: str
    ecosystem: str
    title: str
    version: str
    command: tuple[str, ...]
    credentials: dict[str, str]
    down: tuple[str, ...]
    patience: dict[str, int]
    limits: tuple[Limit, ...]

    def limit(self, credential: str, dialect: str, case: str) -> Limit | None:
        """What keeps this cell from being a yes."""
        return next((limit for limit in self.limits if limit.covers(credential, dialect, case)), None)

    def gives_up_within(self, dialect: str) -> int:
        return self.patience.get(dialect, self.patience.get("*", PATIENCE))


def read_all(work: Path) -> list[Client]:
    """Every client of every ecosystem. A word in them that means nothing here is a mistake."""
    files = sorted((HERE / "clients").glob("*.toml"))
    return [
        _client(name, written, file.stem, work)
        for file in files
        for name, written in tomllib.loads(file.read_text()).items()
    ]


def _client(name: str, written: dict, ecosystem: str, work: Path) -> Client:
    places = {"work": work, "here": CLIENTS, "root": ROOT}
    credentials = written.pop("credentials")
    client = Client(
        name,
        ecosystem,
        written.pop("title"),
        _version(written.pop("version")),
        tuple(word.format(**places) for word in written.pop("command")),
        credentials,
        tuple(written.pop("down")),
        written.pop("patience", {}),
        tuple(_limit(name, limit, credentials) for limit in written.pop("cannot", [])),
    )
    _known(name, written, [])
    _known(name, client.patience, ["*", *(dialect.name for dialect in DIALECTS)])
    return client


def _limit(client: str, written: dict, credentials: dict[str, str]) -> Limit:
    cases = written.pop("cases", None)
    limit = Limit(
        written.pop("reason"),
        frozenset(written.pop("dialects", [dialect.name for dialect in DIALECTS])),
        frozenset(written.pop("credentials", credentials)),
        None if cases is None else frozenset(cases),
        written.pop("says", None),
    )
    _known(client, written, [])
    _known(client, limit.dialects, [dialect.name for dialect in DIALECTS])
    _known(client, limit.credentials, credentials)
    _known(client, limit.cases or [], [case.name for case in CASES])
    return limit


def _version(written: dict | str) -> str:
    """As pinned: what stands in a file after a text, up to the next blank or quotation mark."""
    if isinstance(written, str):
        return written
    _, found, rest = (ROOT / written["file"]).read_text().partition(written["after"])
    if not found:
        raise SystemExit(f"{written['file']} has no {written['after']!r}")
    return rest.replace('"', " ").replace("<", " ").split(maxsplit=1)[0]


def _known(client: str, words, known) -> None:
    for word in words:
        if word not in known:
            raise SystemExit(f"clients: {client}: {word!r} means nothing here; there are: {', '.join(known)}")
