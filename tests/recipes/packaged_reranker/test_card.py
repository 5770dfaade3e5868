"""What the card says of a run: its own settings, what it started from, and every source's licence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nightrank.tasks.rerank.packaged import CARD_FILE, DELTA_FILE, read_card
from recipes.packaged_reranker.card import Run, card_of
from recipes.packaged_reranker.recipe import GROUPS, LEARNING, Source

if TYPE_CHECKING:
    from pathlib import Path

    from nightrank.tasks.rerank.packaged import RerankerCard

SOURCES = [Source("a", "docs", "training/a.jsonl.xz"), Source("left", "docs", "training/left.jsonl.xz", left_out=True)]


def card(folder: Path, *, start: Path | None = None, remarks: tuple[str, ...] = ()) -> RerankerCard:
    (folder / DELTA_FILE).write_bytes(b"weights")
    return card_of(
        folder,
        SOURCES,
        licences={"a": ["MIT", "CC0"], "left": ["MIT"]},
        mined={"a": 7},
        learning=LEARNING,
        groups=GROUPS,
        start=start,
        run=Run(640, 10, 64_000, 30, "cpu"),
        weight=0.4,
        figures={},
        remarks=remarks,
    )


def test_it_names_sources_licences_seeds_and_what_the_run_saw(tmp_path: Path) -> None:
    made = card(tmp_path, remarks=("A remark.",))
    assert made.data == [{"source": "a", "path": "training/a.jsonl.xz", "licence": "MIT; CC0"}]
    assert made.training["left out whole"] == ["left"]
    assert made.training["seen"]["pairs"] == 640
    assert made.training["groups"]["seed"] == GROUPS.seed
    assert made.training["families"]["docs"]["label_share"] == 0.6
    assert "label_share" not in made.training["learning"]  # families say it
    assert made.remarks[-1] == "A remark."
    assert "--start" not in made.command
    (tmp_path / CARD_FILE).write_text(made.model_dump_json())
    assert read_card(tmp_path) == made


def test_a_run_that_went_on_from_an_earlier_reranker_says_what_that_one_read(tmp_path: Path) -> None:
    (tmp_path / "first").mkdir()
    first = card(tmp_path / "first")
    (tmp_path / "first" / CARD_FILE).write_text(first.model_dump_json())
    (tmp_path / "next").mkdir()
    further = card(tmp_path / "next", start=tmp_path / "first")
    assert further.training["started from"]["delta_sha256"] == first.delta_sha256
    assert further.training["started from"]["data"] == first.data
    assert further.command.endswith("--start EARLIER")
    assert len(further.remarks) == len(first.remarks) + 1
