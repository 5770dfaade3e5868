"""On a processor a score, and a vector, is a function of its texts alone, to the last bit."""

from __future__ import annotations

from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from nightrank.tasks.embed.encoder import Embedder, plan_embedder
from nightrank.tasks.models.execution import InBatches, OneByOne
from nightrank.tasks.models.files import PACKAGED_EMBEDDER
from nightrank.tasks.rerank.cross_encoder import Reranker
from nightrank.tasks.rerank.find import plan_local
from nightrank.tasks.settings.index import EmbedderSettings
from nightrank.tasks.settings.operation import ExecutionSettings
from nightrank.tasks.settings.ranking import RerankerSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from tests.conftest import Models

    Compute = Callable[[list[tuple[str, str]]], NDArray[np.float32]]

CPU = ExecutionSettings(device="cpu")
WORDS = ["read", "and", "write", "tables", "of", "comma", "separated", "values", "while", "a", "lock", "naïveté"]


def near_ties(count: int, *, longest: int = 120) -> list[tuple[str, str]]:
    """Pairs of all lengths: texts, the same with a word changed, the same with one more, and the same again."""
    generator = np.random.default_rng(5)
    pairs: list[tuple[str, str]] = []
    while len(pairs) < count:
        query = " ".join(generator.choice(WORDS, generator.integers(1, 9)))
        words = generator.choice(WORDS, generator.integers(1, longest)).tolist()
        place = int(generator.integers(0, len(words)))
        changed = [*words[:place], "file", *words[place + 1 :]]
        pairs += [(query, " ".join(each)) for each in (words, changed, [*words, "file"], words)]
    return pairs[:count]


def of_another_type(models: Models, folder: Path) -> Path:
    from transformers import AutoTokenizer, DistilBertConfig, DistilBertForSequenceClassification

    torch.manual_seed(3)
    AutoTokenizer.from_pretrained(models.reranker).save_pretrained(folder)
    config = DistilBertConfig(dim=64, n_layers=2, n_heads=2, hidden_dim=128, initializer_range=0.5)
    config.num_labels = 1
    DistilBertForSequenceClassification(config).save_pretrained(folder)
    return folder


