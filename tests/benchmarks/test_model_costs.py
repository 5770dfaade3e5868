"""What a model costs by its shape, and that the night's own code runs all architectures of the page on models."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.inputs.lengths import operations
from benchmarks.inputs.model_shapes import DECODERS, PACKAGED, SHAPES, Architecture, Shape, save_random
from benchmarks.model_costs import CHUNKS, CHUNKS_PER_SECOND, PAIRS, PAIRS_PER_SECOND, cost
from nightrank.tasks.embed.encoder import Embedder, plan_embedder
from nightrank.tasks.rerank.cross_encoder import Reranker
from nightrank.tasks.rerank.find import plan_local
from nightrank.tasks.settings.index import EmbedderSettings
from nightrank.tasks.settings.operation import ExecutionSettings
from nightrank.tasks.settings.ranking import RerankerSettings
from tests.docs.pages import DOCS

CPU = ExecutionSettings(device="cpu", threads=1)
LENGTHS = np.array([30, 50])


def test_operations_of_a_bert_are_those_that_the_speed_programs_count() -> None:
    config = SimpleNamespace(model_type="bert", hidden_size=384, intermediate_size=1536, num_hidden_layers=6)
    theirs = operations(LENGTHS, SimpleNamespace(config=config), first_only=False)
    assert PACKAGED.operations(LENGTHS) == theirs


def test_gated_layers_shared_keys_and_a_vocabulary_head_are_counted() -> None:
    one = np.array([1])
    # width 4, inner 8: queries and outputs 2 x 2 x 16, keys and values 2 x 2 x 4 x 2, three matrices 3 x 2 x 32,
    # one token attends to itself: 4 x 4
    assert Shape("x", "reranker", "qwen2", 1, 4, 8, 2, key_values=2).operations(one) == 64 + 32 + 192 + 16
    head = Shape("x", "sparse", "bert", 1, 4, 8, 2, vocabulary_head=True).operations(one)
    assert head == (128 + 128 + 16) + 2 * (16 + 4 * 30_522)


def test_a_night_costs_the_packaged_models_time_as_many_times_as_was_measured_or_counted() -> None:
    twice = cost(PACKAGED, (1.5, 2.0, 4.0))
    assert (twice.times, twice.low, twice.high, twice.operations) == (2.0, 1.5, 4.0, 1.0)
    assert twice.first_night_seconds == pytest.approx(2 * PAIRS / PAIRS_PER_SECOND)
    assert twice.changed_seconds == pytest.approx(0.009 * twice.first_night_seconds)
    embedder = cost(Shape("x", "embedder", "bert", 12, 384, 1536, 12))  # not run: by its operations
    assert (embedder.raced, embedder.times) == (False, 2.0)
    assert embedder.first_night_seconds == pytest.approx(2 * CHUNKS / CHUNKS_PER_SECOND)


@pytest.mark.long
@pytest.mark.parametrize("architecture", ["xlm-roberta", "modernbert", "qwen2", "qwen3"])
def test_rerankers_of_every_architecture_are_scored_by_the_nights_own_code(
    architecture: Architecture, tmp_path: Path
) -> None:
    shape = Shape("x/y", "reranker", architecture, 2, 64, 96, 4, key_values=32 if architecture in DECODERS else None)
    folder = save_random(shape, tmp_path / "made")
    reranker = Reranker(plan_local(RerankerSettings(model=str(folder)), CPU, base=Path()), threads=1)
    scores = reranker.score(["one", "two"], ["a text", "another one, longer"], np.array([2, 4]))
    assert np.isfinite(scores).all()
    assert scores[0] != scores[1]


@pytest.mark.long
@pytest.mark.parametrize("architecture", ["bert", "xlm-roberta"])
def test_embedders_of_every_architecture_are_computed_by_the_nights_own_code(
    architecture: Architecture, tmp_path: Path
) -> None:
    folder = save_random(Shape("x/y", "embedder", architecture, 2, 64, 96, 4), tmp_path / "made")
    embedder = Embedder(plan_embedder(EmbedderSettings(model=str(folder)), CPU, base=Path()), threads=1)
    assert embedder.embed_passages(["a text"]).shape == (1, 64)


def test_the_page_on_models_names_every_model_that_the_program_knows() -> None:
    page = (DOCS / "how-to" / "models.md").read_text(encoding="utf-8")
    assert [shape.name for shape in SHAPES if f"`{shape.name}`" not in page] == []
