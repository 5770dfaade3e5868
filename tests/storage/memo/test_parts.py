from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

from nightrank.storage.keys import digest
from nightrank.storage.memo import parts as memo_parts
from nightrank.storage.memo.answers import AnswerMemo, about, forget_documents
from nightrank.storage.memo.pair_scores import PairMemo
from nightrank.storage.memo.parts import SharedMemos
from nightrank.storage.memo.query_vectors import QueryMemo

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.object_store import Bucket


def pairs(*names: str) -> pa.Table:
    return pa.table({"query_key": [digest("q", n) for n in names], "chunk_hash": [digest("c", n) for n in names]})


def remember(folder: Path, scores: dict[str, float], reranker: str = "r1") -> None:
    with PairMemo(folder, reranker=reranker) as memo:
        memo.append(pairs(*scores), np.array(list(scores.values()), dtype=np.float32))


def remembered(folder: Path, *names: str, reranker: str = "r1") -> dict[str, float]:
    with PairMemo(folder, reranker=reranker) as memo:
        places, scores = memo.scores_of(pairs(*names))
        assert len(memo) >= len(places)
    return {names[place]: float(score) for place, score in zip(places.tolist(), scores.tolist(), strict=True)}


def entries(folder: Path, reranker: str = "r1") -> int:
    with PairMemo(folder, reranker=reranker) as memo:
        return len(memo)


def shared(bucket: Bucket, folder: Path) -> SharedMemos:
    return SharedMemos(bucket.remote(), folder, check=lambda: None)


def night(bucket: Bucket, folder: Path, scores: dict[str, float]) -> SharedMemos:
    memos = shared(bucket, folder)
    memos.bring()
    if scores:
        remember(folder, scores)
    memos.share()
    return memos


def parts(bucket: Bucket) -> list[str]:
    return list(bucket.remote().sizes("memo"))


def test_another_machine_remembers_what_one_has_shared(bucket: Bucket, tmp_path: Path) -> None:
    night(bucket, tmp_path / "one", {"a": -1.5, "b": 2.0})
    with QueryMemo(tmp_path / "one", embedder="e1") as memo:
        memo.append([digest("q", "a")], np.array([[1.0, -2.0]], dtype=np.float32))
    shared(bucket, tmp_path / "one").share()

    night(bucket, tmp_path / "two", {})

    assert remembered(tmp_path / "two", "a", "b", "c") == {"a": -1.5, "b": 2.0}
    with QueryMemo(tmp_path / "two", embedder="e1") as memo:
        known, vectors = memo.vectors_of([digest("q", "b"), digest("q", "a")])
    assert known.tolist() == [1]
    assert vectors.tolist() == [[1.0, -2.0]]


def test_a_night_uploads_what_it_added_and_downloads_what_others_did(bucket: Bucket, tmp_path: Path) -> None:
    night(bucket, tmp_path / "one", {"a": 1.0})
    first = parts(bucket)
    night(bucket, tmp_path / "one", {})
    assert parts(bucket) == first

    night(bucket, tmp_path / "two", {"b": 2.0})
    assert len(parts(bucket)) == 2
    night(bucket, tmp_path / "one", {"c": 3.0})

    assert remembered(tmp_path / "one", "a", "b", "c") == {"a": 1.0, "b": 2.0, "c": 3.0}
    assert entries(tmp_path / "one") == 3
    [newest] = [part for part in parts(bucket) if part not in first][-1:]
    assert newest
    assert len(parts(bucket)) == 3


