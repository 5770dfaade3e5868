"""Every place at which a command can fail, tried one by one: ``make test-faults``, or

    python -m tests.faults [--on files] [--on store] [--case NAME ...] [--sample N] [--seed SEED] [--every]

prints how many places were tried, by command and by failure, and whatever did not hold; it ends with 1 where that is
anything. Nothing is timed. A sample is the same for the same seed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from tests.faults.outcome import Tried


class Bench(Protocol):
    """A command that is ready to be disturbed."""

    @property
    def summary(self) -> str:
        """What an undisturbed run of it does."""

    def points(self, *, every: bool) -> Sequence[Any]:
        """All places."""

    def attempt(self, point: Any) -> Tried:  # noqa: ANN401 (one of its own points)
        """What comes of a failure there."""


class Place(NamedTuple):
    """Where failures are brought about: the names of commands, and how one is made ready."""

    names: Sequence[str]
    opening: Callable[[], AbstractContextManager[Callable[[str, Path], Bench]]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Try what is asked for; how it ended."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    warnings.simplefilter("ignore")
    from nightrank.flows.cli.options import quiet_lance
    from tests.faults import files, store
    from tests.faults.commands import CASES

    quiet_lance()  # commands find it loaded
    places = {"files": Place(list(CASES), files.opened), "store": Place(list(store.NAMES), store.opened)}
    parser = argparse.ArgumentParser(prog="python -m tests.faults")
    parser.add_argument("--on", action="append", choices=places)
    parser.add_argument("--case", action="append", choices=list(CASES))
    parser.add_argument("--sample", type=int, help="so many places of each command")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--every", action="store_true", help="not the first and last of operations that look the same")
    parser.add_argument("--journal", type=Path, help="a file to which each trial is added as a line of JSON")
    asked = parser.parse_args(arguments)

    bad = 0
    with tempfile.TemporaryDirectory(prefix="nightrank-faults-", ignore_cleanup_errors=True) as folder:
        for on in asked.on or places:
            with places[on].opening() as ready:
                for name in (name for name in places[on].names if name in (asked.case or places[on].names)):
                    bench = ready(name, Path(folder) / on / name.replace(" ", "-"))
                    points = list(bench.points(every=asked.every))
                    _say(f"{name}, {on}: {bench.summary}, {len(points)} places to fail at")
                    chosen = points
                    if asked.sample is not None and asked.sample < len(points):
                        chosen = random.Random(asked.seed).sample(points, asked.sample)
                    bad += _try(bench, chosen, journal=asked.journal)
    return 1 if bad else 0


def _try(bench: Bench, points: Sequence[object], *, journal: Path | None) -> int:
    """Try some places and say what came of it; at how many something did not hold."""
    tried, missed, bad = Counter[str](), Counter[str](), 0
    for outcome in _outcomes(bench, points):
        (tried if outcome.met else missed)[outcome.failure] += 1
        bad += bool(outcome.faults)
        if outcome.faults:
            _say(f"  {outcome.point}")
            for line in (*outcome.faults, *outcome.told.splitlines()[-4:]):
                _say(f"    {line[:400]}")
        if journal is not None:
            with journal.open("a", encoding="utf-8") as file:
                file.write(json.dumps(outcome._asdict()) + "\n")
    by_failure = ", ".join(f"{failure} {count}" for failure, count in sorted(tried.items()))
    _say(f"  tried {tried.total()} ({by_failure}); not come to in another run {missed.total()}; at fault {bad}")
    return bad


def _outcomes(bench: Bench, points: Sequence[object]) -> Iterator[Tried]:
    for point in points:
        yield bench.attempt(point)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
