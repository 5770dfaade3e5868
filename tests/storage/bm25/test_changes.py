from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pytest

from nightrank.storage.bm25.build import Bm25Counts, build_bm25
from nightrank.storage.bm25.index import Bm25Store
from nightrank.storage.errors import MachineError
from nightrank.storage.files.database import connect
from nightrank.storage.records import Chunk
from tests.support.bm25_files import Placed, Texts, Words, build, chunks_file, placed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

# Terms: a 3, b 2, c 2, d 1; 8 postings.
YESTERDAY = [("k", 0, "a b"), ("k", 1, "a c c"), ("m", 0, "a b d"), ("n", 0, "c")]


def nights(
    folder: Path, yesterday: Sequence[Placed], tonight: Sequence[Placed], *, analyse: Words | None = None
) -> tuple[Bm25Counts, Texts]:
    """Builds before.duckdb, then after.duckdb from it; what the second took, and the texts that it read."""
    build(folder / "before.duckdb", yesterday, analyse=Words())
    texts = Texts(tonight)
    before = folder / "before.duckdb"
    counts = build(folder / "after.duckdb", tonight, analyse=analyse or Words(), before=before, texts=texts)
    return counts, texts


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    with closing(connect(path, read_only=True)) as connection:
        return connection.execute(query).fetchall()


def test_a_night_without_a_change_writes_no_posting_and_reads_no_text(tmp_path: Path) -> None:
    counts, texts = nights(tmp_path, placed(YESTERDAY), placed(YESTERDAY))
    assert counts == Bm25Counts(4, 4, 8, total_length=9, postings_written=0, postings_removed=0)
    assert texts.asked == []


def test_an_edited_chunk_costs_its_own_text_and_postings_alone(tmp_path: Path) -> None:
    edited = [*YESTERDAY[:2], ("m", 0, "a e e f g"), YESTERDAY[3]]
    counts, texts = nights(tmp_path, placed(YESTERDAY), placed(edited))
    assert texts.asked == ["a e e f g"]
    # a 3, b 1, c 2, e, f, g; d is gone.
    assert counts == Bm25Counts(4, 6, 9, total_length=11, postings_written=4, postings_removed=3)
    with Bm25Store.open(tmp_path / "after.duckdb") as store:
        assert store.chunk_counts().tolist() == [3, 1, 2, 1, 1, 1]
        assert store.chunks(["chunk_id", "length"]).to_pydict() == {
            "chunk_id": ["n#0", "m#0", "k#0", "k#1"],
            "length": [1, 5, 2, 3],
        }


@pytest.mark.parametrize(
    "tonight",
    [
        pytest.param([("k", 1, "a b"), ("k", 2, "a c c"), *YESTERDAY[2:]], id="ordinals shift"),
        pytest.param([*YESTERDAY[:3], ("z", 0, "c")], id="a document has another name"),
        pytest.param([("n", 0, "a b"), YESTERDAY[1], YESTERDAY[2], ("k", 0, "c")], id="texts change places"),
    ],
)
def test_a_text_that_moves_costs_no_posting(tmp_path: Path, tonight: list[tuple[str, int, str]]) -> None:
    counts, texts = nights(tmp_path, placed(YESTERDAY), placed(tonight))
    assert (counts.postings_written, counts.postings_removed, texts.asked) == (0, 0, [])
    expected = sorted((f"{document_id}#{ordinal}", len(text.split())) for document_id, ordinal, text in tonight)
    found = "SELECT chunk_id, length FROM chunks ORDER BY chunk_id"
    assert rows(tmp_path / "after.duckdb", found) == expected


def test_an_edit_of_metadata_or_title_costs_no_posting_and_is_seen(tmp_path: Path) -> None:
    renamed = [Placed(chunk.chunk, "Another", '{"n":2}') for chunk in placed(YESTERDAY)]
    counts, texts = nights(tmp_path, placed(YESTERDAY), renamed)
    assert (counts.postings_written, counts.postings_removed, texts.asked) == (0, 0, [])
    with Bm25Store.open(tmp_path / "after.duckdb") as store:
        assert set(store.chunks()["title"].to_pylist()) == {"Another"}
        assert set(store.chunks()["metadata"].to_pylist()) == {'{"n":2}'}


