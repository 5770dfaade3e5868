from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nightrank.storage.errors import MachineError
from nightrank.storage.keys import query_key
from nightrank.storage.memo.query_vectors import QueryMemo

# Commits 10 queries (text i, vector (i, -i)) at a time until it is killed, and says how many there are.
APPENDER = """
import sys
from pathlib import Path
import numpy as np
from nightrank.storage.keys import query_key
from nightrank.storage.memo.query_vectors import QueryMemo

memo = QueryMemo(Path(sys.argv[1]), embedder="e1")
start = 0
while True:
    rows = range(start, start + 10)
    memo.append([query_key(str(row)) for row in rows], np.array([[row, -row] for row in rows], dtype=np.float32))
    start += 10
    print(start, flush=True)
"""


def keys(*texts: str) -> list[str]:
    return [query_key(text) for text in texts]


def test_a_fresh_object_sees_what_another_committed(tmp_path: Path) -> None:
    with QueryMemo(tmp_path / "memo", embedder="e1") as memo:
        memo.append(keys("a", "b"), np.array([[1, 2, 3], [4, 5, 6]], dtype=np.float32))
        memo.append(keys("c"), np.array([[7, 8, 9]], dtype=np.float32))
    with QueryMemo(tmp_path / "memo", embedder="e1") as memo:
        assert len(memo) == 3
        positions, vectors = memo.vectors_of(keys("c", "unknown", "a", "c"))
    assert positions.dtype == np.int64
    assert vectors.dtype == np.float32
    assert positions.tolist() == [0, 2, 3]
    assert vectors.tolist() == [[7, 8, 9], [1, 2, 3], [7, 8, 9]]


def test_vectors_are_kept_to_the_last_bit_whatever_their_order_in_memory(tmp_path: Path) -> None:
    vectors = np.random.default_rng(1).standard_normal((5, 4)).astype(np.float32)
    vectors[0] = [0.1, 1e-38, -3.4e38, -0.0]
    names = keys(*(str(row) for row in range(5)))
    with QueryMemo(tmp_path, embedder="e1") as memo:
        memo.append(names, np.asfortranarray(vectors))
        assert memo.vectors_of(names)[1].tobytes() == vectors.tobytes()


def test_another_embedder_remembers_nothing_of_it(tmp_path: Path) -> None:
    with QueryMemo(tmp_path, embedder="e1") as memo:
        memo.append(keys("a"), np.ones((1, 2), dtype=np.float32))
    with QueryMemo(tmp_path, embedder="e2") as memo:
        assert len(memo) == 0
        memo.append(keys("a"), np.ones((1, 3), dtype=np.float32))


def test_where_nothing_is_known_there_are_no_vectors(tmp_path: Path) -> None:
    with QueryMemo(tmp_path, embedder="e1") as memo:
        for _ in range(2):
            for wanted in ([], keys("unknown")):
                positions, vectors = memo.vectors_of(wanted)
                assert positions.shape == (0,)
                assert vectors.shape == (0, 0)
            memo.append([], np.zeros((0, 2), dtype=np.float32))
            memo.append(keys("a"), np.ones((1, 2), dtype=np.float32))


@pytest.mark.parametrize("shape", [(2, 3), (1, 2), (2,), (2, 2, 1)])
def test_vectors_of_another_shape_are_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with QueryMemo(tmp_path, embedder="e1") as memo:
        memo.append(keys("first"), np.ones((1, 2), dtype=np.float32))
        with pytest.raises(ValueError, match=r"expected vectors of shape \(2, 2\)"):
            memo.append(keys("a", "b"), np.ones(shape, dtype=np.float32))
        assert len(memo) == 1


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_vector_that_is_not_finite_is_never_remembered(tmp_path: Path, bad: float) -> None:
    with QueryMemo(tmp_path, embedder="e1") as memo:
        with pytest.raises(MachineError, match="not finite") as caught:
            memo.append(keys("a", "b"), np.array([[1, 2], [3, bad]], dtype=np.float32))
        assert caught.value.remedy
        assert len(memo) == 0


def test_a_killed_process_loses_at_most_the_batch_that_it_had_not_committed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", APPENDER, str(tmp_path)]
    with subprocess.Popen(command, cwd=Path(__file__).parents[3], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        reported = [int(process.stdout.readline()) for _ in range(20)]
        process.send_signal(signal.SIGKILL)
        reported += [int(line) for line in process.stdout]
    assert process.returncode == -signal.SIGKILL
    with QueryMemo(tmp_path, embedder="e1") as memo:
        assert len(memo) in {reported[-1], reported[-1] + 10}
        positions, vectors = memo.vectors_of(keys(*(str(row) for row in range(len(memo)))))
        assert vectors.tolist() == [[row, -row] for row in positions.tolist()]
        assert len(positions) == len(memo)
        memo.append(keys("new"), np.ones((1, 2), dtype=np.float32))
