from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

from nightrank.storage.errors import MachineError
from nightrank.storage.lance import table as module
from nightrank.storage.lance.place import LanceFolder
from nightrank.storage.lance.table import ChunkTable, chunk_table_schema, no_hashes, vectors_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray


def table_in(folder: Path, *, embedder: str = "e1", dimensions: int = 2) -> ChunkTable:
    return ChunkTable.create(LanceFolder(folder), embedder=embedder, dimensions=dimensions)


def add(table: ChunkTable, hashes: Sequence[str]) -> None:
    """Each hash with the text "<hash> says", its number of characters as tokens, and the vector (1, tokens)."""
    lengths = [len(key) for key in hashes]
    vectors = np.array([[1.0, length] for length in lengths], dtype=np.float32).reshape(len(hashes), 2)
    table.add(hashes, [f"{key} says" for key in hashes], lengths, vectors)


def hashes_of(table: ChunkTable) -> list[str]:
    return sorted(table.hashes().read_all().column("chunk_hash").to_pylist())


def test_what_was_added_is_found_by_another_object(tmp_path: Path) -> None:
    add(table_in(tmp_path), ["a", "bb"])
    found = ChunkTable.find(LanceFolder(tmp_path), embedder="e1")
    assert found is not None
    assert len(found) == 2
    assert found.dimensions == 2
    rows = found.rows(pa.array(["bb", "a"]), ["text", "tokens", "vector"]).sort_by("chunk_hash").to_pylist()
    assert rows == [
        {"chunk_hash": "a", "text": "a says", "tokens": 1, "vector": [1.0, 1.0]},
        {"chunk_hash": "bb", "text": "bb says", "tokens": 2, "vector": [1.0, 2.0]},
    ]


def test_making_a_table_again_keeps_what_it_holds(tmp_path: Path) -> None:
    add(table_in(tmp_path), ["a"])
    add(table_in(tmp_path), ["b"])
    assert hashes_of(table_in(tmp_path)) == ["a", "b"]


def test_what_a_process_left_that_ended_while_it_made_a_table_is_no_table_and_a_table_can_be_made(
    tmp_path: Path,
) -> None:
    made = table_in(tmp_path)
    for manifest in (tmp_path / f"{made.name}.lance" / "_versions").glob("*.manifest"):
        manifest.unlink()

    assert ChunkTable.find(LanceFolder(tmp_path), embedder="e1") is None
    add(table_in(tmp_path), ["a"])
    assert hashes_of(table_in(tmp_path)) == ["a"]


def test_chunks_that_are_not_there_are_missing_from_the_rows(tmp_path: Path) -> None:
    table = table_in(tmp_path)
    add(table, ["a", "b"])
    assert table.rows(pa.array(["b", "z"]), ["text"]).to_pylist() == [{"chunk_hash": "b", "text": "b says"}]
    nothing = table.rows(pa.array([], pa.string()), ["text"])
    assert nothing.num_rows == 0
    assert nothing.schema.names == ["chunk_hash", "text"]


def test_an_empty_table_has_rows_and_hashes_too(tmp_path: Path) -> None:
    table = table_in(tmp_path)
    assert len(table) == 0
    assert hashes_of(table) == []
    assert table.rows(pa.array(["a"]), ["tokens"]).num_rows == 0
    assert no_hashes().schema == table.hashes().schema


def test_an_older_version_does_not_see_later_rows(tmp_path: Path) -> None:
    table = table_in(tmp_path)
    add(table, ["a"])
    version = table.version
    old = ChunkTable.open(LanceFolder(tmp_path), name=table.name, version=version)
    add(table, ["b"])
    for reader in (old, ChunkTable.open(LanceFolder(tmp_path), name=table.name, version=version)):
        assert hashes_of(reader) == ["a"]
        assert len(reader) == 1
        assert reader.version == version
        assert reader.rows(pa.array(["a", "b"]), []).num_rows == 1
    newest = ChunkTable.open(LanceFolder(tmp_path), name=table.name, version=table.version)
    assert hashes_of(newest) == ["a", "b"]


def test_few_rows_are_taken_and_many_are_streamed_and_both_are_the_same(tmp_path: Path) -> None:
    table = table_in(tmp_path)
    hashes = [f"{number:03d}" * (1 + number % 3) for number in range(100)]
    for start in range(0, 100, 25):
        add(table, hashes[start : start + 25])
    for count in (0, 1, 16, 17, 99, 100):  # at most a sixth of 100 rows are taken by their ids
        wanted = hashes[::-1][:count]
        batches = list(table.batches(pa.array([*wanted, "gone"]), ["vector", "tokens"], rows=7))
        assert all(1 <= batch.num_rows <= 7 for batch in batches)
        assert all(batch.schema.names == ["chunk_hash", "vector", "tokens"] for batch in batches)
        found = {row["chunk_hash"]: row for batch in batches for row in batch.to_pylist()}
        assert sum(map(len, batches)) == len(found)
        assert found == {key: {"chunk_hash": key, "vector": [1.0, len(key)], "tokens": len(key)} for key in wanted}


