from __future__ import annotations

import re
import unicodedata
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nightrank.storage.bm25.build import Bm25Counts
from nightrank.storage.bm25.index import CHUNK_COLUMNS, Bm25Store, ChunkSlots
from nightrank.storage.errors import MachineError
from tests.support.bm25_files import Words, placed
from tests.support.bm25_files import build as build_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray


def build(folder: Path, texts: Sequence[tuple[str, int, str]], *, analyse: Words) -> tuple[Path, Bm25Counts]:
    path = folder / "bm25.duckdb"
    return path, build_file(path, placed(texts), analyse=analyse)


def postings_at_all(store: Bm25Store, terms: NDArray[np.int32]) -> pa.Table:
    return store.postings_at(terms, np.arange(store.chunk_count, dtype=np.int32))


def postings_by_term(store: Bm25Store, words: Sequence[str], *, analyse: Words) -> dict[str, dict[int, int]]:
    """Each word's tf by chunk number, found by asking for the word."""
    found = {}
    for word in words:
        terms = store.query_terms([word], analyse=analyse)["term_number"].to_numpy()
        table = postings_at_all(store, terms)
        found[word] = dict(zip(table["chunk_number"].to_pylist(), table["tf"].to_pylist(), strict=True))
    return found


def test_what_is_stored_is_what_a_person_counts(tmp_path: Path) -> None:
    analyse = Words(frozenset({"the"}))
    texts = [("a", 0, "The cat saw the CAT."), ("b", 1, "a dog"), ("b", 0, "cat: dog, dog!"), ("c", 0, "—")]
    path, counts = build(tmp_path, texts, analyse=analyse)
    # Terms: a, cat, dog, saw. Without "the": a#0 has cat x2, saw; b#0 cat, dog x2; b#1 a, dog; c#0 nothing.
    assert counts == Bm25Counts(4, 4, 6, total_length=8, postings_written=6, postings_removed=0)
    with Bm25Store.open(path) as store:
        chunks = store.chunks()
        # Document id descending, then ordinal ascending.
        assert chunks["chunk_id"].to_pylist() == ["c#0", "b#0", "b#1", "a#0"]
        assert chunks["chunk_number"].to_pylist() == [0, 1, 2, 3]
        assert chunks["length"].to_pylist() == [0, 3, 2, 3] == store.lengths().tolist()
        assert set(chunks["title"].to_pylist()) == {"A title"}
        assert set(chunks["metadata"].to_pylist()) == {'{"n":1}'}
        assert (store.chunk_count, store.total_length, store.average_length) == (4, 8, 2.0)
        assert store.chunk_counts().tolist() == [1, 2, 2, 1]  # a, cat, dog, saw
        assert postings_by_term(store, ["cat", "dog", "the", "horse"], analyse=analyse) == {
            "cat": {1: 1, 3: 2},
            "dog": {1: 2, 2: 1},
            "the": {},
            "horse": {},
        }
        assert tuple(chunks.column_names) == CHUNK_COLUMNS
        assert store.chunks(["title", "chunk_id"]) == chunks.select(["title", "chunk_id"])


def test_chunks_are_told_in_the_order_in_which_they_are_asked_for(tmp_path: Path) -> None:
    path, _ = build(tmp_path, [(f"d{n}", 0, "word") for n in range(5)], analyse=Words())
    with Bm25Store.open(path) as store:
        found = store.chunks_at(np.array([3, 0, 3], dtype=np.int32), ["document_id", "chunk_number"])  # d4 is chunk 0
        assert found.to_pydict() == {"document_id": ["d1", "d4", "d1"], "chunk_number": [3, 0, 3]}
        nothing = store.chunks_at(np.zeros(0, dtype=np.int32), ["chunk_id"])
        assert (nothing.num_rows, nothing.schema) == (0, store.chunks(["chunk_id"]).schema)


def test_a_document_with_several_chunks_counts_once(tmp_path: Path) -> None:
    path, _ = build(tmp_path, [("a", 0, "one"), ("b", 0, "two"), ("b", 1, "three")], analyse=Words())
    with Bm25Store.open(path) as store:
        assert store.document_count() == 2


def test_single_chunks_can_be_asked_for(tmp_path: Path) -> None:
    path, _ = build(tmp_path, [(f"d{n}", 0, "word " * (n + 1)) for n in range(5)], analyse=Words())
    with Bm25Store.open(path) as store:
        word = store.query_terms(["word"], analyse=Words())["term_number"].to_numpy()
        table = store.postings_at(word, np.array([4, 0], dtype=np.int32)).sort_by("chunk_number")  # d4 is chunk 0
        assert table.to_pydict() == {
            "term_number": [0, 0],
            "chunk_number": [0, 4],
            "tf": [5, 1],
            "length": [5, 1],
        }


