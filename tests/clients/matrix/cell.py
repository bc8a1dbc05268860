"""Cells: a client's credential, in a dialect, in a case; and what running them gives."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from . import case as cases
from .ask import Answer, Broken, running
from .case import CASES, SELECTORS, SYSTEM, UNKNOWN, UNKNOWN_IDS, WRONG_SECRET, Case
from .client import Client, Limit, Patience
from .dialect import Dialect
from .env import STRAYS
from .jwt import claims_of, objection
from .service import WRONG_SECRET as SHOWN_SECRET

YES, MUTE, NO, NOTHING, RED = "yes", "yes, mute", "no", "–", "RED"
# How long past its end a token is certainly over.
OVER_AFTER = 1


class Red(Exception):
    """What came is not what had to come."""


@dataclass(frozen=True, eq=False)
class Cell:
    """One run, or several that must all go well."""

    client: Client
    credential: str
    dialect: Dialect
    case: Case

    @property
    def limit(self) -> Limit | None:
        return self.client.limit(self.credential, self.dialect.name, self.case.name)

    @property
    def patience(self) -> Patience:
        return self.client.patience(self.credential, self.dialect.name)

    @property
    def resource(self) -> str:
        """Of this cell alone, so that what befalls it befalls no other."""
        return f"https://{self.case.name}.{self.credential}.{self.client.name}.{self.dialect.name}.example"

    @property
    def selectors(self) -> list[str]:
        """All that the client can point at an identity with here, the simplest first."""
        usable = [case for case in (SYSTEM, *SELECTORS) if not self._limit_of(case)]
        return [case.selector for case in usable]

    @property
    def is_void(self) -> bool:
        """Whether there is nothing to ask: no secret to be wrong, no way to name an identity."""
        if self.case is WRONG_SECRET:
            return not self.dialect.has_secret
        return self.case is UNKNOWN and not self.limit and self.selectors == ["none"]

    @property
    def is_shown_elsewhere(self) -> bool:
        """A client that cannot speak the dialect at all shows that once; other limits show themselves if they can."""
        limit = self.limit
        return limit is not None and (not limit.can_be_shown or limit.reach.cases is None and self.case is not SYSTEM)

    def _limit_of(self, case: Case) -> Limit | None:
        return self.client.limit(self.credential, self.dialect.name, case.name)


@dataclass(frozen=True, eq=False)
class Outcome:
    """What stands in a cell, and for a red one why."""

    cell: Cell
    mark: str
    why: str = ""
    took: float = 0
    said: list[str] = field(default_factory=list)


def cells(clients: list[Client], dialects: list[Dialect]) -> list[Cell]:
    """All cells, in the order of the page."""
    return [
        Cell(client, credential, dialect, case)
        for dialect in dialects
        for client in clients
        for credential in client.credentials
        for case in CASES
    ]


class Trial:
    """One cell against a running service."""

    def __init__(self, cell: Cell, service, home: str):
        self._cell = cell
        self._service = service
        self._home = home
        self._said: list[str] = []

    def outcome(self) -> Outcome:
        cell, started = self._cell, time.monotonic()
        if cell.is_void:
            return Outcome(cell, NOTHING)
        mark, why = NO if cell.limit else YES, ""
        try:
            if not cell.is_shown_elsewhere:
                self._run()
            if mark == YES and not all(cell.case.reason in said for said in self._said):
                mark = MUTE
        except (Red, Broken) as error:
            mark, why = RED, str(error)
        return Outcome(cell, mark, why, time.monotonic() - started, self._said)

    def _run(self) -> None:
        cell = self._cell
        if cell.case.fault:
            self._service.fault(cell.resource, **cell.case.fault)
        if cell.limit:
            self._fails_as_declared(cell.limit)
        else:
            self._judge()()

    def _judge(self) -> Callable[[], None]:
        return {
            UNKNOWN: self._refuses_strangers,
            WRONG_SECRET: self._refuses_the_wrong_secret,
            cases.DOWN: self._gives_up,
            cases.REFRESH: self._gets_another,
        }.get(self._cell.case, self._gets_a_token)

    def _gets_a_token(self) -> None:
        self._must_be_ours(self._ask())

    def _refuses_strangers(self) -> None:
        for selector in self._cell.selectors:
            if selector != "none":
                self._must_be_error(self._ask(selector, UNKNOWN_IDS[selector]))

    def _refuses_the_wrong_secret(self) -> None:
        self._must_be_error(self._ask(secret=SHOWN_SECRET))

    def _gives_up(self) -> None:
        answer = self._must_be_error(self._ask())
        patience = self._cell.patience.gives_up
        if answer.took > patience:
            raise Red(f"gave up after {answer.took:.0f} s, and {patience} s are declared")
        self._must_say(answer, self._cell.client.down_says)

    def _gets_another(self) -> None:
        selector = self._selector()
        with self._running(selector, self._id_of(selector), twice=True) as program:
            first = self._must_be_ours(program.answer())
            over = claims_of(first.token)["exp"] + OVER_AFTER
            time.sleep(max(over - time.time(), 0))
            second = self._must_be_ours(program.ask_again(self._cell.case.limit))
            program.leave()
        if claims_of(second.token)["exp"] <= claims_of(first.token)["exp"]:
            raise Red("the second token is no newer than the first")

    def _fails_as_declared(self, limit: Limit) -> None:
        if self._cell.case is UNKNOWN or self._cell.case is WRONG_SECRET:
            raise Red("that a refusal fails shows nothing; declare this cell without 'says'")
        if limit.ignores:
            self._must_be_ours(self._ask(value=UNKNOWN_IDS[self._cell.case.selector]))
            return
        answer = self._ask()
        if answer.error is None:
            raise Red(f"it can, though it is declared that it cannot: {limit.reason}")
        self._must_say(answer, limit.says)

    def _ask(self, selector: str | None = None, value: str | None = None, secret: str | None = None) -> Answer:
        selector = selector or self._selector()
        with self._running(selector, value or self._id_of(selector), secret) as program:
            answer = program.answer()
            program.leave()
        self._said += [answer.error] if answer.error else []
        return answer

    def _selector(self) -> str:
        return self._cell.case.selector or next(iter(self._cell.selectors), "none")

    def _id_of(self, selector: str) -> str:
        return self._service.ids.get(selector, "-")

    def _running(self, selector: str, value: str, secret: str | None = None, twice: bool = False):
        cell = self._cell
        words = [*cell.client.command, cell.credential, selector, value, cell.resource]
        command = self._service.place.within(words + ["twice"] * twice)
        # A claim that a client cannot do a thing may take its time to be shown.
        deadline = cases.PATIENCE if cell.limit else cell.case.limit
        return running(command, self._environment(secret), deadline)

    def _environment(self, secret: str | None) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": self._home,
            "LANG": "C.UTF-8",
            **self._pointed(secret),
            **self._own_environment(),
        }

    def _pointed(self, secret: str | None) -> dict[str, str]:
        """What leads the client to the service. The lines for it do so in a shell full of strays; those of a dialect
        alone, which a client gets that does not speak it, take nothing away."""
        client, dialect = self._cell.client, self._cell.dialect
        if not dialect.has_variables:
            return {}
        strays = STRAYS if client.speaks(dialect.name) else {}
        return self._service.lines(client, dialect.name, secret or self._service.secret).applied_to(strays)

    def _own_environment(self) -> dict[str, str]:
        """What this client needs beside the dialect's variables."""
        own = self._cell.client.environment.get(self._cell.dialect.name, {})
        return {name: value.format(certificate=self._service.certificate) for name, value in own.items()}

    def _must_be_ours(self, answer: Answer) -> Answer:
        if answer.error is not None:
            raise Red(f"no token: {answer.error}")
        if wrong := objection(answer.token, answer.expires_on, self._cell.resource, self._service.ids):
            raise Red(wrong)
        return answer

    @staticmethod
    def _must_be_error(answer: Answer) -> Answer:
        if answer.error is None:
            raise Red("a token, where there must be none")
        return answer

    @staticmethod
    def _must_say(answer: Answer, words: tuple[str, ...]) -> None:
        if not any(word in answer.error for word in words):
            raise Red(f"says {answer.error!r}, and not {' or '.join(map(repr, words))}")