def test_rows_are_found_at_their_places_in_the_stream_few_or_many(tmp_path: Path) -> None:
    table = table_in(tmp_path)
    for first in range(0, 60, 20):
        add(table, [f"{number}" for number in range(first, first + 20)])
    streamed = [key for batch in table.stream(["chunk_hash"]) for key in batch.column(0).to_pylist()]
    for places in ([*range(60)], [17], [18, 19, 20, 21, 41], [0, 59], [3, 30, 31], [*range(5, 60, 7)], []):
        batches = list(table.at(np.array(places, dtype=np.int64), ["vector"], rows=4))
        found = {key: vector for batch in batches for key, vector in zip(*batch.to_pydict().values(), strict=True)}
        assert found == {streamed[place]: [1.0, float(len(streamed[place]))] for place in places}
        assert all(0 < batch.num_rows <= 4 for batch in batches)


def test_a_sample_is_distinct_rows_that_the_generator_draws(tmp_path: Path) -> None:
    table = table_in(tmp_path)
    assert table.sample(3, ["text"], generator=np.random.default_rng(1)).num_rows == 0
    hashes = [f"{number:03d}" for number in range(50)]
    add(table, hashes[:30])
    add(table, hashes[30:])
    drawn = [table.sample(20, ["text"], generator=np.random.default_rng(seed)) for seed in (1, 1, 2)]
    names = [sorted(sample.column("chunk_hash").to_pylist()) for sample in drawn]
    assert names[0] == names[1] != names[2]
    assert len(set(names[0])) == 20
    assert all(row["text"] == f"{row['chunk_hash']} says" for row in drawn[0].to_pylist())
    everything = table.sample(51, [], generator=np.random.default_rng(1))
    assert sorted(everything.column("chunk_hash").to_pylist()) == hashes


def test_hashes_are_compared_a_bounded_number_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HASHES_HELD", 10)
    table = table_in(tmp_path)
    for start in range(0, 30, 6):
        add(table, [f"{number:03d}" for number in range(start, start + 6)])
    wanted = ["029", "000", "015"]
    assert sorted(table.rows(pa.array(wanted), []).column("chunk_hash").to_pylist()) == sorted(wanted)


def test_few_rows_of_a_large_table_cost_no_reading_of_its_vectors(tmp_path: Path) -> None:
    table = table_in(tmp_path, dimensions=64)
    vectors = np.ones((2000, 64), dtype=np.float32)
    hashes = [str(number) for number in range(2000)]
    table.add(hashes, hashes, [1] * 2000, vectors)
    assert table.rows(pa.array(["5", "1999"]), ["vector"]).num_rows == 2
    for file in (tmp_path / f"{table.name}.lance" / "data").iterdir():
        read = bytearray(file.read_bytes())
        start = read.find(vectors[:100].tobytes())  # a hundred of them in a row: the block of vectors
        assert start >= 0
        read[start + 128_000 : start + 256_000] = bytes(128_000)  # vectors 500 to 999
        file.write_bytes(read)
    found = ChunkTable.open(LanceFolder(tmp_path), name=table.name, version=table.version)
    assert vectors_of(found.rows(pa.array(["5", "1999"]), ["vector"]), 64).sum() == 128
    assert vectors_of(found.rows(pa.array(["700"]), ["vector"]), 64).sum() == 0


def test_a_release_is_read_at_the_version_that_its_tag_names_now(tmp_path: Path) -> None:
    table = table_in(tmp_path)
    add(table, ["a"])
    table.tag("r1")
    add(table, ["b"])
    release = ChunkTable.of_release(LanceFolder(tmp_path), name=table.name, release_id="r1")
    assert hashes_of(release) == ["a"]
    table.tag("r1")
    table.tag("r1")
    assert hashes_of(ChunkTable.of_release(LanceFolder(tmp_path), name=table.name, release_id="r1")) == ["a", "b"]
    assert hashes_of(release) == ["a"]


def test_a_release_without_a_tag_is_an_error(tmp_path: Path) -> None:
    table = table_in(tmp_path)
    for name in (table.name, "chunks_other"):
        with pytest.raises(MachineError, match=f"{name} in .* has no tag of the release r9") as caught:
            ChunkTable.of_release(LanceFolder(tmp_path), name=name, release_id="r9")
        assert caught.value.remedy
    with pytest.raises(MachineError):
        ChunkTable.of_release(LanceFolder(tmp_path / "none"), name=table.name, release_id="r9")
    assert not (tmp_path / "none").exists()


