from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from benchmarks.nights import verdicts_of
from benchmarks.parts.compare_releases import Comparison
from benchmarks.parts.night_records import NightLog, NightRecord, record_of
from benchmarks.parts.plain_nights import refresh_plainly
from benchmarks.parts.rebuild import Rebuilt

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.collection import Collection

EQUAL = Comparison(equal=7, ties=0, different=0, counts_equal=True, first=None)
NIGHT = NightRecord(
    name="monday",
    changed=100,
    release_id="1",
    counts={"pairs_scored": 1000, "chunks_embedded": 200},
    seconds={"total": 10.0, "read": 1.0, "retrieve bm25": 2.0, "retrieve dense": 0.5, "fuse": 0.5, "publish": 3.0},
    rebuilt=EQUAL,
    rebuilt_with_models=0,
    is_resumed=False,
)


def night(*, changed: int, pairs: int, name: str = "tuesday") -> NightRecord:
    return replace(NIGHT, name=name, changed=changed, counts={"pairs_scored": pairs, "chunks_embedded": 1})


def test_a_log_goes_on_behind_its_last_night(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    log = NightLog(path, asked={"queries": 5})
    log.start()
    log.append(NIGHT)
    again = NightLog(path, asked={"queries": 5})
    assert again.records == [NIGHT]
    assert not again.was_interrupted
    again.start()
    assert NightLog(path, asked={"queries": 5}).was_interrupted


def test_a_log_of_something_else_is_not_continued(tmp_path: Path) -> None:
    NightLog(tmp_path / "log.jsonl", asked={"queries": 5})
    with pytest.raises(SystemExit, match="--fresh"):
        NightLog(tmp_path / "log.jsonl", asked={"queries": 6})


def test_seconds_of_stages_add_up_to_the_total() -> None:
    found = NIGHT.seconds_by_stage
    assert (found["read"], found["retrieve"], found["rest"], found["total"]) == (1.0, 3.0, 6.0, 10.0)
    assert sum(found.values()) == 2 * found["total"]


@pytest.mark.long
def test_a_night_that_was_published_and_not_recorded_has_the_figures_of_its_manifest(collection: Collection) -> None:
    done = refresh_plainly(collection.settings_file)
    again = refresh_plainly(collection.settings_file)
    assert not again.changed
    rebuilt = Rebuilt(EQUAL, 0, 0)
    found = record_of(again, rebuilt, name="monday", changed=23, known=[], is_resumed=True)
    assert found.counts == done.counts.model_dump()
    assert not found.is_resumed
    idle = record_of(again, rebuilt, name="tuesday", changed=0, known=[found], is_resumed=False)
    assert idle.counts["pairs_scored"] == 0


def test_the_targets_are_shares_of_the_first_night() -> None:
    records = [NIGHT, night(changed=1, pairs=19), night(changed=80, pairs=240, name="wednesday")]
    assert [verdict.passed for verdict in verdicts_of(records)] == [False, True]  # 259 of 1000 together, 19 on one page
    records = [NIGHT, night(changed=1, pairs=21), night(changed=80, pairs=200, name="wednesday")]
    assert [verdict.passed for verdict in verdicts_of(records)] == [True, False]


def test_a_night_whose_rebuild_needed_a_model_is_not_equal() -> None:
    assert NIGHT.is_equal
    assert not replace(NIGHT, rebuilt_with_models=1).is_equal
    assert not replace(NIGHT, rebuilt=replace(EQUAL, ties=1, first="tie")).is_equal
