"""Histories of a collection, through the whole night: what the last night publishes is what a rebuild gives."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest

from benchmarks.parts.compare_releases import compare_releases
from benchmarks.parts.plain_nights import refresh_plainly
from nightrank.storage.files.parquet import read_table
from nightrank.storage.release.manifest import current_manifest
from nightrank.storage.workspace.folder import FolderWorkspace
from nightrank.tasks.rank.learned import LearnedOrder
from nightrank.tasks.rank.lists import RERANKER
from nightrank.tasks.rank.order_file import order_file, order_of_release, read_order
from tests.support.collection import LOG, LONG_SENTENCES, TEXTS, Collection

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from nightrank.storage.records import JsonValue
    from tests.conftest import Models
    from tests.support.collection import TomlValue

WORDS = sorted({word for _, text in TEXTS.values() for word in text.split()})
NIGHTS = 4
SEEDS = [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 12))]


def change(collection: Collection, generator: np.random.Generator) -> None:
    """A night's worth of everything that can happen to a collection, in random measure."""
    documents = collection.documents

    def some(most: int) -> list[int]:
        count = int(generator.integers(0, most + 1))
        return sorted(generator.choice(len(documents), min(count, len(documents) - 1), replace=False), reverse=True)

    def words(count: int) -> str:
        return " ".join(generator.choice(WORDS, count).tolist())

    for place in some(3):
        text = str(documents[place]["text"]).split()
        text[int(generator.integers(0, len(text)))] = words(1)
        documents[place]["text"] = " ".join(text)
    for place in some(3):
        documents[place]["shelf"] = int(generator.integers(0, 100))
    for place in some(2):
        del documents[place]
    for place in some(2):  # a copy: the same text under another id, before or behind it in the order of ties
        documents.append({**documents[place], "_id": f"{words(1)}-{generator.integers(0, 10_000)}"})
    for place in some(1):  # a document that is renamed
        documents[place] = {**documents[place], "_id": f"{words(1)}-{generator.integers(0, 10_000)}"}
    for _ in range(int(generator.integers(0, 3))):
        sentences = generator.choice(LONG_SENTENCES, int(generator.integers(1, 14))).tolist()
        documents.append(
            {"_id": f"new-{generator.integers(0, 10_000)}", "title": words(2), "text": " ".join(sentences)}
        )
    generator.shuffle(documents)
    if generator.random() < 0.5:
        collection.log.append((f"q-{generator.integers(0, 10_000)}", words(3), int(generator.integers(1, 9))))
    if generator.random() < 0.3 and len(collection.log) > len(LOG):
        collection.log.pop(int(generator.integers(len(LOG), len(collection.log))))
    unique = {str(document["_id"]): document for document in documents}
    collection.documents = [*unique.values()]