def test_blocks_hold_every_posting_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nightrank.storage.bm25.index.SLOTS_PER_BLOCK", 2)
    path, _ = build(tmp_path, [(f"d{n}", 0, "word " * (n + 1)) for n in range(5)], analyse=Words())
    with Bm25Store.open(path) as store:
        blocks = list(store.posting_blocks(np.array([0], dtype=np.int32)))
    assert [block.chunk_numbers.size for block in blocks] == [2, 2, 1]
    found = {}
    for block in blocks:
        for term_slot, slot, tf in (row for part in block.postings for row in zip(*part, strict=True)):
            assert block.places[term_slot] == 0
            column = slot - block.first_slot
            assert block.lengths[column] == tf
            found[int(block.chunk_numbers[column])] = tf
    assert found == {0: 5, 1: 4, 2: 3, 3: 2, 4: 1}


@pytest.mark.parametrize("chosen", [[0, 1, 2, 3, 4], [3, 1], [4], []])
def test_blocks_of_some_chunks_number_them_by_their_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chosen: list[int]
) -> None:
    monkeypatch.setattr("nightrank.storage.bm25.index.SLOTS_PER_BLOCK", 2)
    path, _ = build(tmp_path, [(f"d{n}", 0, "word " * (n + 1)) for n in range(5)], analyse=Words())
    with Bm25Store.open(path) as store:
        chunks = ChunkSlots(store.slots()[chosen], store.lengths()[chosen])
        blocks = list(store.posting_blocks(np.array([0], dtype=np.int32), chunks))
    found = {}
    for block in blocks:
        assert block.first_slot // 2 == (block.first_slot + block.chunk_numbers.size - 1) // 2  # within one on disk
        for _, slot, tf in (row for part in block.postings for row in zip(*part, strict=True)):
            if (number := block.chunk_numbers[slot - block.first_slot]) >= 0:
                found[int(number)] = tf
    assert found == {place: 5 - number for place, number in enumerate(chosen)}


def test_readers_of_chunks_stream_side_by_side_in_order(tmp_path: Path) -> None:
    path, _ = build(tmp_path, [(f"d{n}", 0, "x") for n in range(5)], analyse=Words())
    with Bm25Store.open(path) as store:
        ids, ordinals = store.chunk_reader(["document_id"]), store.chunk_reader(["ordinal", "chunk_number"])
        assert ordinals.schema.names == ["ordinal", "chunk_number"]
        assert ids.read_next_batch().column(0).to_pylist() == ["d4", "d3", "d2", "d1", "d0"]
        assert ordinals.read_all()["chunk_number"].to_pylist() == [0, 1, 2, 3, 4]
        assert store.chunk_count == store.chunks().num_rows


def test_document_ids_are_ordered_by_code_point(tmp_path: Path) -> None:
    ids = ["Z", "a", "é", "10", "9", "😀", "\uffee"]  # U+1F600 sorts above U+FFEE, unlike in UTF-16
    path, _ = build(tmp_path, [(name, 0, "x") for name in ids], analyse=Words())
    with Bm25Store.open(path) as store:
        assert store.chunks()["document_id"].to_pylist() == sorted(ids, reverse=True)


def test_queries_are_split_and_counted_as_documents_are(tmp_path: Path) -> None:
    path, _ = build(tmp_path, [("d", 0, "snake_case don't C3PO x² ﬁne STRASSE")], analyse=Words())
    queries = ["Snake CASE snake", "dont", "c3po t", "x2 fine straße", ""]
    with Bm25Store.open(path) as store:
        terms = store.query_terms(queries, analyse=Words())
        assert terms.schema.types == [pa.int32()] * 3
        # In code-point order: c3po 0, case 1, don 2, fine 3, snake 4, strasse 5, t 6, x2 7; "dont" is none of them.
        assert terms.to_pydict() == {
            "query_number": [0, 0, 2, 2, 3, 3, 3],
            "term_number": [1, 4, 0, 6, 3, 5, 7],
            "qtf": [1, 2, 1, 1, 1, 1, 1],
        }


def test_scripts_without_spaces_are_split_by_the_analysis_and_vowel_signs_stay_in_their_words(tmp_path: Path) -> None:
    path, counts = build(tmp_path, [("d", 0, "東京タワーへ行く हिन्दी")], analyse=Words())
    assert counts.total_length == len(["東", "京", "タ", "ワ", "ー", "へ", "行", "く", "हिन्दी"])
    with Bm25Store.open(path) as store:
        assert store.query_terms(["京 हिन्दी タ"], analyse=Words()).num_rows == 3


ALPHABET = "aBcé ßﬁ²½漢かİΣσ'_-.,\n\t0٣̈😀;"