def test_a_pinned_version_carries_the_releases_name(tmp_path: Path) -> None:
    import lancedb

    table = table_in(tmp_path)
    add(table, ["a"])
    version = table.version
    add(table, ["b"])
    ChunkTable.open(LanceFolder(tmp_path), name=table.name, version=version).tag("20260102T030405-678Z")
    tags = lancedb.connect(str(tmp_path)).open_table(table.name).tags.list()
    assert {name: tag["version"] for name, tag in tags.items()} == {"20260102T030405-678Z": version}


def test_two_embedders_never_share_a_table(tmp_path: Path) -> None:
    first, second = table_in(tmp_path, embedder="e1"), table_in(tmp_path, embedder="e2", dimensions=3)
    add(first, ["a"])
    assert first.name != second.name
    assert hashes_of(second) == []
    assert second.dimensions == 3
    assert ChunkTable.find(LanceFolder(tmp_path), embedder="e3") is None


def test_looking_for_a_table_makes_nothing(tmp_path: Path) -> None:
    assert ChunkTable.find(LanceFolder(tmp_path / "lance"), embedder="e1") is None
    with pytest.raises(MachineError, match="has no version 1"):
        ChunkTable.open(LanceFolder(tmp_path / "lance"), name="chunks_e1", version=1)
    assert not (tmp_path / "lance").exists()


def test_a_version_or_table_that_is_gone_is_an_error(tmp_path: Path) -> None:
    table = table_in(tmp_path)
    for name, version in ((table.name, 99), ("chunks_other", 1)):
        with pytest.raises(MachineError, match=f"{name} in .* has no version {version}") as caught:
            ChunkTable.open(LanceFolder(tmp_path), name=name, version=version)
        assert caught.value.remedy


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_vector_that_is_not_finite_is_refused_with_its_whole_batch(tmp_path: Path, bad: float) -> None:
    table = table_in(tmp_path)
    with pytest.raises(MachineError, match="not finite"):
        table.add(["a", "b"], ["a", "b"], [1, 1], np.array([[0.0, 1.0], [bad, 1.0]], dtype=np.float32))
    assert len(table) == 0


@pytest.mark.parametrize("shape", [(2, 3), (2, 1), (1, 2), (4,)])
def test_vectors_of_another_shape_are_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    table = table_in(tmp_path)
    with pytest.raises(ValueError, match=r"expected vectors of shape \(2, 2\)"):
        table.add(["a", "b"], ["a", "b"], [1, 1], np.ones(shape, dtype=np.float32))
    assert len(table) == 0


def test_vectors_come_back_as_they_went_in_whatever_the_batches(tmp_path: Path) -> None:
    vectors = np.random.default_rng(1).standard_normal((7, 3)).astype(np.float32)
    table = table_in(tmp_path, dimensions=3)
    for start in (0, 4):
        part = vectors[start : start + 4]
        names = [str(start + row) for row in range(len(part))]
        table.add(names, names, [1] * len(part), np.asfortranarray(part))
    found: dict[str, NDArray[np.float32]] = {}
    for batch in table.stream(["chunk_hash", "vector"], batch_rows=2):
        assert batch.num_rows <= 2
        found |= dict(zip(batch.column("chunk_hash").to_pylist(), vectors_of(batch, 3), strict=True))
    assert sorted(found) == [str(row) for row in range(7)]
    np.testing.assert_array_equal(np.stack([found[str(row)] for row in range(7)]), vectors)


def test_vectors_of_a_slice_and_of_several_blocks_are_those_rows() -> None:
    flat = pa.array(np.arange(8, dtype=np.float32))
    column = pa.FixedSizeListArray.from_arrays(flat, 2)
    batch = pa.record_batch([column], schema=pa.schema([chunk_table_schema(2).field("vector")]))
    np.testing.assert_array_equal(vectors_of(batch.slice(1, 2), 2), [[2, 3], [4, 5]])
    several = pa.Table.from_batches([batch.slice(3, 1), batch.slice(0, 1)])
    np.testing.assert_array_equal(vectors_of(several, 2), [[6, 7], [0, 1]])
    assert vectors_of(several.slice(0, 0), 2).shape == (0, 2)


@pytest.mark.parametrize("name", ["jürgen", "100%", "a#b", "[1]", 'say "so"', "two\nlines", "~user", "title=evil"])
def test_a_folder_of_any_name_is_used_as_it_is_named(tmp_path: Path, name: str) -> None:
    place = LanceFolder(tmp_path / name / "lance")
    add(ChunkTable.create(place, embedder="e1", dimensions=2), ["a"])
    found = ChunkTable.find(LanceFolder(tmp_path / name / "lance"), embedder="e1")
    assert found is not None
    add(found, ["b"])
    assert hashes_of(found) == ["a", "b"]
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert place.table_names()
