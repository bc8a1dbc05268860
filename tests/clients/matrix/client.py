"""The clients, as `clients/*.toml` describe them; `README.md` says how."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from . import version
from .case import CASES, PATIENCE, SELECTORS, THROTTLED
from .dialect import DIALECTS

HERE = Path(__file__).parent
ROOT = HERE.parent.parent.parent
# What Bursar says of an authority that is down or throttling; most clients pass it on.
BURSAR_SAYS = ("the authority",)
UNTOLD = 99


@dataclass(frozen=True, eq=False)
class Reach:
    """Which cells of a client something is said of."""

    credentials: frozenset[str]
    dialects: frozenset[str]
    cases: frozenset[str] | None = None

    def covers(self, credential: str, dialect: str, case: str | None = None) -> bool:
        within = self.cases is None or case in self.cases
        return within and credential in self.credentials and dialect in self.dialects


@dataclass(frozen=True, eq=False)
class Limit:
    """What a client cannot do, and why. `says` are parts of its error, one of which a run has to show; one that
    ignores which identity it was told to ask for has no error to show, and gets the default one's token."""

    reach: Reach
    reason: str
    says: tuple[str, ...] = ()
    ignores: bool = False

    @property
    def can_be_shown(self) -> bool:
        return self.ignores or bool(self.says)


@dataclass(frozen=True, eq=False)
class Patience:
    """How long a client tries again by itself: how often in all, and within how many seconds it gives up."""

    reach: Reach
    tries: int
    waits: str
    gives_up: int


@dataclass(frozen=True, eq=False)
class Client:
    """A client: how it is called, and what it is known to do."""

    name: str
    env: str
    ecosystem: str
    package: str
    lock: str | None
    install: tuple[str, ...]
    command: tuple[str, ...]
    credentials: tuple[str, ...]
    dialects: tuple[str, ...]
    environment: dict[str, dict[str, str]]
    down_says: tuple[str, ...]
    limits: tuple[Limit, ...]
    patiences: tuple[Patience, ...]

    @property
    def version(self) -> str:
        """As pinned, or as the system has it."""
        return version.pinned(self.package, ROOT / self.lock) if self.lock else version.of_the_system(self.package)

    @property
    def newest(self) -> str:
        """As installed by `--newest`, which leaves what it has found beside the program."""
        found = ROOT / "target" / "clients" / self.ecosystem / Path(self.lock or "").name
        return version.pinned(self.package, found) if self.lock and found.exists() else "unknown"

    def speaks(self, dialect: str) -> bool:
        return dialect in self.dialects

    def limit(self, credential: str, dialect: str, case: str) -> Limit | None:
        """What keeps this cell from being a yes."""
        known = next((limit for limit in self.limits if limit.reach.covers(credential, dialect, case)), None)
        if known or case != THROTTLED.name or self.patience(credential, dialect).tries > 1:
            return known
        reach = Reach(frozenset([credential]), frozenset([dialect]), frozenset([case]))
        return Limit(reach, "does not try again by itself; its error says that the authority is throttling", self.down_says)

    def patience(self, credential: str, dialect: str) -> Patience:
        return next(patience for patience in self.patiences if patience.reach.covers(credential, dialect))


def read_all() -> list[Client]:
    """Every client of every ecosystem."""
    files = sorted((HERE / "clients").glob("*.toml"))
    return [
        _Reader(file.stem, written).client() for file in files for written in tomllib.loads(file.read_text())["client"]
    ]


class _Reader:
    """One table of a file. A word in it that means nothing here is a mistake."""

    def __init__(self, ecosystem: str, written: dict):
        self._ecosystem = ecosystem
        self._written = written
        self._name = written.pop("name")
        self._credentials = tuple(written.pop("credentials"))
        self._dialects = tuple(self._known(written.pop("dialects"), [dialect.name for dialect in DIALECTS]))

    def client(self) -> Client:
        take = self._written.pop
        client = Client(
            self._name,
            take("env"),
            self._ecosystem,
            take("package"),
            take("lock", None),
            tuple(take("install", [])),
            tuple(take("command")),
            self._credentials,
            self._dialects,
            take("environment", {}),
            tuple(take("down_says", BURSAR_SAYS)),
            (*self._silences(), *(self._limit(row) for row in take("cannot", []))),
            (*(self._patience(row) for row in take("patience", [])), self._last_patience()),
        )
        self._known(self._written, [])
        return client

    def _silences(self) -> list[Limit]:
        """The dialects that the client does not speak, with the reason and, where a run can show it, the words."""
        reasons = self._written.pop("speaks_not", {})
        spoken_not = [dialect.name for dialect in DIALECTS if dialect.name not in self._dialects]
        if set(reasons) != set(spoken_not):
            raise SystemExit(f"clients: {self._name}: speaks_not needs a reason for each of {spoken_not} and for no other")
        told = {name: {"reason": why} if isinstance(why, str) else why for name, why in reasons.items()}
        every = frozenset(self._credentials)
        return [Limit(Reach(every, frozenset([name])), why["reason"], _list(why.get("says"))) for name, why in told.items()]

    def _limit(self, row: dict) -> Limit:
        cases = [name.replace("_", "-") for name in (*_list(row.pop("selector", None)), *_list(row.pop("case", None)))]
        names = self._known(cases, [*(case.name for case in CASES), "*"])
        reach = self._reach(row, frozenset([case.name for case in SELECTORS] if "*" in names else names))
        limit = Limit(reach, row.pop("reason"), _list(row.pop("says", None)), row.pop("ignores", False))
        self._known(row, [])
        return limit

    def _patience(self, row: dict) -> Patience:
        waits = [f"{wait:g}" for wait in row.pop("waits", [])]
        by_itself = f"{', '.join(waits)} s" if waits else "times of its own"
        how = "`Retry-After`" if row.pop("retry_after", False) else by_itself
        tries = row.pop("tries")
        patience = Patience(self._reach(row), tries, "" if tries == 1 else how, row.pop("gives_up"))
        self._known(row, [])
        return patience

    def _last_patience(self) -> Patience:
        """For whatever no row was written about, the dialects that it does not speak among it."""
        everywhere = Reach(frozenset(self._credentials), frozenset(dialect.name for dialect in DIALECTS))
        return Patience(everywhere, UNTOLD, "", PATIENCE)

    def _reach(self, row: dict, cases: frozenset[str] | None = None) -> Reach:
        credentials = self._or_all(_list(row.pop("credential", "*")), self._credentials)
        return Reach(credentials, self._or_all(_list(row.pop("dialect", "*")), self._dialects), cases)

    def _or_all(self, names, known) -> frozenset[str]:
        return frozenset(known) if "*" in names else frozenset(self._known(names, known))

    def _known(self, words, known):
        for word in words:
            if word not in known:
                raise SystemExit(f"clients: {self._name}: {word!r} means nothing here; there are: {', '.join(known)}")
        return words


def _list(written: str | list | None) -> tuple[str, ...]:
    return (written,) if isinstance(written, str) else tuple(written or ())
