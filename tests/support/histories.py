"""Histories of nights in which everything changes: texts, metadata, log, filters, judgments, and any setting.

A history is drawn from its seed alone, so that one that fails can be run again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.parts.compare_releases import compare_releases
from nightrank.storage.files.parquet import read_table
from nightrank.storage.lance.table import ChunkTable
from nightrank.storage.release.manifest import read_manifest
from tests.support.collection import LOG, Collection

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from nightrank.storage.records import JsonValue
    from nightrank.storage.workspace.base import Workspace
    from tests.support.collection import TomlValue

# Per setting the values that a night may find; the first is none of its own: the default.
SETTINGS: dict[str, tuple[TomlValue | None, ...]] = {
    "bm25.k1": (None, 0.6),
    "bm25.b": (None, 0.2),
    "bm25.variant": (None, "bm25plus", "atire"),
    "bm25.language": (None, "none"),
    "bm25.stop_words": (None, False),
    "bm25.fields.title": (None, 3.0),
    "chunking.max_tokens": (40, 60),
    "retrieval.legs": (None, ["bm25", "dense"], ["bm25", "dense", "sparse"], ["sparse"], ["bm25"]),
    "retrieval.candidate_depth": (4, 6, 100),
    "retrieval.chunks_per_document": (None, 2),
    "retrieval.fusion": (None, "minmax"),
    "retrieval.rrf_k": (None, 10),
    "results.order": ("learned", "weighted"),
    "results.depth": (None, 3),
    "results.unit": (None, "chunk"),
    "results.mmr_lambda": (None, 0.6),
    "results.mmr_pool": (None, 5),
    "results.near_duplicate": (None, 0.9999),
    "reranker.weight": (None, 0.3),
    "reranker.depth": (None, 2),
    "reranker.max_tokens": (None, 40),
    "embedder.query_prompt": (None, "find: "),
    "queries.budget": (None, 5),
    "queries.merge": (None, "exact"),
    "evaluation.measures": (None, ["RR@10", "R@5"]),
}
FILTERS: tuple[JsonValue, ...] = (
    None,
    {"letters": {"lt": 9}},
    {"shelf": {"gte": 50}},
    {"not": {"shelf": {"exists": True}}},
    {"or": [{"letters": {"gte": 12}}, {"shelf": {"lt": 30}}]},
)
# Clocks, the releases before it, and what a night did to arrive: they need not be what a rebuild has.
OF_THE_NIGHT_ITSELF = {
    "timings.parquet",
    "comparison.parquet",
    "previous.parquet",
    "past_releases.parquet",
    "past_rankings.parquet",
}


def change_settings(collection: Collection, generator: np.random.Generator, *, most: int) -> list[str]:
    """Give some settings, at most so many, other values; what is changed."""
    names = sorted(SETTINGS)
    chosen = generator.choice(names, int(generator.integers(0, most + 1)), replace=False).tolist()
    for name in chosen:
        section, _, key = name.rpartition(".")
        value = SETTINGS[name][int(generator.integers(0, len(SETTINGS[name])))]
        values = collection.settings.setdefault(section, {})
        values.pop(key, None)
        if value is not None:
            values[key] = value
    return [f"{name} = {collection.settings[name.rpartition('.')[0]].get(name.rpartition('.')[2])}" for name in chosen]


def change_questions(collection: Collection, generator: np.random.Generator) -> None:
    """Other counts and filters of queries, and other judgments; some come, some go."""
    for place in range(len(collection.log)):
        if generator.random() < 0.2:
            query_id, text, _ = collection.log[place]
            collection.log[place] = (query_id, text, int(generator.integers(1, 10)))
    known = {query_id for query_id, _, _ in collection.log}
    collection.filters = {query_id: held for query_id, held in collection.filters.items() if query_id in known}
    for query_id, text, _ in LOG:
        filtered = f"{query_id}-filtered"
        if filtered in known and generator.random() < 0.4:  # goes, or has another filter
            collection.filters[filtered] = FILTERS[int(generator.integers(1, len(FILTERS)))]
            if generator.random() < 0.3:
                collection.log = [row for row in collection.log if row[0] != filtered]
                del collection.filters[filtered]
        elif filtered not in known and generator.random() < 0.3:
            collection.log.append((filtered, text, int(generator.integers(1, 9))))
            collection.filters[filtered] = FILTERS[int(generator.integers(1, len(FILTERS)))]
    documents = [str(document["_id"]) for document in collection.documents]
    asked = [query_id for query_id, _, _ in collection.log]
    judged = {(query_id, document_id): grade for query_id, document_id, grade in collection.qrels}
    for pair in list(judged):
        if generator.random() < 0.1:
            del judged[pair]
        elif generator.random() < 0.1:
            judged[pair] = int(generator.integers(0, 4))
    for _ in range(int(generator.integers(0, 4))):
        judged[str(generator.choice(asked)), str(generator.choice(documents))] = int(generator.integers(0, 4))
    judged[LOG[0][0], documents[0]] = 1  # so that there always is one
    collection.qrels = [(query_id, document_id, grade) for (query_id, document_id), grade in judged.items()]


def first_difference(left: Workspace, right: Workspace) -> str | None:
    """Where the current releases of two workspaces part, table by table; None where they hold the same."""
    comparison = compare_releases(left, right)
    if not comparison.is_exact:
        return comparison.first
    ours, theirs = _tables(left), _tables(right)
    if ours.keys() != theirs.keys():
        return f"tables {sorted(ours.keys() ^ theirs.keys())} on one side alone"
    return next((f"other rows in {name}" for name in ours if ours[name] != theirs[name]), None)


def _tables(workspace: Workspace) -> Mapping[str, list[tuple[Any, ...]]]:
    """The rows of every table of a release, in an order of their own; its vectors are one of them."""
    release_id = workspace.require_current()
    folder = workspace.release(release_id)
    manifest = read_manifest(workspace, release_id)
    tables = {
        path.name: _rows(read_table(path))
        for path in sorted(folder.glob("*.parquet"))
        if path.name not in OF_THE_NIGHT_ITSELF
    }
    hashes = read_table(folder / "candidates.parquet").column("chunk_hash").unique()
    stored = ChunkTable.of_release(workspace.lance, name=manifest.chunk_table.name, release_id=release_id)
    return {**tables, "vectors": _rows(stored.rows(hashes, ["text", "tokens", "vector"]))}


def _rows(table: Any) -> list[tuple[Any, ...]]:  # noqa: ANN401 (pyarrow ships no types)
    columns = [table.column(name).to_pylist() for name in table.schema.names if name not in ROW_NUMBERS]
    return sorted(zip(*columns, strict=True), key=repr)


ROW_NUMBERS = {"chunk_number"}  # where a chunk stands in its release's statistics
