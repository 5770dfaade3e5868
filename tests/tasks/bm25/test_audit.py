from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

from nightrank.storage.bm25.index import Bm25Store
from nightrank.storage.filters.allowed import AllowedChunks
from nightrank.storage.records import LEG, Chunk
from nightrank.tasks.bm25.audit import Bm25Audit, audit_bm25
from nightrank.tasks.bm25.retrieve import retrieve_bm25
from nightrank.tasks.filters.queries import QueryFilters
from nightrank.tasks.settings.index import Bm25Settings
from tests.support.bm25_collections import PLAIN, VARIANTS, Variant, build

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from nightrank.storage.bm25.fields import FieldWeights
    from nightrank.storage.bm25.terms import TextAnalyser

TEXTS = {"a": "x y y", "b": "x x z", "c": "y", "d": "x x x x y z w", "e": "v"}
QUERIES = ["x", "y z y", "w x y z", "u", "v v"]


def texts_of(hashes: pa.ChunkedArray) -> dict[str, str]:
    """What the chunks of ``TEXTS`` read, by their hashes."""
    read = {Chunk(document_id, 0, text, 0).chunk_hash: text for document_id, text in TEXTS.items()}
    return {chunk_hash: read[chunk_hash] for chunk_hash in hashes.to_pylist()}


def audited(
    store: Bm25Store,
    leg: pa.Table,
    settings: Bm25Settings,
    *,
    sample: int = 100,
    queries: Sequence[str] = QUERIES,
    analyser: TextAnalyser = PLAIN,
    depth: int = 10,
    texts: Callable[[pa.ChunkedArray], Mapping[str, str]] = texts_of,
    filters: QueryFilters | None = None,
) -> Bm25Audit:
    return audit_bm25(
        store,
        queries,
        leg,
        texts_of=texts,
        settings=settings,
        analyser=analyser,
        depth=depth,
        sample=sample,
        generator=np.random.default_rng(0),
        filters=filters,
    )


@pytest.mark.parametrize("variant", VARIANTS)
def test_right_scores_pass_and_wrong_ones_do_not(tmp_path: Path, variant: Variant) -> None:
    settings = Bm25Settings(variant=variant)
    with Bm25Store.open(build(tmp_path, TEXTS)) as store:
        leg = retrieve_bm25(store, QUERIES, settings=settings, analyser=PLAIN, depth=10)
        audit = audited(store, leg, settings)
        assert audit.pairs == leg.num_rows > 8
        assert audit.passed
        assert audit.largest_difference < 1e-6
        scores = leg["score"].to_numpy().copy()
        scores[3] += 0.001
        wrong = leg.set_column(2, LEG.field("score"), pa.array(scores))
        assert not audited(store, wrong, settings).passed


def test_another_variant_or_constant_does_not_pass(tmp_path: Path) -> None:
    with Bm25Store.open(build(tmp_path, TEXTS)) as store:
        leg = retrieve_bm25(store, QUERIES, settings=Bm25Settings(), analyser=PLAIN, depth=10)
        for settings in [Bm25Settings(k1=1.21), Bm25Settings(b=0.7), *map(_of, VARIANTS[1:])]:
            assert not audited(store, leg, settings).passed


def _of(variant: Variant) -> Bm25Settings:
    return Bm25Settings(variant=variant)


def test_a_result_that_shares_no_term_with_its_query_does_not_pass(tmp_path: Path) -> None:
    with Bm25Store.open(build(tmp_path, TEXTS)) as store:
        leg = pa.table([[0], [0], [0.0], [1]], schema=LEG)  # "u" is in no chunk
        found = audited(store, leg, Bm25Settings(), queries=["u"])
        assert found == Bm25Audit(1, 5, (), 0, math.inf, 1e-5, passed=False)


def test_no_more_than_the_sample_is_compared_and_an_empty_leg_of_unknown_words_passes(tmp_path: Path) -> None:
    settings = Bm25Settings()
    with Bm25Store.open(build(tmp_path, TEXTS)) as store:
        leg = retrieve_bm25(store, QUERIES, settings=settings, analyser=PLAIN, depth=10)
        assert audited(store, leg, settings, sample=4).pairs == 4
        nothing = audited(store, leg.slice(0, 0), settings, queries=["u"])
        assert nothing == Bm25Audit(0, 5, (), 0, 0.0, 1e-5, passed=True)


@dataclass(frozen=True)
class Swapped:
    """Says that it is the plain analysis, and reads one word as another."""

    old: str
    new: str

    languages: Sequence[str] = PLAIN.languages
    field_weights: FieldWeights = PLAIN.field_weights

    def marks(self) -> pa.Table:
        return PLAIN.marks()

    def place_of(self, declared: str, /) -> int | None:
        return PLAIN.place_of(declared)

    def split(self, texts: list[str], /) -> Sequence[Sequence[str]]:
        return PLAIN.split(texts)

    def __call__(self, words: list[str], _language: int, /) -> Sequence[str | None]:
        return [self.new if word == self.old else word for word in words]

    def fingerprint(self) -> str:
        return PLAIN.fingerprint()


