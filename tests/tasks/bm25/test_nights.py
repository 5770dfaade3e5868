"""The lexical leg's statistics from night to night equal those of a build from nothing."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import nightrank.storage.bm25.compact
from nightrank.storage.bm25.index import Bm25Store
from nightrank.storage.files.database import connect
from nightrank.storage.records import Chunk
from nightrank.tasks.bm25.retrieve import retrieve_bm25
from nightrank.tasks.settings.index import Bm25Settings
from tests.support.bm25_collections import PLAIN, Variant
from tests.support.bm25_files import Placed, Texts, build

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

QUERIES = ["x", "y z y", "w x y z", "new u", "v v x w z", "?"]


class Document(NamedTuple):
    texts: Sequence[str]
    metadata: str


# Few ids and few texts, so that nights share most of them, swap them and repeat them.
TEXTS = ["", "x", "x y", "y y z", "z w x x", "v", "w u u u", "x y z w v u", "?!"]
COLLECTIONS = st.dictionaries(
    st.sampled_from("abcdef"),
    st.builds(Document, st.lists(st.sampled_from(TEXTS), max_size=4), st.sampled_from(['{"n":1}', '{"n":2}'])),
)


def chunks_of(collection: Mapping[str, Document]) -> list[Placed]:
    return [
        Placed(Chunk(document_id, ordinal, text, 0), f"Title {document.metadata}", document.metadata)
        for document_id, document in collection.items()
        for ordinal, text in enumerate(document.texts)
    ]


def contents(path: Path) -> dict[str, Any]:
    """All that a file says, in words of the collection; where postings lie is left out, and checked for sense."""
    with closing(connect(path, read_only=True)) as connection:

        def rows(query: str) -> list[tuple[Any, ...]]:
            return connection.execute(query).fetchall()

        slots = [slot for (slot,) in rows("SELECT slot FROM chunks")]
        term_slots = [slot for (slot,) in rows("SELECT term_slot FROM terms")]
        assert len(set(slots)) == len(slots)
        assert len(set(term_slots)) == len(term_slots)
        postings = rows("SELECT term_slot, slot, tf FROM postings")
        # Nothing of what is gone is left: no posting without a chunk and a term, no term without a posting.
        assert {slot for _, slot, _ in postings} <= set(slots)
        assert {term for term, _, _ in postings} == set(term_slots)
        named = rows("SELECT chunk_id, term, tf FROM postings JOIN chunks USING (slot) JOIN terms USING (term_slot)")
        frequencies = {(chunk_id, term): tf for chunk_id, term, tf in named}
        assert len(frequencies) == len(postings)
        return {
            "chunks": rows("SELECT * EXCLUDE (slot) FROM chunks ORDER BY chunk_number"),
            "terms": rows("SELECT * EXCLUDE (term_slot) FROM terms ORDER BY term_number"),
            "postings": frequencies,
            "statistics": rows("SELECT * EXCLUDE (ordered_slots) FROM statistics"),
        }


def rankings(path: Path, variant: Variant, *, every: int) -> list[tuple[int, int, bytes, int]]:
    """The leg of a variant, among the chunks whose number `every` divides."""
    with Bm25Store.open(path) as store:
        leg = retrieve_bm25(
            store,
            QUERIES,
            settings=Bm25Settings(variant=variant),
            analyser=PLAIN,
            depth=9,
            allowed=np.arange(store.chunk_count) % every == 0,
        )
    scores = [score.tobytes() for score in leg["score"].to_numpy()]  # to the last bit
    columns = [leg["query_number"].to_pylist(), leg["chunk_number"].to_pylist(), scores, leg["rank"].to_pylist()]
    return list(zip(*columns, strict=True))


def words_in(chunks: Sequence[Placed]) -> int:
    return sum(len({word for word in placed.chunk.text.split() if word.isalnum()}) for placed in chunks)


@pytest.mark.long
@pytest.mark.parametrize("disorder", [nightrank.storage.bm25.compact.DISORDER, 1000.0])
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(nights=st.lists(COLLECTIONS, min_size=2, max_size=4))
def test_every_night_equals_a_build_from_nothing(
    tmp_path: Path, disorder: float, nights: list[dict[str, Document]]
) -> None:
    before: Path | None = None
    yesterday: list[Placed] = []
    with (
        patch("nightrank.storage.bm25.compact.DISORDER", disorder),
        patch("nightrank.storage.bm25.index.SLOTS_PER_BLOCK", 3),
    ):
        for number, collection in enumerate(nights):
            chunks = chunks_of(collection)
            path = tmp_path / f"night-{number}.duckdb"
            counts = build(path, chunks, analyse=PLAIN, before=before)
            fresh = build(tmp_path / "fresh.duckdb", chunks, analyse=PLAIN)
            assert contents(path) == contents(tmp_path / "fresh.duckdb")
            assert (counts.chunks, counts.terms, counts.postings, counts.total_length) == (
                *(fresh.chunks, fresh.terms, fresh.postings, fresh.total_length),
            )
            assert rankings(path, "lucene", every=1) == rankings(tmp_path / "fresh.duckdb", "lucene", every=1)
            assert rankings(path, "okapi", every=2) == rankings(tmp_path / "fresh.duckdb", "okapi", every=2)
            # A text said as often as yesterday costs nothing, wherever it stands.
            was, now = (Counter(placed.chunk.text for placed in some) for some in (yesterday, chunks))
            come, gone = ([*(one - other).elements()] for one, other in ((now, was), (was, now)))
            assert counts.postings_written == words_in([Placed(Chunk("", 0, text, 0)) for text in come])
            assert counts.postings_removed == words_in([Placed(Chunk("", 0, text, 0)) for text in gone])
            before, yesterday = path, chunks


def test_what_comes_when_the_last_chunk_is_gone_does_not_lie_among_the_postings_in_order(tmp_path: Path) -> None:
    chunks = [Placed(Chunk(f"d{number:02}", 0, f"x z w{number}", 0)) for number in range(20)]
    build(tmp_path / "first.duckdb", chunks, analyse=PLAIN)
    build(
        tmp_path / "second.duckdb", chunks[1:], analyse=PLAIN, before=tmp_path / "first.duckdb"
    )  # without the last slot
    chunks[0] = Placed(Chunk("d00", 0, "v x z", 0))
    path = tmp_path / "third.duckdb"
    build(path, chunks, analyse=PLAIN, before=tmp_path / "second.duckdb")
    build(tmp_path / "fresh.duckdb", chunks, analyse=PLAIN)
    with closing(connect(path, read_only=True)) as connection:
        assert connection.execute("SELECT max(slot) FROM chunks").fetchall() == [(20,)]  # so it was not written anew
    assert rankings(path, "lucene", every=1) == rankings(tmp_path / "fresh.duckdb", "lucene", every=1)


def random_text(generator: np.random.Generator) -> str:
    """Fifty words of a large vocabulary; the frequent ones are in most texts."""
    return " ".join(f"w{rank}" for rank in np.minimum(generator.zipf(1.15, size=50), 50_000))


@pytest.mark.long
def test_a_file_stays_nearly_as_small_as_one_that_is_built_from_nothing(tmp_path: Path) -> None:
    generator = np.random.default_rng(3)
    chunks = [Placed(Chunk(f"d{place:05}", 0, random_text(generator), 0)) for place in range(15_000)]
    before: Path | None = None
    sizes = []
    for number in range(6):
        path = tmp_path / f"night-{number}.duckdb"
        build(path, chunks, analyse=PLAIN, before=before, texts=Texts(chunks, batch_rows=5000))
        before = path
        sizes.append(path.stat().st_size)
        for place in generator.choice(len(chunks), size=1500, replace=False):
            chunks[place] = Placed(Chunk(f"d{place:05}", 0, random_text(generator), 0))
    assert max(sizes) <= 1.3 * sizes[0]
