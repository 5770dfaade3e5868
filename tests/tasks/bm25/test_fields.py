"""BM25F: equal to the formula computed by hand, and to rank-bm25's from the texts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from nightrank.storage.bm25.index import Bm25Store
from nightrank.storage.records import Chunk
from nightrank.tasks.bm25.analyser import Analyser
from nightrank.tasks.bm25.audit import audit_bm25
from nightrank.tasks.bm25.retrieve import retrieve_bm25
from nightrank.tasks.settings.index import Bm25FieldsSettings, Bm25Settings
from tests.support.bm25_collections import VARIANTS
from tests.support.bm25_files import Placed
from tests.support.bm25_files import build as build_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pyarrow as pa

    from tests.support.bm25_collections import Variant

FIELDS = Bm25FieldsSettings(title=2.0, headings=1.5, text=1.0)
# By document: title, headings, passage.
DOCUMENTS = {
    "a": ("bees", "wax", "honey honey flowers"),
    "b": ("flowers", "", "bees bees bees wax"),
    "c": ("", "bees", "honey"),
    "d": ("honey", "", ""),
}


def chunks() -> list[Placed]:
    placed = []
    for name, (title, headings, passage) in DOCUMENTS.items():
        lead = "".join(f"{line}\n" for line in (title, headings) if line)
        placed.append(Placed(Chunk(name, 0, lead + passage, len(lead)), title=title))
    return placed


def by_hand(word: str) -> dict[str, float]:
    """Lucene's BM25 of weighted frequencies and lengths, k1 = 1.2, b = 0.75."""
    weights = (2.0, 1.5, 1.0)
    tf = {
        name: sum(weight * field.split().count(word) for weight, field in zip(weights, fields, strict=True))
        for name, fields in DOCUMENTS.items()
    }
    length = {
        name: sum(weight * len(field.split()) for weight, field in zip(weights, fields, strict=True))
        for name, fields in DOCUMENTS.items()
    }
    average = sum(length.values()) / len(length)
    n = sum(frequency > 0 for frequency in tf.values())
    idf = math.log(1 + (len(tf) - n + 0.5) / (n + 0.5))
    return {
        name: idf * frequency / (frequency + 1.2 * (0.25 + 0.75 * length[name] / average))
        for name, frequency in tf.items()
        if frequency
    }


@pytest.mark.parametrize("word", ["bees", "honey", "wax", "flowers"])
def test_scores_are_those_of_the_formula(tmp_path: Path, word: str) -> None:
    settings = Bm25Settings(language="none", fields=FIELDS)
    analyser = Analyser.of(settings)
    build_file(tmp_path / "bm25.duckdb", chunks(), analyse=analyser)
    with Bm25Store.open(tmp_path / "bm25.duckdb") as store:
        leg = retrieve_bm25(store, [word], settings=settings, analyser=analyser, depth=10)
        ids = store.chunks(["document_id"])["document_id"].to_pylist()
    found = {ids[row["chunk_number"]]: row["score"] for row in leg.to_pylist()}
    assert found == pytest.approx(by_hand(word), rel=1e-6)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(
    "fields", [FIELDS, Bm25FieldsSettings(title=0.25, text=3.75), Bm25FieldsSettings(title=0.0), Bm25FieldsSettings()]
)
def test_they_are_rank_bm25s(tmp_path: Path, variant: Variant, fields: Bm25FieldsSettings) -> None:
    settings = Bm25Settings(language="english", variant=variant, fields=fields)
    analyser = Analyser.of(settings)
    queries = ["bees", "honey wax", "flowers of the bees bees"]
    build_file(tmp_path / "bm25.duckdb", chunks(), analyse=analyser)
    texts = {placed.chunk.chunk_hash: placed.chunk.text for placed in chunks()}

    def texts_of(hashes: pa.ChunkedArray) -> Mapping[str, str]:
        return {key: texts[key] for key in hashes.to_pylist()}

    with Bm25Store.open(tmp_path / "bm25.duckdb") as store:
        leg = retrieve_bm25(store, queries, settings=settings, analyser=analyser, depth=10)
        found = audit_bm25(
            store,
            queries,
            leg,
            texts_of=texts_of,
            settings=settings,
            analyser=analyser,
            depth=10,
            sample=100,
            generator=np.random.default_rng(0),
        )
    assert found.passed, found
    assert found.pairs == leg.num_rows


def test_weights_are_quarters() -> None:
    with pytest.raises(ValueError, match="multiple of"):
        Bm25FieldsSettings(title=1.1)
    with pytest.raises(ValueError, match="more than 0"):
        Bm25FieldsSettings(title=0.0, headings=0.0, text=0.0)
