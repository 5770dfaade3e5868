from __future__ import annotations

import pytest

from nightrank.tasks.gates.account import account_gate
from nightrank.tasks.gates.rules import Incomparable
from nightrank.tasks.read.account import CHARACTERS, WITH_TEXT, Entry, Kind


def account(documents: int, characters: int) -> list[Entry]:
    sizes = ((WITH_TEXT, documents), (CHARACTERS, characters))
    return [Entry("documents", Kind.SIZE, what, count, "") for what, count in sizes if count]


@pytest.mark.parametrize(
    ("now", "passed", "value", "says"),
    [
        ((100, 10_000), True, 0.0, "100 documents with a text live, 100 now"),
        ((120, 12_000), True, 0.0, "live"),
        ((70, 10_000), True, 0.3, "100 documents with a text live, 70 now: 30.0% are gone, up to 30.0% may"),
        ((50, 9_000), False, 0.5, "50.0% are gone"),  # texts of half of the documents
        ((100, 5_000), False, 0.5, "10,000 characters of text live, 5,000 now"),  # every text cut in half
        ((0, 0), False, 1.0, "100.0% are gone"),  # the column has another name
    ],
)
def test_texts_do_not_vanish_overnight(now: tuple[int, int], passed: bool, value: float, says: str) -> None:
    gate = account_gate(account(*now), account(100, 10_000), max_text_lost=0.3)
    assert (gate.name, gate.passed, gate.threshold) == ("account", passed, 0.3)
    assert gate.value == pytest.approx(value)
    assert says in gate.reason


def test_switched_off_it_says_what_it_saw_and_passes() -> None:
    gate = account_gate(account(0, 0), account(100, 10_000), max_text_lost=1.0)
    assert gate.passed
    assert "100.0% are gone" in gate.reason


def test_where_there_is_nothing_to_compare_with_it_passes() -> None:
    assert account_gate(account(1, 1), Incomparable("it is the first release"), max_text_lost=0.3).passed
    assert account_gate(account(1, 1), [], max_text_lost=0.3).passed
