from __future__ import annotations

import pytest

from nightrank.storage.errors import InputError
from nightrank.storage.records import BadRow
from nightrank.tasks.read.bad_rows import SetAside


def refused(bad: int, rows: int, *, share: float = 0.01, allowed: int = 5) -> str:
    set_aside = SetAside(rows=rows)
    for row in range(1, bad + 1):
        set_aside.add(BadRow("c.jsonl", row, "broken JSON"))
    try:
        set_aside.refuse_too_many(name="docs/", section="documents", share=share, allowed=allowed)
    except InputError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("bad", "rows", "stops"),
    [
        (0, 1, False),
        (1, 60, False),  # one in sixty is more than a hundredth, and no reason to stop
        (5, 10, False),
        (5, 9, True),  # more than half
        (6, 12, True),  # more than are allowed
        (10, 1_000, False),  # a hundredth
        (11, 1_000, True),
        (3, 3, True),
        (0, 0, True),
    ],
)
def test_few_bad_rows_stop_nothing_and_many_do(bad: int, rows: int, stops: bool) -> None:
    assert bool(refused(bad, rows)) is stops


def test_a_share_of_all_allows_all_but_a_collection_without_a_good_row() -> None:
    assert not refused(9, 10, share=1.0, allowed=0)
    assert refused(10, 10, share=1.0, allowed=0)


def test_the_message_names_the_share_and_the_first_rows() -> None:
    message = refused(7, 10)
    assert message.startswith(
        "7 of 10 rows of docs/ cannot be used, more than documents.max_bad_row_share = 0.01 allows: "
        "c.jsonl, row 1: broken JSON; "
    )
    assert "row 5" in message
    assert "row 6" not in message
