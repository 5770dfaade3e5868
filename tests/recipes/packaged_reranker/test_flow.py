"""The whole program on a handful of pairs: what it writes opens, and a second run does nothing twice."""

from __future__ import annotations

import json
import lzma
from typing import TYPE_CHECKING

import pytest

from nightrank.tasks.rerank.packaged import load_reranker, read_card
from nightrank.tasks.train.reranker.groups import GroupSettings
from nightrank.tasks.train.reranker.learn import LearningSettings
from recipes.packaged_reranker.__main__ import make_packaged_reranker, scheduled
from recipes.packaged_reranker.recipe import GROUPS, LARGE_GROUPS, LARGE_LEARNING, LEARNING, Source
from recipes.packaged_reranker.validation import DEPTH

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Models

WORDS = ["apple", "banana", "cherry", "damson", "elder", "fig", "grape", "hazel", "iris", "juniper", "kale", "lemon"]
SOURCES = [Source("pairs", "question", "pairs.jsonl.xz"), Source("left", "docs", "left.jsonl.xz", left_out=True)]


def test_pairs_decide_the_steps_and_the_rate_falls_within_them() -> None:
    assert scheduled(LEARNING, GROUPS, None) is LEARNING
    few = scheduled(LEARNING, GROUPS, 640)
    assert (few.steps, few.decay_steps) == (10, 5)
    large = scheduled(LARGE_LEARNING, LARGE_GROUPS, 4_096_000)
    assert (large.steps, large.decay_steps) == (4000, 1600)


@pytest.mark.slow
def test_the_flow_makes_a_folder_that_opens_and_says_what_it_is_worth(
    tmp_path: Path, prefect_api: str, models: Models
) -> None:
    for name, ending in (("pairs", "grows in gardens"), ("left", "is eaten raw")):
        rows = [{"query": f"where does {w} grow", "title": w, "text": f"{w} {ending}", "license": "MIT"} for w in WORDS]
        with lzma.open(tmp_path / f"{name}.jsonl.xz", "wt") as file:
            file.write("".join(json.dumps(row) + "\n" for row in rows))
    groups = GroupSettings(groups=2, near=1, far=0, anywhere=1, keyword_share=0.0)

    def make(output: Path, data: Path | None, start: Path | None = None, steps: int = 4) -> Path:
        output.mkdir(exist_ok=True)
        learning = LearningSettings(steps=steps, decay_steps=2, warm_up_steps=1, threads=1)
        return make_packaged_reranker(
            data,
            output,
            learning=learning,
            groups=groups,
            sources=SOURCES,
            start=start,
            sparse=str(models.splade),
            device="cpu",
        )

    output = tmp_path / "out"
    card = read_card(make(output, tmp_path))
    [(title, table)] = card.figures.items()
    assert str(DEPTH) in title
    assert set(table) == {"left", "held out: question"}
    assert table["left"]["queries"] == len(WORDS)
    assert card.data == [{"source": "pairs", "path": "pairs.jsonl.xz", "licence": "MIT"}]
    assert card.training["seen"] | {"seconds": 0, "tokens": 0} == {
        "pairs": 24,
        "steps": 4,
        "tokens": 0,
        "seconds": 0,
        "device": "cpu",
    }
    scores = load_reranker(output / card.name).predict([("apple", "apple grows"), ("apple", "stones")])
    assert scores.shape == (2,)

    mined = (output / "sources" / "pairs" / "mined.parquet").stat().st_mtime_ns
    assert read_card(make(output, tmp_path)).delta_sha256 == card.delta_sha256
    assert (output / "sources" / "pairs" / "mined.parquet").stat().st_mtime_ns == mined

    # More steps go on from where the rate was constant, and end where an unbroken training does.
    longer = read_card(make(output, None, steps=6))
    (tmp_path / "whole").mkdir()
    (tmp_path / "whole" / "sources").symlink_to(output / "sources")
    assert read_card(make(tmp_path / "whole", None, steps=6)).delta_sha256 == longer.delta_sha256

    further = read_card(make(tmp_path / "next", tmp_path, start=output / card.name))
    assert further.training["started from"]["delta_sha256"] == longer.delta_sha256
    assert further.delta_sha256 != longer.delta_sha256
    assert further.command.endswith("--start EARLIER")
