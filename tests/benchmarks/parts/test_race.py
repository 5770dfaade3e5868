from __future__ import annotations

import gc
import itertools
from typing import TYPE_CHECKING

import pytest

from benchmarks.parts.race import Laps, race

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.long
def test_every_runner_is_warmed_once_then_runs_once_a_round_in_an_order_that_turns() -> None:
    calls: list[str] = []

    def runner(name: str) -> Callable[[], None]:
        return lambda: calls.append(name)

    laps = race({name: runner(name) for name in "abc"}, rounds=3)

    assert "".join(calls) == "abc" + "abc" + "cba" + "abc"
    assert [(name, len(found.seconds)) for name, found in laps.items()] == [("a", 3), ("b", 3), ("c", 3)]


def test_no_garbage_is_collected_within_a_lap_and_collection_is_on_again_after_it() -> None:
    seen: list[bool] = []

    race({"one": lambda: seen.append(gc.isenabled())}, rounds=2)

    assert seen == [True, False, False]
    assert gc.isenabled()


@pytest.mark.long
def test_laps_are_in_the_order_of_the_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.accumulate([0.0, 1.0, 10.0, 3.0, 10.0, 2.0])  # laps of 1, 3 and 2 seconds
    monkeypatch.setattr("benchmarks.parts.race.time.perf_counter", lambda: next(clock))

    [laps] = race({"one": lambda: None}, rounds=3).values()

    assert laps.seconds == pytest.approx((1.0, 3.0, 2.0))
    assert (laps.median, laps.low, laps.high) == pytest.approx((2.0, 1.0, 3.0))


def test_ratios_are_of_the_same_round() -> None:
    assert Laps("ours", (1.0, 4.0)).times_faster(Laps("theirs", (2.0, 2.0))) == (2.0, 0.5)