def reranker(folder: str | Path, threads: int, **changes: object) -> Compute:
    settings = RerankerSettings.model_validate({"model": str(folder), **changes})
    made = Reranker(plan_local(settings, CPU, base=Path("/nowhere")), threads=threads)

    def score(pairs: list[tuple[str, str]]) -> NDArray[np.float32]:
        queries, texts = [query for query, _ in pairs], [text for _, text in pairs]
        return made.score(queries, texts, np.array([len(text) // 4 for text in texts]))

    return score


def embedder(folder: str | Path, threads: int, **changes: object) -> Compute:
    settings = EmbedderSettings.model_validate({"model": str(folder), **changes})
    made = Embedder(plan_embedder(settings, CPU, base=Path("/nowhere")), threads=threads)

    def embed(pairs: list[tuple[str, str]]) -> NDArray[np.float32]:
        return np.concatenate(
            [made.embed_passages([text for _, text in pairs]), made.embed_queries([query for query, _ in pairs])],
            axis=1,
        )

    return embed


def bits(values: NDArray[np.float32]) -> NDArray[np.uint32]:
    assert values.dtype == np.float32
    return values.view(np.uint32)


def require_same_in_any_company(
    load: Callable[[int], Compute],
    pairs: list[tuple[str, str]],
    *,
    threads: tuple[int, ...] = (1, 2),
    sizes: tuple[int, ...] = (1, 7, 64),
) -> None:
    """Compute pairs in one call on one thread, then shuffled, in calls of so many, on so many threads."""
    expected = bits(load(1)(pairs))
    firsts = [pairs.index(pair) for pair in pairs]
    np.testing.assert_array_equal(expected, expected[firsts])  # the same texts
    for count in threads:
        compute = load(count)
        for size in sizes:
            order = np.random.default_rng(size).permutation(len(pairs))
            batches = [order[first : first + size] for first in range(0, order.size, size)]
            found = [compute([pairs[row] for row in rows]) for rows in batches]
            np.testing.assert_array_equal(bits(np.concatenate(found)), expected[order])


@pytest.mark.parametrize("changes", [{}, {"precision": "bfloat16"}])
def test_a_pairs_score_is_the_same_in_any_company(models: Models, changes: dict[str, Any]) -> None:
    require_same_in_any_company(lambda threads: reranker(models.reranker, threads, **changes), near_ties(200))


def test_a_pairs_score_by_the_packaged_reranker_is_the_same_in_any_company() -> None:
    require_same_in_any_company(
        lambda threads: reranker("nightrank-minilm", threads), near_ties(64, longest=40), threads=(2,), sizes=(1, 7)
    )


def test_a_pairs_score_by_a_model_of_another_type_is_the_same_in_any_company(models: Models, tmp_path: Path) -> None:
    folder = of_another_type(models, tmp_path)
    require_same_in_any_company(lambda threads: reranker(folder, threads), near_ties(120))


@pytest.mark.parametrize("changes", [{}, {"precision": "bfloat16"}, {"query_prompt": "query: "}])
def test_a_texts_vector_is_the_same_in_any_company(models: Models, changes: dict[str, Any]) -> None:
    require_same_in_any_company(lambda threads: embedder(models.embedder, threads, **changes), near_ties(120))


def test_a_texts_vector_by_the_packaged_embedder_is_the_same_in_any_company() -> None:
    require_same_in_any_company(
        lambda threads: embedder(PACKAGED_EMBEDDER, threads), near_ties(64, longest=40), threads=(2,), sizes=(1, 7)
    )


def test_a_texts_vector_by_a_model_of_another_type_is_the_same_in_any_company(models: Models, tmp_path: Path) -> None:
    folder = of_another_type(models, tmp_path)  # pooled by its mean, as sentence-transformers takes a bare transformer
    require_same_in_any_company(lambda threads: embedder(folder, threads), near_ties(120))


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
def test_threads_compute_undivided_and_all_others_as_before() -> None:
    others: list[int] = []
    execution = OneByOne(3)
    inside = [found for _, found in execution.run(np.ones(50, int), lambda _alone: torch.get_num_threads())]
    later = Thread(target=lambda: others.append(torch.get_num_threads()))
    later.start()
    later.join()
    assert set(inside) == {1}
    assert [torch.get_num_threads(), *others] == [2, 2]
    torch.set_num_threads(2)  # as training would, between two scorings
    assert {found for _, found in execution.run(np.ones(50, int), lambda _alone: torch.get_num_threads())} == {1}


def test_one_by_one_every_item_is_a_batch_of_its_own_and_comes_once() -> None:
    lengths = np.random.default_rng(0).integers(1, 300, 100)
    found = list(OneByOne(2).run(lengths, lambda batches: [rows.tolist() for rows in batches]))
    assert sorted(row for rows, _ in found for row in rows) == list(range(100))
    assert all([[row] for row in rows] == computed for rows, computed in found)
    assert len(found) >= 8  # so that two threads end at about the same time


def test_in_batches_items_of_like_length_come_together() -> None:
    found = list(InBatches(10).run(np.array([1, 5, 2, 5]), lambda batches: [rows.tolist() for rows in batches]))
    assert [computed for _, computed in found] == [[[1, 3]], [[2, 0]]]


def test_what_fails_on_a_thread_fails_here_and_ends_the_rest() -> None:
    begun: list[int] = []

    def fail(batches: Sequence[NDArray[np.intp]]) -> None:
        begun.append(len(batches))
        raise ValueError("no such token")

    with pytest.raises(ValueError, match="no such token"):
        list(OneByOne(1).run(np.full(10_000, 1024), fail))
    assert len(begun) < 10_000
