from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

from nightrank.storage.errors import MachineError
from nightrank.storage.keys import query_key
from nightrank.storage.memo import sparse_vectors as module
from nightrank.storage.memo.sparse_vectors import SparseMemo, SparseVectors

if TYPE_CHECKING:
    from pathlib import Path

# Commits 10 texts (text i: token i, weight 1 + i) at a time until it is killed, and says how many there are.
APPENDER = """
import sys
from pathlib import Path
import numpy as np
from nightrank.storage.keys import query_key
from nightrank.storage.memo.sparse_vectors import SparseMemo, SparseVectors

memo = SparseMemo(Path(sys.argv[1]), "texts", encoder="e1")
start = 0
while True:
    rows = range(start, start + 10)
    vectors = SparseVectors.of([(np.array([row]), np.array([1 + row], dtype=np.float32)) for row in rows])
    memo.append([query_key(str(row)) for row in rows], vectors)
    start += 10
    print(start, flush=True)
"""


def keys(*texts: str) -> pa.Array:
    return pa.array([query_key(text) for text in texts], pa.string())


def vectors_of(*rows: dict[int, float]) -> SparseVectors:
    return SparseVectors.of(
        [(np.array([*row], dtype=np.int32), np.array([*row.values()], dtype=np.float32)) for row in rows]
    )


def rows_of(vectors: SparseVectors) -> list[dict[int, float]]:
    ends = zip(vectors.bounds[:-1], vectors.bounds[1:], strict=True)
    return [dict(zip(vectors.tokens[a:b].tolist(), vectors.weights[a:b].tolist(), strict=True)) for a, b in ends]


def remember(folder: Path, **rows: dict[int, float]) -> None:
    with SparseMemo(folder, "texts", encoder="e1") as memo:
        memo.append(keys(*rows).to_pylist(), vectors_of(*rows.values()))


def test_a_fresh_object_sees_what_another_committed(tmp_path: Path) -> None:
    remember(tmp_path, a={1: 0.5, 30521: 2.0}, b={})
    remember(tmp_path, c={7: 1.0})
    with SparseMemo(tmp_path, "texts", encoder="e1") as memo:
        assert len(memo) == 3
        positions, vectors = memo.vectors_of(keys("c", "unknown", "a", "c", "b"))
        assert memo.known(keys("b", "unknown", "a")).tolist() == [True, False, True]
    assert positions.tolist() == [0, 2, 3, 4]
    assert rows_of(vectors) == [{7: 1.0}, {1: 0.5, 30521: 2.0}, {7: 1.0}, {}]


@pytest.mark.parametrize("rows_held", [1, 3, 1000])
def test_all_and_some_come_with_their_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows_held: int) -> None:
    monkeypatch.setattr(module, "ROWS_HELD", rows_held)
    names = [f"text{number}" for number in range(20)]
    remember(tmp_path, **{name: {number: 1.0} for number, name in enumerate(names[:11])})
    remember(tmp_path, **{name: {number + 11: 1.0} for number, name in enumerate(names[11:])})
    expected = dict(zip(keys(*names).to_pylist(), [{number: 1.0} for number in range(20)], strict=True))
    wanted = keys("text3", "unknown", "text19", "text0", "text12")
    with SparseMemo(tmp_path, "texts", encoder="e1") as memo:
        everything = [*memo.everything()]
        some = [*memo.some(wanted)]
        assert [*memo.some(keys())] == []
    for parts, count in ((everything, 20), (some, 4)):
        found = {key: row for names, part in parts for key, row in zip(names.to_pylist(), rows_of(part), strict=True)}
        assert len(found) == sum(len(part) for _, part in parts) == count
        assert all(expected[key] == row for key, row in found.items())
    assert {key for names, _ in some for key in names.to_pylist()} == set(wanted.to_pylist()) & expected.keys()


def test_weights_are_kept_to_the_last_bit(tmp_path: Path) -> None:
    weights = np.array([0.1, 1e-38, 3.4e38, np.nextafter(np.float32(1), np.float32(2))], dtype=np.float32)
    vectors = SparseVectors.of([(np.array([2, 5, 6, 250_001]), weights)])
    with SparseMemo(tmp_path, "queries", encoder="e1") as memo:
        memo.append(keys("a").to_pylist(), vectors)
        _, found = memo.vectors_of(keys("a"))
    assert [*found.contents()] == [*vectors.contents()]
    assert found.weights.tobytes() == weights.tobytes()


def test_texts_and_queries_and_other_encoders_know_nothing_of_each_other(tmp_path: Path) -> None:
    remember(tmp_path, a={1: 1.0})
    for memo in (SparseMemo(tmp_path, "queries", encoder="e1"), SparseMemo(tmp_path, "texts", encoder="e2")):
        with memo:
            assert len(memo) == 0
            positions, vectors = memo.vectors_of(keys("a"))
            assert (positions.tolist(), len(vectors)) == ([], 0)


def test_what_is_no_vector_a_key_is_refused(tmp_path: Path) -> None:
    with SparseMemo(tmp_path, "texts", encoder="e1") as memo, pytest.raises(ValueError, match="expected 2 vectors"):
        memo.append(keys("a", "b").to_pylist(), vectors_of({1: 1.0}))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_never_remembered(tmp_path: Path, bad: float) -> None:
    with SparseMemo(tmp_path, "texts", encoder="e1") as memo:
        with pytest.raises(MachineError, match=r"weights of sparse vectors are not finite"):
            memo.append(keys("a").to_pylist(), vectors_of({1: 1.0, 2: bad}))
        assert len(memo) == 0


def test_a_killed_process_loses_at_most_the_batch_it_had_not_committed(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", APPENDER, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        committed = [int(process.stdout.readline()) for _ in range(5)][-1]
        process.send_signal(signal.SIGKILL)
    with SparseMemo(tmp_path, "texts", encoder="e1") as memo:
        _, vectors = memo.vectors_of(keys(*map(str, range(committed))))
        assert rows_of(vectors) == [{row: 1.0 + row} for row in range(committed)]
        assert len(memo) % 10 == 0
