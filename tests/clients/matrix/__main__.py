"""python3 -m matrix [--client NAME]... [--dialect NAME]... [--write | --newest] [--words]"""

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path

from . import crew, page, report
from .cell import Outcome, cells
from .client import ROOT, Client, read_all
from .dialect import DIALECTS
from .service import services

PAGE = ROOT / "docs" / "clients.md"


def main() -> int:
    options = _options()
    clients = read_all()
    if options.installs:
        print("\n".join(dict.fromkeys(" ".join(client.install) for client in _chosen(clients, options.client))))
        return 0
    chosen, dialects = _chosen(clients, options.client), _chosen(DIALECTS, options.dialect)
    started = time.monotonic()
    # Told to end, it still ends what it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(70))
    with tempfile.TemporaryDirectory(prefix="bursar-matrix-") as directory:
        home = Path(directory, "home")
        home.mkdir()
        with services({dialect.place for dialect in dialects}, Path(directory)) as running:
            outcomes = crew.run(cells(chosen, dialects), running, str(home))
    print(report.matrix(outcomes))
    if options.newest:
        print("\n" + report.versions(chosen))
    if options.words:
        print(report.words(outcomes))
    reds = report.reds(outcomes)
    print(f"\n{len(outcomes)} cells, {len(reds)} red, {time.monotonic() - started:.0f} s")
    is_whole = len(chosen) == len(clients) and len(dialects) == len(DIALECTS)
    if is_whole and not reds and not options.newest:
        return _compare(page.page(outcomes, clients), options.write)
    return 1 if reds else 0


def _compare(found: str, is_writing: bool) -> int:
    """The page says what the run gave, or is made to."""
    if is_writing:
        PAGE.write_text(found)
    difference = page.difference(PAGE.read_text() if PAGE.exists() else "", found)
    print("\n".join(difference))
    if difference:
        print("docs/clients.md is not what this run gave; tests/clients/run matrix --write", file=sys.stderr)
    return 1 if difference else 0


def _chosen(known: list, names: list[str]) -> list:
    found = {each.name: each for each in known}
    for name in names:
        if name not in found:
            raise SystemExit(f"the matrix has no {name}; there are: {', '.join(found)}")
    return [each for each in known if not names or each.name in names]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="matrix")
    parser.add_argument("--client", action="append", default=[])
    parser.add_argument("--dialect", action="append", default=[])
    parser.add_argument("--write", action="store_true", help="write docs/clients.md")
    parser.add_argument("--newest", action="store_true", help="other versions than the page's are run")
    parser.add_argument("--words", action="store_true", help="print what the clients said")
    parser.add_argument("--installs", action="store_true", help="print what makes the clients ready")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
