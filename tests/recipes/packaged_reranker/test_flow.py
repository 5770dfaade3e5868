"""The whole program on a handful of pairs: what it writes opens, and a second run does nothing twice."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from nightrank.tasks.rerank.packaged import load_reranker, read_card
from nightrank.tasks.train.reranker.groups import GroupSettings
from nightrank.tasks.train.reranker.learn import LearningSettings
from recipes.packaged_reranker.__main__ import make_packaged_reranker
from recipes.packaged_reranker.recipe import Recipe

if TYPE_CHECKING:
    from pathlib import Path

WORDS = ["apple", "banana", "cherry", "damson", "elder", "fig", "grape", "hazel", "iris", "juniper", "kale", "lemon"]


@pytest.mark.slow
def test_the_flow_makes_a_folder_that_opens_and_carries_a_chosen_weight(tmp_path: Path, prefect_api: str) -> None:
    rows = [
        {"query": f"where does {w} grow", "title": "", "text": f"{w} grows in gardens", "document_id": w} for w in WORDS
    ]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipes = [Recipe("pairs", 1.0, "pairs.jsonl", "ours", validation=2)]
    learning = LearningSettings(steps=2, decay_steps=1, warm_up_steps=1, threads=1)
    groups = GroupSettings(groups=2, near=1, far=0, anywhere=1, max_lengths=(32,), length_shares=(1.0,))
    output = tmp_path / "out"

    def make(output: Path, start: Path | None = None) -> Path:
        return make_packaged_reranker(
            tmp_path, output, learning=learning, groups=groups, recipes=recipes, start=start, device="cpu"
        )

    folder = make(output)
    card = read_card(folder)
    assert set(card.figures["validation nDCG@10, fused top 50"]["pairs"]) >= {"fused", "0", "0.5", "1"}
    scores = load_reranker(folder).predict([("apple", "apple grows"), ("apple", "stones")], convert_to_numpy=True)
    assert scores.shape == (2,)

    mined = (output / "sources" / "pairs" / "mined.parquet").stat().st_mtime_ns
    again = make(output)
    assert (output / "sources" / "pairs" / "mined.parquet").stat().st_mtime_ns == mined
    assert read_card(again).delta_sha256 == card.delta_sha256

    (tmp_path / "next").mkdir()
    further = read_card(make(tmp_path / "next", start=folder))
    assert further.training["started from"]["delta_sha256"] == card.delta_sha256
    assert further.delta_sha256 != card.delta_sha256
