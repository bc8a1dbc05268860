"""Places to run in: a network and a mount namespace, so that no client can ask anybody but the service under test."""

import shutil
import subprocess
import sys
from pathlib import Path

PRIVILEGED = ("--net", "--mount")
UNPRIVILEGED = ("--user", "--map-root-user", "--net", "--mount")
ROOT = Path(__file__).parents[3]
INSIDE = Path(__file__).with_name("inside.py")


class Place:
    """The namespaces of one process, which others can be put into. They end with their last process."""

    def __init__(self, process: subprocess.Popen, options: tuple[str, ...]):
        self._process = process
        self._options = options

    @classmethod
    def open(cls, addresses: list[str], command: list[str], **how) -> tuple["Place", subprocess.Popen]:
        """Runs the command, which gets an id of its own, in new namespaces that have these addresses on loopback."""
        options = cls._allowed()
        inside = [sys.executable, str(INSIDE), *addresses, "--", *command]
        process = subprocess.Popen(["unshare", *options, *inside], **how)
        return cls(process, options), process

    def within(self, command: list[str]) -> list[str]:
        """The command that runs `command` in this place."""
        flags = ["--net", "--mount", f"--wd={ROOT}"]
        if self._options is UNPRIVILEGED:
            flags += ["--user", "--preserve-credentials"]
        return ["nsenter", f"--target={self._process.pid}", *flags, "--", *command]

    @staticmethod
    def _allowed() -> tuple[str, ...]:
        for needed in ("unshare", "nsenter", "mount"):
            if shutil.which(needed) is None:
                raise SystemExit(f"{needed} is missing; on Debian and Ubuntu: apt-get install util-linux mount")
        for options in (PRIVILEGED, UNPRIVILEGED):
            if subprocess.run(["unshare", *options, "true"], capture_output=True).returncode == 0:
                return options
        raise SystemExit("this system allows no namespaces: run as root, or allow those of users")