def test_a_copy_is_read_once_and_one_that_goes_leaves_the_other(tmp_path: Path) -> None:
    copies = [*YESTERDAY, ("x", 0, "a e"), ("y", 0, "a e"), ("z", 0, "a b")]
    counts, texts = nights(tmp_path, placed(YESTERDAY), placed(copies))
    assert sorted(texts.asked) == ["a b", "a e"]
    assert (counts.postings_written, counts.postings_removed) == (6, 0)
    fewer = placed(copies[1:])
    counts = build(tmp_path / "third.duckdb", fewer, analyse=Words(), before=tmp_path / "after.duckdb")
    assert (counts.postings_written, counts.postings_removed) == (0, 2)
    with Bm25Store.open(tmp_path / "third.duckdb") as store:
        assert store.chunk_counts().tolist() == [5, 2, 2, 1, 2]  # a, b, c, d, e


def test_a_removed_chunk_leaves_nothing_behind(tmp_path: Path) -> None:
    counts, _ = nights(tmp_path, placed([*YESTERDAY, ("gone", 0, "a only")]), placed(YESTERDAY))
    assert counts == Bm25Counts(4, 4, 8, total_length=9, postings_written=0, postings_removed=2)
    path = tmp_path / "after.duckdb"
    assert rows(path, "SELECT term FROM terms ORDER BY term_number") == [("a",), ("b",), ("c",), ("d",)]
    assert rows(path, "SELECT * FROM postings ANTI JOIN chunks USING (slot)") == []
    assert rows(path, "SELECT * FROM postings ANTI JOIN terms USING (term_slot)") == []


def test_all_may_go_and_come_again(tmp_path: Path) -> None:
    counts, _ = nights(tmp_path, placed(YESTERDAY), [])
    assert counts == Bm25Counts(0, 0, 0, total_length=0, postings_written=0, postings_removed=8)
    counts = build(tmp_path / "third.duckdb", placed(YESTERDAY), analyse=Words(), before=tmp_path / "after.duckdb")
    assert counts == Bm25Counts(4, 4, 8, total_length=9, postings_written=8, postings_removed=0)


def test_the_file_before_stays_as_it_is(tmp_path: Path) -> None:
    build(tmp_path / "before.duckdb", placed(YESTERDAY), analyse=Words())
    was = (tmp_path / "before.duckdb").read_bytes()
    nights_after = placed([("q", 0, "new words"), *YESTERDAY[1:]])
    build(tmp_path / "after.duckdb", nights_after, analyse=Words(), before=tmp_path / "before.duckdb")
    assert (tmp_path / "before.duckdb").read_bytes() == was
    assert sorted(path.name for path in tmp_path.glob("*duckdb*")) == ["after.duckdb", "before.duckdb"]


def test_another_analysis_builds_from_nothing(tmp_path: Path) -> None:
    counts, texts = nights(tmp_path, placed(YESTERDAY), placed(YESTERDAY), analyse=Words(frozenset({"a"})))
    assert (counts.terms, counts.postings_written, counts.postings_removed) == (3, 5, 0)
    assert len(texts.asked) == 4


@pytest.mark.parametrize(
    "change",
    ["UPDATE statistics SET layout = layout - 1", "ALTER TABLE statistics DROP layout", "DROP TABLE statistics"],
)
def test_another_layout_builds_from_nothing(tmp_path: Path, change: str) -> None:
    before = tmp_path / "before.duckdb"
    build(before, placed(YESTERDAY), analyse=Words())
    with closing(duckdb.connect(str(before))) as connection:
        connection.execute(change)
    counts = build(tmp_path / "after.duckdb", placed(YESTERDAY), analyse=Words(), before=before)
    assert (counts.postings_written, counts.postings_removed) == (8, 0)