def words_of(text: str) -> Counter[str]:
    """The words of a text by another route: character by character, with Python's idea of Unicode."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).replace("i\u0307", "i")
    spaced = "".join(f" {char} " if char in "漢か" else char for char in folded.replace("٣", "3"))
    kept = "".join(char if unicodedata.category(char)[0] in "LNM" else " " for char in spaced)
    words = [re.sub(r"^[\u0300-\u036f]+", "", word) for word in kept.split()]
    return Counter(word for word in words if word)


@pytest.mark.long
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    documents=st.lists(st.text(ALPHABET, max_size=30), min_size=1, max_size=6),
    queries=st.lists(st.text(ALPHABET, max_size=12), max_size=4),
)
def test_statistics_equal_a_plain_count_and_queries_are_counted_alike(
    tmp_path: Path, documents: list[str], queries: list[str]
) -> None:
    path, counts = build(tmp_path, [(f"d{n}", 0, text) for n, text in enumerate(documents)], analyse=Words())
    expected = [words_of(text) for text in reversed(documents)]  # chunk 0 is the highest id
    with Bm25Store.open(path) as store:
        assert store.lengths().tolist() == [count.total() for count in expected]
        assert counts.postings == sum(len(count) for count in expected)
        vocabulary = sorted(set().union(*expected))
        assert store.chunk_counts().tolist() == [sum(word in count for count in expected) for word in vocabulary]
        terms = store.query_terms(queries, analyse=Words())
        asked = [
            (query, vocabulary.index(word), occurrences)
            for query, text in enumerate(queries)
            for word, occurrences in sorted(words_of(text).items())
            if word in vocabulary
        ]
        assert list(zip(*(column.to_pylist() for column in terms.columns), strict=True)) == asked
        everything = postings_at_all(store, np.arange(len(vocabulary), dtype=np.int32))
        assert sorted(zip(*(column.to_pylist() for column in everything.columns), strict=True)) == sorted(
            (vocabulary.index(word), chunk, tf, count.total())
            for chunk, count in enumerate(expected)
            for word, tf in count.items()
        )


def test_sql_in_texts_ids_and_paths_is_plain_text(tmp_path: Path) -> None:
    attack = "'; DROP TABLE chunks; --"
    folder = tmp_path / "it's [a] *; DROP"
    folder.mkdir()
    path, counts = build(folder, [(attack, 0, attack), ("$analysis", 0, "\"';\0")], analyse=Words())
    assert counts.chunks == 2
    with Bm25Store.open(path) as store:
        assert attack in store.chunks()["document_id"].to_pylist()
        assert store.query_terms([attack], analyse=Words())["qtf"].to_pylist() == [1, 1, 1]  # chunks, drop, table


def test_queries_analysed_in_another_way_are_refused(tmp_path: Path) -> None:
    path, _ = build(tmp_path, [("d", 0, "x")], analyse=Words())
    with Bm25Store.open(path) as store, pytest.raises(MachineError, match="another way"):
        store.query_terms(["x"], analyse=Words(frozenset({"y"})))


def test_two_chunks_of_one_id_are_refused_and_leave_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="two chunks of one id"):
        build(tmp_path, [("d", 0, "x"), ("d", 0, "y")], analyse=Words())
    assert [path.name for path in tmp_path.iterdir()] == ["bm25.parquet"]


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="is not there"):
        Bm25Store.open(tmp_path / "bm25.duckdb")


def test_postings_of_another_layout_are_refused_and_its_chunks_are_not(tmp_path: Path) -> None:
    path, _ = build(tmp_path, [("d", 0, "x")], analyse=Words())
    with closing(duckdb.connect(str(path))) as connection:
        connection.execute("ALTER TABLE statistics DROP layout")
    with Bm25Store.open(path) as store:
        assert store.chunks(["chunk_id"])["chunk_id"].to_pylist() == ["d#0"]
        with pytest.raises(MachineError, match="laid out in another way"):
            store.query_terms(["x"], analyse=Words())


def test_a_collection_may_be_empty(tmp_path: Path) -> None:
    path, counts = build(tmp_path, [], analyse=Words())
    assert counts == Bm25Counts(0, 0, 0, 0, 0, 0)
    with Bm25Store.open(path) as store:
        assert store.average_length == 0.0
        assert store.query_terms(["x"], analyse=Words()).num_rows == 0
        assert store.chunks().num_rows == 0
        assert list(store.posting_blocks(np.zeros(0, dtype=np.int32))) == []


def test_only_the_finished_file_is_left_and_an_old_one_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "bm25.duckdb").write_text("old")
    path, _ = build(tmp_path, [("d", 0, "x")], analyse=Words())
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["bm25.duckdb", "bm25.parquet"]
    with Bm25Store.open(path) as store:
        assert store.chunk_count == 1


def test_the_same_chunks_in_another_order_give_the_same_numbers(tmp_path: Path) -> None:
    texts = [(f"d{n % 7}", n // 7, f"w{n % 5} w{n % 3} x") for n in range(40)]
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    one, _ = build(tmp_path / "one", texts, analyse=Words())
    two, _ = build(tmp_path / "two", texts[::-1], analyse=Words())
    with Bm25Store.open(one) as first, Bm25Store.open(two) as second:
        assert first.chunks() == second.chunks()
        assert first.chunk_counts().tolist() == second.chunk_counts().tolist()
