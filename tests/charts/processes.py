"""Programs that run while a test does."""

import json
import os
import socket
import subprocess
import time
from contextlib import contextmanager

from chart import environment


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@contextmanager
def running(*arguments, output=None, **variables):
    """Bursar with these arguments, until the test is over."""
    command = [os.environ["BURSAR"], *map(str, arguments)]
    process = subprocess.Popen(
        command, stdout=output or subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment(**variables)
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=20)


@contextmanager
def authority(*arguments):
    """The STS, and what it says of itself."""
    with running("sts", "--listen", "127.0.0.1:0", *arguments, output=subprocess.PIPE) as process:
        yield json.loads(process.stdout.readline())


def run(command, **variables):
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment(**variables), timeout=60
    )


def wait_for(command, seconds=20):
    """Runs a probe until it is content."""
    ends = time.monotonic() + seconds
    while (done := run(command)).returncode != 0:
        assert time.monotonic() < ends, done.stderr
        time.sleep(0.1)