@pytest.mark.long
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("retrieval", "results"),
    [
        ({"candidate_depth": 4, "chunks_per_document": 2}, {}),
        ({"candidate_depth": 4}, {"unit": "chunk"}),
        ({"candidate_depth": 4, "legs": ["bm25", "dense", "sparse"]}, {}),
        pytest.param({"candidate_depth": 6, "legs": ["sparse"], "fusion": "minmax"}, {}, marks=pytest.mark.slow),
        ({"candidate_depth": 100}, {"mmr_lambda": 0.6, "near_duplicate": 0.9999}),
    ],
    ids=["two chunks", "chunks", "three legs", "sparse alone", "diverse"],
)
def test_any_history_ends_where_a_rebuild_ends(
    seed: int,
    retrieval: dict[str, TomlValue],
    results: dict[str, TomlValue],
    collection: Collection,
    models: Models,
    tmp_path: Path,
) -> None:
    generator = np.random.default_rng(seed)
    # The packaged learned order weighs the packaged reranker alone: here one of our own knows the small one.
    packaged = read_order()
    learned = LearnedOrder.of(packaged.gates, str(collection.settings["reranker"]["model"]), grams=packaged.grams)
    model = tmp_path / "order.json"
    model.write_text(order_file(learned, {}), encoding="utf-8")
    collection.settings["retrieval"] = retrieval
    collection.settings["sparse"] = {"model": str(models.splade)}
    collection.settings["results"] = results | {"order_model": str(model)}
    collection.write()
    refresh_plainly(collection.settings_file)
    for night in range(NIGHTS):
        change(collection, generator)
        collection.write()

        summary = refresh_plainly(collection.settings_file)

        rebuild = Collection(tmp_path / f"rebuild-{night}", collection.settings, collection.documents, collection.log)
        rebuild.write()
        assert refresh_plainly(rebuild.settings_file).counts.chunks == summary.counts.chunks
        comparison = compare_releases(FolderWorkspace(collection.workspace), FolderWorkspace(rebuild.workspace))
        assert comparison.is_exact, (night, comparison.first)
        assert grams_of(collection.workspace) == grams_of(rebuild.workspace), night
        shutil.rmtree(rebuild.folder)
    manifest = current_manifest(FolderWorkspace(collection.workspace))
    assert manifest is not None
    assert RERANKER in manifest.log_means
    assert manifest.inputs.order == learned.fingerprint
    kept = order_of_release(manifest)
    assert kept is not None
    assert kept.stored() == learned.stored()


def grams_of(workspace: Path) -> dict[tuple[str, str], bytes]:
    """By query and chunk, of the release that is live."""
    place = FolderWorkspace(workspace)
    rows = read_table(place.release(place.require_current()) / "candidates.parquet").to_pylist()
    return {(row["query_key"], row["chunk_id"]): row["grams"] for row in rows}


def test_near_ties_and_copies_end_as_in_a_rebuild_whatever_was_scored_beside_them(
    collection: Collection, tmp_path: Path
) -> None:
    generator = np.random.default_rng(0)
    words = " ".join(LONG_SENTENCES[:2]).split()
    texts = []
    for number in range(24):  # the same but for a word, and each third once more under another id
        place = int(generator.integers(0, len(words)))
        text = " ".join([*words[:place], WORDS[number], *words[place + 1 :]])
        texts += [text] * (1 + (number % 3 == 0))
    coming: list[dict[str, JsonValue]] = [
        {"_id": f"tie-{number}", "title": "", "text": text} for number, text in enumerate(texts)
    ]
    generator.shuffle(coming)
    collection.settings["retrieval"] = {"candidate_depth": 100}
    for night in range(3):
        collection.documents += coming[night::3]
        collection.log.append((f"words-{night}", " ".join(words[3 * night : 3 * night + 3]), 1))
        collection.write()
        refresh_plainly(collection.settings_file)

    rebuild = Collection(tmp_path / "rebuild", collection.settings, collection.documents, collection.log)
    rebuild.write()
    refresh_plainly(rebuild.settings_file)

    comparison = compare_releases(FolderWorkspace(collection.workspace), FolderWorkspace(rebuild.workspace))
    assert comparison.is_exact, comparison.first
    scores = pair_scores(collection)
    gaps = np.concatenate([np.diff(np.sort(of_query)) for of_query in scores.values()])
    assert (gaps == 0).sum() >= 8  # the copies
    assert ((gaps > 0) & (gaps < 1e-3)).sum() > 0
    assert {key: np.sort(of_query).tobytes() for key, of_query in scores.items()} == {
        key: np.sort(of_query).tobytes() for key, of_query in pair_scores(rebuild).items()
    }


def pair_scores(collection: Collection) -> dict[str, NDArray[np.float32]]:
    """What the current release holds, by query: float32 (n_pairs,)."""
    workspace = FolderWorkspace(collection.workspace)
    table = read_table(workspace.release(workspace.require_current()) / "candidates.parquet")
    keys, scores = table.column("query_key").to_numpy(), table.column("pair_score").to_numpy()
    return {key: scores[(keys == key) & ~np.isnan(scores)] for key in np.unique(keys)}
