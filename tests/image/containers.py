"""Containers of the image, held as tightly as it promises to work."""

import contextlib
import itertools
import json
import os
import shlex
import socket
import subprocess
import time

PODMAN = shlex.split(os.environ["PODMAN"])
# What podman would mount writable into a read-only container is left out too.
TIGHT = [
    "--pull=never",
    "--read-only",
    "--read-only-tmpfs=false",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
    "--network=host",
]
NUMBERS = itertools.count()


def podman(*arguments, seconds=60):
    return subprocess.run(
        [*PODMAN, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=seconds
    )


def once(*arguments, options=()):
    """Runs it to its end."""
    return podman("run", "--rm", *TIGHT, *options, os.environ["IMAGE"], *arguments)


class Container:
    """One that runs."""

    def __init__(self, name):
        self.name = name

    def logs(self):
        done = podman("logs", self.name)
        return done.stdout + done.stderr

    def line(self):
        """The first that it printed."""
        return until(lambda: podman("logs", self.name).stdout.partition("\n")[0], self.logs)

    def is_healthy(self):
        return podman("healthcheck", "run", self.name).returncode == 0

    def wait_until_healthy(self):
        until(self.is_healthy, self.logs)

    def proc(self, file):
        """A file that the kernel has about its process."""
        (state,) = json.loads(podman("inspect", self.name).stdout)
        with open(f"/proc/{state['State']['Pid']}/{file}", encoding="utf-8") as opened:
            return opened.read()

    def stop(self, seconds):
        """Ends it as any engine does, and returns how that took and its exit code; killed, it is 137."""
        begin = time.monotonic()
        podman("stop", "--time", seconds, self.name)
        (state,) = json.loads(podman("inspect", self.name).stdout)
        return time.monotonic() - begin, state["State"]["ExitCode"]


@contextlib.contextmanager
def running(*arguments, options=()):
    name = f"bursar-{os.getpid()}-{next(NUMBERS)}"
    started = podman("run", "--detach", "--name", name, *TIGHT, *options, os.environ["IMAGE"], *arguments)
    try:
        assert started.returncode == 0, started.stderr
        yield Container(name)
    finally:
        podman("rm", "--force", "--time", "1", name)


def until(is_so, complaint, seconds=20):
    ends = time.monotonic() + seconds
    while not (found := is_so()):
        assert time.monotonic() < ends, complaint()
        time.sleep(0.1)
    return found


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def curl(*arguments):
    return subprocess.run(
        ["curl", "-sS", "--noproxy", "*", "--max-time", "20", *arguments],
        capture_output=True, text=True, check=False, timeout=30,
    )
