from __future__ import annotations

import copy
import random
from typing import TYPE_CHECKING

import pytest

from benchmarks.churn import churn_of
from benchmarks.inputs.page_queries import page_queries
from benchmarks.inputs.synthetic_edits import Churn, churned
from benchmarks.nights import pages_changed

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.inputs.synthetic_edits import Row

ROWS: list[Row] = [
    {"_id": str(number), "title": f"Title {number}", "text": f"One {number}. Two words. Three.", "metadata": {}}
    for number in range(60)
]


def test_as_many_documents_change_as_were_asked_for_and_none_in_place() -> None:
    start, spare = copy.deepcopy(ROWS[:50]), copy.deepcopy(ROWS[50:])
    churn = Churn(edited=5, metadata_only=2, removed=3, added=4)
    after = {row["_id"]: row for row in churned(start, spare, churn, generator=random.Random(1))}
    assert start == ROWS[:50]
    before = {row["_id"]: row for row in start}
    both = before.keys() & after.keys()
    assert len(before.keys() - after.keys()) == 3
    assert after.keys() - before.keys() == {"50", "51", "52", "53"}
    assert sum(before[key]["text"] != after[key]["text"] for key in both) == 5
    assert sum(before[key]["metadata"] != after[key]["metadata"] for key in both) == 2
    again = churned(start, spare, churn, generator=random.Random(1))
    assert again == list(after.values())
    with pytest.raises(ValueError, match="expected 11 documents to add"):
        churned(start, spare, Churn(0, 0, 0, 11), generator=random.Random(1))


@pytest.mark.parametrize(("share", "total"), [(0.01, 51), (0.05, 254), (0.2, 1016)])
def test_a_share_of_scifact_is_mostly_edits_and_has_enough_held_back(share: float, total: int) -> None:
    churn = churn_of(share, 5079)
    assert churn.total == total
    assert churn.edited > 0.7 * total
    assert min(churn.metadata_only, churn.removed, churn.added) > 0
    assert churn.added <= 104


def test_pages_ask_for_their_titles_descriptions_and_headings(tmp_path: Path) -> None:
    pages = tmp_path / "pages"
    pages.mkdir()
    front = '---\ntitle: "How-To: Save state"\ndescription: "Overview of the state store. More."\n---\n'
    (pages / "a.md").write_text(
        f"{front}## Step 1: Set up `Redis`\nText.\n## The order in which keys are read\nText.\n"
    )
    for name in "bcde":
        (pages / f"{name}.md").write_text("---\ntitle: Page\n---\n## Next steps\nText.\n")
    assert page_queries(pages, wanted=100) == page_queries(pages, wanted=100)
    assert set(page_queries(pages, wanted=100)) == {
        *("save state", "how do i save state?"),
        *("the state store", "what is the state store?"),
        "save state set up redis",
        "the order in which keys are read",
        *("page", "what is page?"),
    }
    assert len(page_queries(pages, wanted=3)) == 3


def test_pages_changed_are_counted_by_their_bytes(tmp_path: Path) -> None:
    for side, pages in (("left", {"a": "1", "b": "2", "c": "3"}), ("right", {"a": "1", "b": "x", "d": "4"})):
        (tmp_path / side / "deep").mkdir(parents=True)
        for name, text in pages.items():
            (tmp_path / side / "deep" / f"{name}.md").write_text(text)
    assert pages_changed(tmp_path / "left", tmp_path / "right") == 3
