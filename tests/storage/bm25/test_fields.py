"""Weighted fields: frequencies and lengths by hand, and a file that grows ends as one that is built from nothing."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import numpy as np
import pytest

from nightrank.storage.bm25.fields import PLAIN, FieldWeights
from nightrank.storage.bm25.index import CHUNK_COLUMNS, Bm25Store
from nightrank.storage.records import Chunk
from tests.support.bm25_files import Placed, Texts, Words, build

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TWICE = FieldWeights(title=8, headings=6, text=4)  # 2, 1.5 and 1
TITLE, HEADINGS, BODY = "Red bees", "Hives > Red wax", "The wax of bees is red. Bees dance."


def chunk(
    document_id: str, *, title: str = TITLE, headings: str = HEADINGS, body: str = BODY, ordinal: int = 0
) -> Placed:
    lead = "".join(f"{line}\n" for line in (title, headings) if line)
    return Placed(Chunk(document_id, ordinal, lead + body, len(lead)), title=title)


def frequencies(store: Bm25Store, words: Sequence[str], *, analyse: Words) -> dict[str, dict[str, int]]:
    """By chunk id and word."""
    ids = store.chunks(["chunk_id"])["chunk_id"].to_pylist()
    found: dict[str, dict[str, int]] = {name: {} for name in ids}
    for word in words:
        terms = store.query_terms([word], analyse=analyse)["term_number"].to_numpy()
        table = store.postings_at(terms, np.arange(store.chunk_count, dtype=np.int32)).to_pylist()
        for row in table:
            found[ids[row["chunk_number"]]][word] = row["tf"]
    return found


def test_a_word_counts_by_the_field_that_it_is_in(tmp_path: Path) -> None:
    analyse = Words(field_weights=TWICE)
    chunks = [
        chunk("whole"),
        chunk("untitled", title=""),
        chunk("plain", title="", headings=""),
        chunk("bare", body=""),
    ]
    build(tmp_path / "bm25.duckdb", chunks, analyse=analyse)
    with Bm25Store.open(tmp_path / "bm25.duckdb") as store:
        found = frequencies(store, ["red", "bees", "wax", "hives", "dance"], analyse=analyse)
        lengths = dict(zip(store.chunks(["chunk_id"])["chunk_id"].to_pylist(), store.lengths().tolist(), strict=True))
    assert found["whole#0"] == {"red": 8 + 6 + 4, "bees": 8 + 4 + 4, "wax": 6 + 4, "hives": 6, "dance": 4}
    assert found["untitled#0"] == {"red": 6 + 4, "bees": 4 + 4, "wax": 6 + 4, "hives": 6, "dance": 4}
    assert found["plain#0"] == {"red": 4, "bees": 8, "wax": 4, "dance": 4}
    assert found["bare#0"] == {"red": 8 + 6, "bees": 8, "wax": 6, "hives": 6}
    assert lengths == {"whole#0": 2 * 8 + 3 * 6 + 8 * 4, "untitled#0": 3 * 6 + 32, "plain#0": 32, "bare#0": 16 + 18}


def test_a_field_that_counts_nothing_is_not_found(tmp_path: Path) -> None:
    analyse = Words(field_weights=FieldWeights(title=0, headings=0, text=4))
    build(tmp_path / "bm25.duckdb", [chunk("a"), chunk("b", body="wax")], analyse=analyse)
    with Bm25Store.open(tmp_path / "bm25.duckdb") as store:
        assert frequencies(store, ["hives", "wax"], analyse=analyse) == {"b#0": {"wax": 4}, "a#0": {"wax": 4}}


def test_the_same_text_in_other_fields_counts_otherwise(tmp_path: Path) -> None:
    analyse = Words(field_weights=TWICE)
    text = f"{TITLE}\n{BODY}"
    chunks = [
        Placed(Chunk("titled", 0, text, len(TITLE) + 1), title=TITLE),
        Placed(Chunk("body", 0, text, 0), title=""),
        Placed(Chunk("headed", 0, text, len(TITLE) + 1), title=""),
    ]
    texts = Texts(chunks)
    build(tmp_path / "bm25.duckdb", chunks, analyse=analyse, texts=texts)
    assert texts.asked == [text]
    with Bm25Store.open(tmp_path / "bm25.duckdb") as store:
        found = frequencies(store, ["bees"], analyse=analyse)
    assert found == {"titled#0": {"bees": 16}, "headed#0": {"bees": 14}, "body#0": {"bees": 12}}


@pytest.mark.parametrize("seed", range(12))
def test_any_history_ends_where_a_rebuild_ends(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    analyse = Words(field_weights=TWICE)
    words = ["red", "bees", "wax", "hives", "dance"]
    path, rebuilt = tmp_path / "nightly.duckdb", tmp_path / "rebuilt.duckdb"
    for night in range(6):
        chunks = [
            chunk(
                name,
                title=draw.choice(["", "Red", "Bees"]),
                headings=draw.choice(["", "Wax", "Hives > Wax"]),
                body=" ".join(draw.choices(words, k=draw.randrange(4))),
            )
            for name in draw.sample("abcdefgh", draw.randrange(1, 8))
        ]
        chunks = [each for each in chunks if each.chunk.text]
        build(path, chunks, analyse=analyse, before=path if night else None)
    build(rebuilt, chunks, analyse=analyse)
    with Bm25Store.open(path) as grown, Bm25Store.open(rebuilt) as anew:
        assert grown.chunks(CHUNK_COLUMNS).equals(anew.chunks(CHUNK_COLUMNS))
        assert grown.chunk_counts().tolist() == anew.chunk_counts().tolist()
        assert grown.total_length == anew.total_length
        assert frequencies(grown, words, analyse=analyse) == frequencies(anew, words, analyse=analyse)


def test_other_weights_are_another_analysis(tmp_path: Path) -> None:
    path = tmp_path / "bm25.duckdb"
    build(path, [chunk("a")], analyse=Words())
    again = build(path, [chunk("a")], analyse=Words(field_weights=TWICE), before=path)
    assert again.postings_written > 0
    assert (PLAIN.unit, TWICE.unit) == (1, 4)