def test_a_file_before_that_is_missing_costs_a_build_from_nothing(tmp_path: Path) -> None:
    missing = tmp_path / "missing.duckdb"
    counts = build(tmp_path / "after.duckdb", placed(YESTERDAY), analyse=Words(), before=missing)
    assert counts.postings_written == 8
    assert not missing.exists()


def test_a_file_much_out_of_order_is_written_anew_without_reading_texts(tmp_path: Path) -> None:
    many = [(f"d{number}", 0, f"w{number} x") for number in range(16)]
    # Of 16 chunks 2 may be out of order.
    nights(tmp_path, placed(many), placed([*many[2:], ("e0", 0, "y"), ("e1", 0, "y")]))
    slots = "SELECT slot FROM chunks ORDER BY chunk_number"
    assert rows(tmp_path / "after.duckdb", slots)[:2] == [(16,), (17,)]
    tonight = placed([*many[3:], ("e0", 0, "y"), ("e1", 0, "y"), ("e2", 0, "z"), ("e3", 0, "z")])
    texts = Texts(tonight)
    counts = build(tmp_path / "third.duckdb", tonight, analyse=Words(), before=tmp_path / "after.duckdb", texts=texts)
    assert texts.asked == ["z"]
    assert (counts.postings_written, counts.postings_removed) == (2, 2)
    build(tmp_path / "fresh.duckdb", tonight, analyse=Words())
    for table in ("chunks", "terms", "postings", "statistics"):
        with closing(connect(tmp_path / "third.duckdb", read_only=True)) as one:
            third = one.table(table).fetchall()
        with closing(connect(tmp_path / "fresh.duckdb", read_only=True)) as other:
            assert third == other.table(table).fetchall()  # row by row, as they lie


def test_a_collection_that_only_grows_or_only_shrinks_is_put_in_order_too(tmp_path: Path) -> None:
    many = [(f"d{number}", 0, f"w{number} x") for number in range(16)]
    for name, tonight in (("grown", [*many, ("a0", 0, "y"), ("a1", 0, "y"), ("z0", 0, "y")]), ("shrunk", many[4:])):
        (tmp_path / name).mkdir()
        nights(tmp_path / name, placed(many), placed(tonight))
        slots = rows(tmp_path / name / "after.duckdb", "SELECT slot FROM chunks ORDER BY chunk_number")
        assert slots == [(number,) for number in range(len(tonight))]


def test_a_text_that_does_not_come_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    def one_missing(chunk_hashes: pa.Array) -> Iterator[pa.RecordBatch]:
        hashes = chunk_hashes.to_pylist()[1:]
        yield pa.record_batch({"chunk_hash": hashes, "text": ["x"] * len(hashes)})

    listed = chunks_file(tmp_path / "chunks.parquet", placed(YESTERDAY))
    with pytest.raises(MachineError, match="3 of 4 new texts were found"):
        build_bm25(tmp_path / "bm25.duckdb", listed, texts_of=one_missing, analyse=Words())
    assert [path.name for path in tmp_path.iterdir()] == ["chunks.parquet"]


def test_a_fault_of_where_texts_come_from_says_so(tmp_path: Path) -> None:
    def broken(chunk_hashes: pa.Array) -> Iterator[pa.RecordBatch]:
        yield pa.record_batch({"chunk_hash": chunk_hashes.slice(0, 1), "text": ["x"]})
        raise MachineError("The bucket is gone.", remedy="Restore it.")

    listed = chunks_file(tmp_path / "chunks.parquet", [Placed(Chunk("k", 0, "a", 0))])
    with pytest.raises(MachineError, match="The bucket is gone"):
        build_bm25(tmp_path / "bm25.duckdb", listed, texts_of=broken, analyse=Words())
    assert [path.name for path in tmp_path.iterdir()] == ["chunks.parquet"]