@pytest.mark.parametrize("old", ["x", "v"])
def test_an_index_that_reads_chunks_in_another_way_than_queries_are_read_does_not_pass(
    tmp_path: Path, old: str
) -> None:
    settings = Bm25Settings()
    with Bm25Store.open(build(tmp_path, TEXTS)) as store:
        leg = retrieve_bm25(store, QUERIES, settings=settings, analyser=PLAIN, depth=10)
        for new in ("y", "unheard"):  # a term that chunks have, and one that the index has nowhere
            audit = audited(store, leg, settings, analyser=Swapped(old, new))
            assert not audit.passed
            assert set(audit.misread) == {"x": {"a#0", "b#0", "d#0"}, "v": {"e#0"}}[old]


def test_an_index_of_another_analysis_is_found_though_no_query_finds_anything_in_it(tmp_path: Path) -> None:
    settings = Bm25Settings()
    with Bm25Store.open(build(tmp_path, TEXTS)) as store:
        nothing = LEG.empty_table()
        audit = audited(store, nothing, settings, analyser=Swapped("v", "y"), queries=["u"])
        assert (audit.pairs, audit.misread, audit.passed) == (0, ("e#0",), False)


def test_a_chunk_whose_text_is_gone_or_another_does_not_pass(tmp_path: Path) -> None:
    settings = Bm25Settings()
    with Bm25Store.open(build(tmp_path, TEXTS)) as store:
        leg = retrieve_bm25(store, QUERIES, settings=settings, analyser=PLAIN, depth=10)
        lost = next(iter(texts_of(pa.array([Chunk("c", 0, "y", 0).chunk_hash]))))
        for change in ({}, {lost: "y y"}, {lost: "y w"}):
            texts = {**texts_of(store.chunks(["chunk_hash"])["chunk_hash"])}
            del texts[lost]
            audit = audited(store, leg, settings, texts=lambda _, texts=texts | change: texts)  # type: ignore[misc]
            assert (audit.misread, audit.passed) == (("c#0",), False)


@pytest.mark.long
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("depth", [2, 10])
def test_a_chunk_that_belongs_among_the_found_and_is_not_there_does_not_pass(
    tmp_path: Path, variant: Variant, depth: int
) -> None:
    settings = Bm25Settings(variant=variant)
    with Bm25Store.open(build(tmp_path, TEXTS)) as store:
        leg = retrieve_bm25(store, QUERIES, settings=settings, analyser=PLAIN, depth=depth)
        assert audited(store, leg, settings, depth=depth).passed
        for number in range(leg.num_rows):
            lost = pa.concat_tables([leg.slice(0, number), leg.slice(number + 1)])
            audit = audited(store, lost, settings, depth=depth)
            assert (audit.missed > 0, audit.passed) == (True, False)


def test_a_worse_chunk_in_the_place_of_a_better_one_does_not_pass(tmp_path: Path) -> None:
    settings = Bm25Settings()
    with Bm25Store.open(build(tmp_path, TEXTS)) as store:
        leg = retrieve_bm25(store, ["x"], settings=settings, analyser=PLAIN, depth=10)
        assert leg.num_rows == 3
        assert audited(store, leg.slice(0, 2), settings, queries=["x"], depth=2).passed
        worse = audited(store, leg.slice(1, 2), settings, queries=["x"], depth=2)
        assert (worse.missed, worse.passed) == (1, False)


@pytest.mark.long
def test_queries_that_were_analysed_otherwise_than_the_index_do_not_pass(tmp_path: Path) -> None:
    settings = Bm25Settings()
    with Bm25Store.open(build(tmp_path, TEXTS)) as store:
        leg = retrieve_bm25(store, ["v v"], settings=settings, analyser=Swapped("v", "unheard"), depth=10)
        assert leg.num_rows == 0
        audit = audited(store, leg, settings, queries=["v v"])
        assert (audit.missed, audit.passed) == (1, False)


def test_a_chunk_that_a_filter_keeps_out_is_not_missed_and_one_that_it_lets_through_is(tmp_path: Path) -> None:
    settings = Bm25Settings()
    with Bm25Store.open(build(tmp_path, TEXTS)) as store:
        allowed = np.array([True, False] * store.chunk_count)[: store.chunk_count]
        sets = AllowedChunks.of({"odd": allowed}, chunk_count=store.chunk_count)
        filters = QueryFilters(["odd"] * len(QUERIES), sets)
        leg = retrieve_bm25(store, QUERIES, settings=settings, analyser=PLAIN, depth=10, allowed=allowed)
        assert leg.num_rows > 2
        assert audited(store, leg, settings, filters=filters).passed
        assert not audited(store, leg, settings).passed
        assert audited(store, leg.slice(1), settings, filters=filters).missed == 1
