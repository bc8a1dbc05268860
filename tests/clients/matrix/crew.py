"""Runs cells side by side: many that mostly wait, and few that mostly compute."""

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed

from .ask import end_all
from .cell import RED, Cell, Outcome, Trial

WAITING, COMPUTING = 12, 4


def run(cells: list[Cell], services: dict, home: str) -> list[Outcome]:
    """The outcomes, in the order of the cells. The longest begin first; what goes wrong is told at once."""

    def trial(cell: Cell) -> Outcome:
        return Trial(cell, services[cell.dialect.place], home).outcome()

    with ThreadPoolExecutor(WAITING) as waiting, ThreadPoolExecutor(COMPUTING) as computing:
        order = sorted(cells, key=lambda cell: -cell.patience.gives_up)
        try:
            futures = [(waiting if cell.case.is_slow else computing).submit(trial, cell) for cell in order]
            outcomes = {outcome.cell: outcome for outcome in _told(futures)}
        except BaseException:
            for pool in (waiting, computing):
                pool.shutdown(wait=False, cancel_futures=True)
            end_all()
            raise
    return [outcomes[cell] for cell in cells]


def _told(futures: list) -> Iterator[Outcome]:
    for count, future in enumerate(as_completed(futures), 1):
        outcome = future.result()
        cell = outcome.cell
        if outcome.mark == RED:
            where = f"{cell.client.name} {cell.credential}, {cell.dialect.name}, {cell.case.name}"
            print(f"RED {where}: {outcome.why}", file=sys.stderr, flush=True)
        if count % 100 == 0:
            print(f"{count} of {len(futures)} cells", file=sys.stderr, flush=True)
        yield outcome
