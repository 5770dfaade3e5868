from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from nightrank.storage.errors import MachineError
from nightrank.storage.keys import digest
from nightrank.storage.memo.pair_scores import PairMemo

# Commits 10 pairs (query i, chunk i) with score i at a time until it is killed, and says how many there are.
APPENDER = """
import sys
from pathlib import Path
import numpy as np, pyarrow as pa
from nightrank.storage.keys import digest
from nightrank.storage.memo.pair_scores import PairMemo

memo = PairMemo(Path(sys.argv[1]), reranker="r1")
start = 0
while True:
    rows = range(start, start + 10)
    keys = {"query_key": [digest("q", str(row)) for row in rows], "chunk_hash": [digest("c", str(row)) for row in rows]}
    memo.append(pa.table(keys), np.array(rows, dtype=np.float32))
    start += 10
    print(start, flush=True)
"""


def pairs(*named: tuple[str, str]) -> pa.Table:
    """Pairs by short names of query and chunk."""
    return pa.table(
        {
            "query_key": pa.array([digest("q", query) for query, _ in named], pa.string()),
            "chunk_hash": pa.array([digest("c", chunk) for _, chunk in named], pa.string()),
        }
    )


def remembered(memo: PairMemo, wanted: pa.Table) -> dict[int, float]:
    positions, scores = memo.scores_of(wanted)
    assert positions.dtype == np.int64
    assert scores.dtype == np.float32
    assert len(set(positions.tolist())) == len(positions)
    return dict(zip(positions.tolist(), scores.tolist(), strict=True))


def test_a_fresh_object_sees_what_another_committed(tmp_path: Path) -> None:
    with PairMemo(tmp_path / "memo", reranker="r1") as memo:
        memo.append(pairs(("1", "a"), ("1", "b")), np.array([0.5, -2.0], dtype=np.float32))
    with PairMemo(tmp_path / "memo", reranker="r1") as memo:
        assert len(memo) == 2
        assert remembered(memo, pairs(("1", "b"), ("2", "a"), ("1", "a"))) == {0: -2.0, 2: 0.5}


def test_scores_are_kept_to_the_last_bit(tmp_path: Path) -> None:
    scores = np.array([0.1, 1e-38, -3.4e38, np.nextafter(np.float32(1), np.float32(2)), -0.0], dtype=np.float32)
    wanted = pairs(*(("1", str(row)) for row in range(5)))
    with PairMemo(tmp_path, reranker="r1") as memo:
        memo.append(wanted, scores)
        positions, found = memo.scores_of(wanted)
    assert found[np.argsort(positions)].tobytes() == scores.tobytes()


def test_a_score_belongs_to_the_query_and_the_chunk_together(tmp_path: Path) -> None:
    with PairMemo(tmp_path, reranker="r1") as memo:
        memo.append(pairs(("1", "a"), ("2", "b")), np.array([1.0, 2.0], dtype=np.float32))
        assert remembered(memo, pairs(("1", "b"), ("2", "a"))) == {}


def test_another_reranker_remembers_nothing_of_it(tmp_path: Path) -> None:
    with PairMemo(tmp_path, reranker="r1") as memo:
        memo.append(pairs(("1", "a")), np.array([1.0], dtype=np.float32))
    with PairMemo(tmp_path, reranker="r2") as memo:
        assert len(memo) == 0
        assert remembered(memo, pairs(("1", "a"))) == {}


def test_a_pair_that_is_asked_for_twice_is_answered_twice(tmp_path: Path) -> None:
    with PairMemo(tmp_path, reranker="r1") as memo:
        memo.append(pairs(("1", "a")), np.array([1.5], dtype=np.float32))
        assert remembered(memo, pairs(("1", "a"), ("1", "z"), ("1", "a"))) == {0: 1.5, 2: 1.5}


def test_no_pair_is_a_question_too(tmp_path: Path) -> None:
    with PairMemo(tmp_path, reranker="r1") as memo:
        memo.append(pairs(), np.zeros(0, dtype=np.float32))
        assert len(memo) == 0
        assert remembered(memo, pairs()) == {}


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_score_that_is_not_finite_is_never_remembered(tmp_path: Path, bad: float) -> None:
    with PairMemo(tmp_path, reranker="r1") as memo:
        with pytest.raises(MachineError, match="1 of 2 pair scores") as caught:
            memo.append(pairs(("1", "a"), ("1", "b")), np.array([1.0, bad], dtype=np.float32))
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
    with PairMemo(tmp_path, reranker="r1") as memo:
        assert len(memo) in {reported[-1], reported[-1] + 10}
        everything = pairs(*((str(row), str(row)) for row in range(len(memo))))
        assert remembered(memo, everything) == {row: float(row) for row in range(len(memo))}
        memo.append(pairs(("new", "new")), np.array([1.0], dtype=np.float32))
