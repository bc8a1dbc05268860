"""Commands of the binary and other programs, run as children: started, waited for within bounds, and asked to leave."""

import os
import signal
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

READY_WITHIN = 15
GONE_WITHIN = 15
POLL_EVERY = 0.05


class Command:
    """One running command. What it says goes to files, so that no full pipe can stall it."""

    running: list["Command"] = []

    def __init__(
        self,
        name: str,
        arguments: list[str],
        directory: Path,
        program: str | None = None,
        variables: dict[str, str] | None = None,
    ):
        self.name = name
        self._said = directory / f"{name}.stdout"
        self._logged = directory / f"{name}.stderr"
        with self._said.open("wb") as said, self._logged.open("wb") as logged:
            self._process = subprocess.Popen(
                [program or os.environ["BURSAR"], *arguments],
                cwd=directory,
                env=_bare_environment() | (variables or {}),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=logged,
            )

    def said(self) -> str:
        return self._said.read_text()

    def logged(self) -> str:
        return self._logged.read_text(errors="replace")

    def wait_until(self, ready, what: str):
        """The first true answer of `ready`, which is asked until the time is up or the command has ended."""
        deadline = time.monotonic() + READY_WITHIN
        while time.monotonic() < deadline:
            if answer := ready():
                return answer
            if self._process.poll() is not None:
                break
            time.sleep(POLL_EVERY)
        raise AssertionError(f"{self.name}: {what} did not come (exit code {self._process.poll()})\n{self.logged()}")

    def stop(self) -> int:
        """Asks the command to leave, and returns its exit code; one that stays is killed and has none."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(GONE_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(GONE_WITHIN)
            raise AssertionError(f"{self.name} did not end on SIGTERM\n{self.logged()}") from None


@contextmanager
def running(
    name: str,
    arguments: list[str],
    directory: Path,
    program: str | None = None,
    variables: dict[str, str] | None = None,
):
    """The command for as long as the block lasts; that it ends well is part of every test."""
    command = Command(name, arguments, directory, program, variables)
    Command.running.append(command)
    try:
        yield command
    finally:
        Command.running.remove(command)
        code = command.stop()
    assert code == 0, f"{name} ended with {code}\n{command.logged()}"


def said_by(*arguments: str) -> str:
    """All that a command says which ends by itself, and well."""
    command = [os.environ["BURSAR"], *arguments]
    ended = subprocess.run(command, env=_bare_environment(), capture_output=True, text=True, timeout=READY_WITHIN)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago: all are held until the last is found, so that they differ."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _bare_environment() -> dict[str, str]:
    return {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "RUST_BACKTRACE") if name in os.environ}
