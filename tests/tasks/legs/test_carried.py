from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from nightrank.storage.keys import query_key
from nightrank.storage.release.leg_lists import LEG_LISTS, read_leg_lists, write_leg_lists
from nightrank.tasks.legs import carried as module
from nightrank.tasks.legs.carried import ListedQueries, lists_by_key, lists_by_number
from nightrank.tasks.legs.lists import LegLists
from nightrank.tasks.legs.texts import Texts

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from numpy.typing import NDArray


def texts_of(*said: int) -> Texts:
    return Texts.of(pa.array([f"{text:032x}" for text in said], pa.string()))


def vector_of(query: str) -> NDArray[np.float32]:
    return np.frombuffer(query.ljust(8).encode(), dtype=np.float32)


def queries_of(*names: str) -> ListedQueries:
    contents = [vector_of(name).tobytes() for name in names]
    return ListedQueries.of(pa.array([query_key(name) for name in names]), contents)


def lists_of(floors: list[float], *rows: tuple[int, int, float]) -> LegLists:
    queries, texts, scores = (np.array(column) for column in zip(*rows, strict=True))
    entries = queries.astype(np.int32), texts.astype(np.int32), scores.astype(np.float32)
    return LegLists(np.array(floors, dtype=np.float32), entries)


def rows_of(lists: LegLists) -> list[tuple[int, int, float]]:
    return sorted((int(a), int(b), float(c)) for a, b, c in zip(*lists.entries, strict=True))


# Texts 5, 6, 7 and 8 have the numbers 0 to 3; the query "b" knows nothing above 0.5, "c" knows every text.
LISTS = lists_of([-0.25, 0.5, -np.inf], (2, 3, -1.0), (0, 0, 0.5), (0, 2, 0.75), (2, 0, 2.0))


def carried_over(folder: Path, *names: str, to: Texts) -> LegLists:
    blocks = lists_by_key(LISTS, queries_of("a", "b", "c"), texts_of(5, 6, 7, 8))
    write_leg_lists(folder / "dense.parquet", blocks)
    return lists_by_number(read_leg_lists(folder / "dense.parquet"), queries_of(*names), to)


def test_lists_come_back_under_the_numbers_of_another_night(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "QUERIES_HELD", 2)
    lists = carried_over(tmp_path, "c", "new", "b", "a", to=texts_of(9, 8, 7, 6, 5))
    assert lists.floors.tolist() == [-np.inf, np.inf, 0.5, -0.25]
    assert rows_of(lists) == [(0, 1, -1.0), (0, 4, 2.0), (3, 2, 0.75), (3, 4, 0.5)]


def test_texts_that_are_gone_are_struck(tmp_path: Path) -> None:
    lists = carried_over(tmp_path, "a", "c", to=texts_of(5, 1))
    assert lists.floors.tolist() == [-0.25, -np.inf]
    assert rows_of(lists) == [(0, 0, 0.5), (1, 0, 2.0)]


def test_nothing_is_known_of_a_query_that_has_another_vector_now(tmp_path: Path) -> None:
    write_leg_lists(tmp_path / "dense.parquet", lists_by_key(LISTS, queries_of("a", "b", "c"), texts_of(5, 6, 7, 8)))
    keys = pa.array([query_key("a"), query_key("c")])
    again = ListedQueries.of(keys, [np.nextafter(vector_of("a"), np.float32(9)).tobytes(), vector_of("c").tobytes()])
    lists = lists_by_number(read_leg_lists(tmp_path / "dense.parquet"), again, texts_of(5, 6, 7, 8))
    assert lists.floors.tolist() == [np.inf, -np.inf]
    assert rows_of(lists) == [(1, 0, 2.0), (1, 3, -1.0)]


def test_a_release_keeps_a_row_a_query_its_best_texts_first(tmp_path: Path) -> None:
    carried_over(tmp_path, "a", to=texts_of(5))
    table = pa.Table.from_batches(read_leg_lists(tmp_path / "dense.parquet"))
    assert table.schema == LEG_LISTS
    assert table.column("query_key").to_pylist() == [query_key(name) for name in "abc"]
    assert table.column("scores").to_pylist() == [[0.75, 0.5], [], [2.0, -1.0]]
    assert table.column("chunk_hashes").to_pylist()[2] == [f"{5:032x}", f"{8:032x}"]
