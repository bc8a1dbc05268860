"""Every command on the pages of the documentation does what its page says.

A page is run as one script in a scratch directory, in a network of its own: on the ports that it names, and with nobody
else to reach.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from given import BEFORE, lay
from matrix.place import Place
from page import PAGES, ROOT, blocks, shape
from script import SHELLS, code_of, output_of, script

LANGUAGES = {"sh", "console", "python", "toml", "yaml", "json", ""}
# All that a page can run, so that none of them reaches a cluster or a daemon.
PROGRAMS = "bash cat chmod curl date grep head kill ls mkdir openssl rm sed seq sleep tail tr wc"
MADE = [page for page in PAGES if any(one.language in SHELLS for one in blocks(page))]


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def programs(directory: Path) -> Path:
    """A directory for PATH."""
    directory.mkdir()
    known = {name: shutil.which(name) for name in PROGRAMS.split()} | {"bursar": os.environ["BURSAR"]}
    for name, path in known.items():
        if path:
            (directory / name).symlink_to(path)
    python = directory / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    return directory


def run(page: Path, scratch: Path) -> str:
    """What the page's script says; it has to end well."""
    work, secrets = scratch / "work", scratch / "secrets"
    work.mkdir()
    secrets.mkdir()
    made = blocks(page)
    lay(name_of(page), [one.text for one in made], work, secrets)
    place = f"mount -t tmpfs tmpfs /run\nmkdir /run/secrets\nmount --bind {secrets} /run/secrets\n"
    place += f"export PATH={programs(scratch / 'bin')} BURSAR__SERVER__DRAIN=0s\n"
    (scratch / "page.sh").write_text(script(made, place + BEFORE.get(name_of(page), "")))
    variables = {"PATH": os.environ["PATH"], "HOME": str(work)}
    with (scratch / "log").open("w") as log:
        how = {"cwd": work, "env": variables, "stdout": log, "stderr": log, "start_new_session": True}
        _, process = Place.open([], [shutil.which("bash"), str(scratch / "page.sh")], **how)
        try:
            code = process.wait(timeout=50)
        finally:
            end_group(process)
    text = (scratch / "log").read_text()
    assert code == 0, f"{name_of(page)} ends with {code}:\n{text}"
    return text


def end_group(process: subprocess.Popen) -> None:
    """Ends what the script has left running; the group is its own."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait(timeout=10)


@pytest.mark.parametrize("page", MADE, ids=name_of)
def test_the_commands_of_a_page_run(page, tmp_path):
    said = run(page, tmp_path)
    for block in blocks(page):
        if block.language == "console" and block.reason is None:
            for n, (command, shown) in enumerate(block.exchanges()):
                output = (tmp_path / "work" / output_of(block, n)).read_text().strip()
                assert not shown or shape(shown).fullmatch(output), f"{block.place}: {command}shows\n{output}"
        elif block.language == "json" and block.info:
            told = json.loads((tmp_path / "work" / block.info).read_text().splitlines()[0])
            assert shape_of(json.loads(block.text)) == shape_of(told), block.place
        elif block.language in SHELLS and block.reason is not None:
            code = (tmp_path / "work" / code_of(block)).read_text().strip()
            assert code != "0", f"{block.place} can run: take its mark away\n{said}"


def shape_of(value):
    return {key: shape_of(inner) for key, inner in value.items()} if isinstance(value, dict) else type(value)


def test_every_block_is_run_or_says_why_not(capsys):
    made = [block for page in PAGES for block in blocks(page)]
    assert {block.language for block in made} <= LANGUAGES
    shells = [block for block in made if block.language in SHELLS]
    marked = [block for block in shells if block.reason is not None]
    assert all(block.reason for block in marked), "a mark gives its reason"
    for block in made:
        if block.language not in SHELLS:
            assert not re.search(r"^\s*(\$ )?(bursar|curl) ", block.text, re.MULTILINE), f"{block.place} is no script"
    with capsys.disabled():
        print(f"\n{len(shells) - len(marked)} blocks of commands are run, and {len(marked)} are not:")
        for block in marked:
            print(f"  {block.place}: {block.reason}")


@pytest.mark.parametrize(
    ("shown", "output", "fits"),
    [
        ('{"a":"ey...","n":"3599"}', '{"a":"eyJhbG","n":"3600"}', True),
        ('{"a":"ey..."}', '{"b":"eyJhbG"}', False),
        ("ready", "ready\nand more", False),
        ("a   b", "a b", True),
    ],
)
def test_a_shape_is_neither_too_wide_nor_too_narrow(shown, output, fits):
    assert bool(shape(shown).fullmatch(output)) == fits
