"""One run of a client program, and what it prints."""

import json
import os
import select
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass

LEAVES_WITHIN = 20
LONGEST_EXCERPT = 600
alive: set[subprocess.Popen] = set()


class Broken(Exception):
    """The program did not keep its contract: it crashed, hung, or printed something else."""


@dataclass(frozen=True)
class Answer:
    """One line of a program: a token with its end, or the client's own words; and after how many seconds."""

    token: str | None
    expires_on: int | None
    error: str | None
    took: float

    @classmethod
    def read(cls, line: str, took: float) -> "Answer":
        try:
            said = json.loads(line)
        except ValueError:
            raise Broken(f"printed no JSON: {line[:LONGEST_EXCERPT]!r}") from None
        match said:
            case {"error": str(error), **more} if error and not more:
                return cls(None, None, error, took)
            case {"token": str(token), "expires_on": int(expires_on), **more} if not more:
                return cls(token, expires_on, None, took)
        raise Broken(f"printed neither a token nor an error: {line[:LONGEST_EXCERPT]!r}")


class Running:
    """A program that has been started and will be asked for answers, one line each."""

    def __init__(self, process: subprocess.Popen, deadline: float, errors):
        self._process = process
        self._started = time.monotonic()
        self._deadline = self._started + deadline
        self._errors = errors

    def answer(self) -> Answer:
        """The next line."""
        line = b""
        while not line.endswith(b"\n"):
            left = self._deadline - time.monotonic()
            readable, _, _ = select.select([self._process.stdout], [], [], max(left, 0))
            if not readable:
                raise Broken(f"no answer within {self._deadline - self._started:.0f} s{self._complaint()}")
            read = os.read(self._process.stdout.fileno(), 1 << 20)
            if not read:
                raise Broken(f"ended without an answer{self._complaint()}")
            line += read
        took, self._started = time.monotonic() - self._started, time.monotonic()
        return Answer.read(line.decode(errors="replace"), took)

    def ask_again(self, deadline: float) -> Answer:
        """The same credential object, asked once more."""
        self._started = time.monotonic()
        self._deadline = self._started + deadline
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()
        return self.answer()

    def leave(self) -> None:
        """The program has nothing more to say, and ends well."""
        rest, _ = self._process.communicate(timeout=LEAVES_WITHIN)
        if self._process.returncode or rest:
            raise Broken(f"ended with {self._process.returncode}{self._complaint()}")

    def _complaint(self) -> str:
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace").strip()
        return f": {said[-LONGEST_EXCERPT:]}" if said else ""


@contextmanager
def running(command: list[str], environment: dict[str, str], deadline: float):
    """The program, in a group of its own that ends with the block."""
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
        alive.add(process)
        try:
            yield Running(process, deadline, errors)
        except subprocess.TimeoutExpired:
            raise Broken("did not end after its answer") from None
        finally:
            alive.discard(process)
            end(process)
            process.wait()
            process.stdin.close()
            process.stdout.close()


def end(process: subprocess.Popen) -> None:
    """Ends a program and what it has started, all of which is in the group that has its id."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)


def end_all() -> None:
    """For a run that is broken off: whoever waits for a program waits no longer."""
    for process in list(alive):
        end(process)
