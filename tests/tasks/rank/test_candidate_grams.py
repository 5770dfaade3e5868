"""Grams beside candidates: carried where they are known, looked for in texts where they are not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

from nightrank.storage.records import CANDIDATES
from nightrank.tasks.rank import candidate_grams, grams
from nightrank.tasks.rank.candidate_grams import PAIR_GRAMS, grams_of, of_this_version, texts_by_key, with_grams
from nightrank.tasks.rank.grams import GRAM_BITS, grams_in

if TYPE_CHECKING:
    from collections.abc import Sequence

QUERIES = {f"k{number}": query for number, query in enumerate(["read a file", "write", "???", "a table of files"])}
TEXTS = {f"h{number}": text for number, text in enumerate(["files are read", "write a table", "", "a", "tables"])}


class Texts:
    """Texts in another order than asked for; notes what is asked."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def rows(self, chunk_hashes: pa.Array, columns: Sequence[str]) -> pa.Table:
        assert columns == ["text"]
        self.asked.append(chunk_hashes.to_pylist())
        found = sorted(self.asked[-1], reverse=True)
        return pa.table({"chunk_hash": found, "text": pa.array([TEXTS[one] for one in found], pa.string())})


def pairs(count: int, *, seed: int = 0) -> pa.Table:
    """Pairs drawn at random, some of them more than once."""
    generator = np.random.default_rng(seed)
    keys, hashes = generator.choice(list(QUERIES), count), generator.choice(list(TEXTS), count)
    return pa.table({"query_key": pa.chunked_array([keys]), "chunk_hash": pa.chunked_array([hashes])})


def expected(of: pa.Table) -> list[bytes]:
    rows = of.to_pylist()
    queries = [QUERIES[row["query_key"]] for row in rows]
    texts = [TEXTS[row["chunk_hash"]] for row in rows]
    found: list[bytes] = grams_in(queries, texts, np.arange(len(rows)), np.arange(len(rows))).to_pylist()
    return found


@pytest.mark.parametrize("held", [1, 2, 1000])
def test_each_pair_has_its_own_grams_however_many_texts_are_held(held: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in ((candidate_grams, "QUERIES_HELD"), (candidate_grams, "TEXTS_HELD"), (grams, "TEXTS_A_TIME")):
        monkeypatch.setattr(module, name, held)
    wanted = pairs(60)
    found = with_grams(wanted, QUERIES, Texts())
    assert found.column("grams").to_pylist() == expected(wanted)
    assert found.select(["query_key", "chunk_hash"]) == wanted


def test_texts_of_known_pairs_are_not_asked_for() -> None:
    earlier, texts = pairs(12), Texts()
    known = with_grams(earlier, QUERIES, Texts()).cast(PAIR_GRAMS)
    assert grams_of(earlier, QUERIES, texts, known=known).to_pylist() == expected(earlier)
    assert texts.asked == []

    wanted = pairs(12, seed=1)
    assert grams_of(wanted, QUERIES, texts, known=known).to_pylist() == expected(wanted)
    have = set(map(tuple, zip(*earlier.to_pydict().values(), strict=True)))
    new = {text for key, text in zip(*wanted.to_pydict().values(), strict=True) if (key, text) not in have}
    assert {one for asked in texts.asked for one in asked} == new


def test_what_is_known_is_taken_as_it_is_but_for_nulls() -> None:
    known = pa.table(
        {"query_key": ["k0", "k1"], "chunk_hash": ["h0", "h1"], "grams": pa.array([b"\x01", None], GRAM_BITS)}
    )
    wanted = pa.table({"query_key": ["k1", "k0"], "chunk_hash": ["h1", "h0"]})
    assert grams_of(wanted, QUERIES, Texts(), known=known.cast(PAIR_GRAMS)).to_pylist() == [
        expected(wanted)[0],
        b"\x01",
    ]


def test_a_text_that_is_nowhere_is_an_error() -> None:
    class Nothing(Texts):
        def rows(self, chunk_hashes: pa.Array, columns: Sequence[str]) -> pa.Table:
            return super().rows(chunk_hashes, columns).slice(1)

    with pytest.raises(KeyError, match="h"):
        grams_of(pairs(12), QUERIES, Nothing())


def test_no_pair_has_no_grams() -> None:
    nothing = pairs(0).cast(pa.schema([("query_key", pa.string()), ("chunk_hash", pa.string())]))
    assert grams_of(nothing, QUERIES, Texts()).to_pylist() == []


def test_texts_of_queries_are_found_by_key() -> None:
    assert texts_by_key(pa.table({"query_key": ["k"], "text": ["t"], "filter": [None]})) == {"k": "t"}


def test_candidates_of_a_release_without_grams_are_written_like_others() -> None:
    fields = [field for field in CANDIDATES if field.name != "grams"]
    row = {field.name: "a" if pa.types.is_string(field.type) else 1 for field in fields}
    before = pa.Table.from_pylist([row], schema=pa.schema(fields))
    assert of_this_version(before).schema == CANDIDATES
    assert of_this_version(before).to_pylist() == [{**row, "grams": None}]
    known = before.append_column("grams", pa.array([b"\x80"], GRAM_BITS))
    assert of_this_version(known).column("grams").to_pylist() == [b"\x80"]
