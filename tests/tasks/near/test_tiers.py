from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nightrank.storage.release.files import ReleaseFiles
from nightrank.storage.release.near_record import POOL, NearMove, NearRecord
from nightrank.storage.serving.cache import CachedResults
from nightrank.tasks.near.tiers import asks_pool, pool_move, told_query

if TYPE_CHECKING:
    from pathlib import Path

EXACT = CachedResults("tea", "r1", ())
NEAR = CachedResults("teas", "r1", (), how="near", from_query="tea", expected_overlap=0.8)


def pool(overlap: float | None, *, is_on: bool = True) -> NearMove:
    return NearMove(
        move=POOL, measured_by="overlap", held_out=40, error=0.1, bound=0.2, limit=0.4, overlap=overlap, is_on=is_on
    )


@pytest.mark.parametrize(
    ("found", "second", "is_asked"),
    [
        (EXACT, pool(1.0), False),  # what was answered in advance is the answer
        (NEAR, pool(0.9), True),
        (NEAR, pool(0.8), False),  # as good, and dearer
        (NEAR, pool(0.7), False),
        (NEAR, pool(None), False),
        (NEAR, None, False),
        (None, pool(0.1), True),
        (None, None, False),
    ],
)
def test_the_tier_that_loses_less_answers(found: CachedResults | None, second: NearMove | None, is_asked: bool) -> None:
    assert asks_pool(found, second) == is_asked


def test_a_second_tier_that_is_off_or_was_not_measured_is_none(tmp_path: Path) -> None:
    files = ReleaseFiles(tmp_path)
    assert pool_move(files) is None
    for is_on in (False, True):
        record = NearRecord(confidence=0.95, seed=0, moves=(pool(0.9, is_on=is_on),), coverage=None)
        files.near.path.write_text(record.model_dump_json(), encoding="utf-8")
        found = pool_move(files)
        assert found == (pool(0.9) if is_on else None)


def test_what_others_wrote_of_themselves_is_not_told() -> None:
    assert told_query("read a csv file") == "read a csv file"
    assert told_query("mail to jane.doe@example.org") is None
    assert told_query("mail to [email]") is None