def test_what_a_killed_run_had_not_shared_is_shared_by_the_next_one_here(bucket: Bucket, tmp_path: Path) -> None:
    night(bucket, tmp_path / "one", {"a": 1.0})
    remember(tmp_path / "one", {"b": 2.0})  # and killed
    night(bucket, tmp_path / "two", {"c": 3.0})

    night(bucket, tmp_path / "one", {"d": 4.0})
    night(bucket, tmp_path / "two", {})

    for folder in (tmp_path / "one", tmp_path / "two"):
        assert remembered(folder, "a", "b", "c", "d") == {"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0}
        assert entries(folder) == 4


def test_parts_that_overlap_are_taken_in_once(bucket: Bucket, tmp_path: Path) -> None:
    """A run that is killed between the upload and its note of it uploads the same again."""
    night(bucket, tmp_path / "one", {"a": 1.0, "b": 2.0})
    night(bucket, tmp_path / "other", {})
    remember(tmp_path / "three", {"b": 2.0, "c": 3.0})
    shared(bucket, tmp_path / "three").share()

    night(bucket, tmp_path / "two", {})
    night(bucket, tmp_path / "other", {})

    assert entries(tmp_path / "two") == entries(tmp_path / "other") == 3


def test_what_collecting_wrote_anew_takes_the_place_of_all_parts(bucket: Bucket, tmp_path: Path) -> None:
    night(bucket, tmp_path / "one", {"a": 1.0})
    memos = night(bucket, tmp_path / "one", {"b": 2.0})
    night(bucket, tmp_path / "two", {})
    (tmp_path / "one" / "pairs-r1.duckdb").unlink()
    remember(tmp_path / "one", {"b": 2.0})  # as pruning writes it

    memos.put_in_order()

    assert len(parts(bucket)) == 1
    for folder in (tmp_path / "one", tmp_path / "two", tmp_path / "three"):
        night(bucket, folder, {})
        assert remembered(folder, "a", "b") == {"b": 2.0}


def test_a_collection_that_was_killed_before_it_told_loses_nothing(bucket: Bucket, tmp_path: Path) -> None:
    night(bucket, tmp_path / "one", {"a": 1.0, "b": 2.0})
    (tmp_path / "one" / "pairs-r1.duckdb").unlink()
    remember(tmp_path / "one", {"b": 2.0, "c": 3.0})

    night(bucket, tmp_path / "one", {})

    assert remembered(tmp_path / "one", "a", "b", "c") == {"a": 1.0, "b": 2.0, "c": 3.0}
    night(bucket, tmp_path / "two", {})
    assert remembered(tmp_path / "two", "a", "b", "c") == {"a": 1.0, "b": 2.0, "c": 3.0}


def test_a_memo_that_was_removed_here_goes_there_too_and_others_stay(bucket: Bucket, tmp_path: Path) -> None:
    remember(tmp_path / "one", {"z": 9.0}, reranker="r2")
    memos = night(bucket, tmp_path / "one", {"a": 1.0})
    (tmp_path / "one" / "pairs-r2.duckdb").unlink()

    memos.put_in_order()

    assert [key.split("/")[1] for key in parts(bucket)] == ["pairs-r1"]


def test_a_long_row_of_parts_is_put_together(bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memo_parts, "MOST_PARTS", 3)
    for number in range(4):
        memos = night(bucket, tmp_path / "one", {f"{number}": float(number)})
    night(bucket, tmp_path / "two", {})

    memos.put_in_order()

    assert len(parts(bucket)) == 1
    for folder in (tmp_path / "two", tmp_path / "three"):
        night(bucket, folder, {})
        assert remembered(folder, "0", "1", "2", "3") == {"0": 0.0, "1": 1.0, "2": 2.0, "3": 3.0}
        assert entries(folder) == 4


def test_memos_are_shared_while_they_are_written(bucket: Bucket, tmp_path: Path) -> None:
    memos = shared(bucket, tmp_path / "one")
    with PairMemo(tmp_path / "one", reranker="r1") as memo:
        for name in "abc":
            memo.append(pairs(name), np.array([1.0], dtype=np.float32))
            memos.share()

    assert len(parts(bucket)) == 3
    night(bucket, tmp_path / "two", {})
    assert sorted(remembered(tmp_path / "two", "a", "b", "c")) == ["a", "b", "c"]


def test_who_may_not_write_any_more_uploads_nothing(bucket: Bucket, tmp_path: Path) -> None:
    def lost() -> None:
        raise RuntimeError("lost")

    remember(tmp_path / "one", {"a": 1.0})

    with pytest.raises(RuntimeError, match="lost"):
        SharedMemos(bucket.remote(), tmp_path / "one", check=lost).share()

    assert parts(bucket) == []


def test_answers_that_were_paid_for_are_shared_and_go_with_their_documents(bucket: Bucket, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    with AnswerMemo(one, model="m") as memo:
        memo.append([{"key": digest(n), "about": about(n), "answer": f"{n} says"} for n in ("a", "b")])
    shared(bucket, one).share()
    memos = shared(bucket, two)
    memos.bring()
    assert forget_documents(two, ["a"]) == 1
    memos.put_in_order()
    shared(bucket, tmp_path / "three").bring()
    with AnswerMemo(tmp_path / "three", model="m") as memo:
        assert memo.answers_of([digest("a"), digest("b")]) == {digest("b"): "b says"}
