"""A memo's upkeep, killed between any two of its operations, loses no row, and the next one finishes it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from nightrank.storage.memo.prune import PAID_PAIRS, PAIRS, QUERIES, SPARSE_QUERIES, SPARSE_TEXTS
from tests.support.killed import killed_everywhere
from tests.support.pruned_memos import (
    bring,
    known,
    path_of,
    prune,
    prune_and_share,
    release_of,
    remember,
    remove,
    shared,
)

if TYPE_CHECKING:
    from pathlib import Path

    from nightrank.storage.memo.prune import MemoKind

# Pairs that cost nothing are kept by the same code as those that were paid for.
EACH_KIND = pytest.mark.parametrize(
    "kind",
    [
        pytest.param(PAIRS, marks=pytest.mark.slow),
        PAID_PAIRS,
        QUERIES,
        SPARSE_TEXTS,
        pytest.param(SPARSE_QUERIES, marks=pytest.mark.slow),
    ],
    ids=["pairs", "paid pairs", "queries", "sparse texts", "sparse queries"],
)
EVERY = 5  # of the folders that a kill left, how many are gone on with: all cost a minute


@pytest.fixture
def seed(tmp_path: Path) -> Path:
    folder = tmp_path / "seed"
    folder.mkdir()
    return folder


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "memo").iterdir())


@pytest.mark.long
@EACH_KIND
def test_a_memo_that_is_written_anew_keeps_what_is_reached(seed: Path, tmp_path: Path, kind: MemoKind) -> None:
    remember(seed, "abcdef", kind)
    release_of(seed, "abc")
    *killed, finished = killed_everywhere("prune", seed, tmp_path / "out")

    assert len(killed) >= 20
    for folder in killed:
        assert known(folder, kind, "abcdef") in {"abc", "abcdef"}
    for folder in (*killed[::EVERY], finished):
        prune(folder)
        assert known(folder, kind, "abcdef") == "abc"
        assert files_in(folder) == [path_of(folder, kind).name]


@EACH_KIND
def test_a_memo_that_is_removed_is_whole_or_gone(seed: Path, tmp_path: Path, kind: MemoKind) -> None:
    remember(seed, "abc", kind)
    *killed, finished = killed_everywhere("remove", seed, tmp_path / "out")

    assert len(killed) >= 2
    for folder in killed:
        assert not path_of(folder, kind).exists() or known(folder, kind, "abc") == "abc"
    for folder in (*killed, finished):
        remove(folder)
        assert files_in(folder) == []


def left_behind(seed: Path, kind: MemoKind) -> None:
    """A machine that holds "ab" of the bucket, has not shared "xy" yet, and lacks "cd" that another one has added."""
    remember(seed, "ab", kind)
    shared(seed).share()
    other = seed.with_name("other")
    shutil.copytree(seed / "bucket", other / "bucket")
    shared(other).bring()
    remember(other, "cd", kind)
    shared(other).share()
    shutil.rmtree(seed / "bucket")
    (other / "bucket").rename(seed / "bucket")
    remember(seed, "xy", kind)


def another_machine(folder: Path) -> Path:
    """What a machine without memos of its own gets from the bucket."""
    fresh = folder / "fresh"
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.copytree(folder / "bucket", fresh / "bucket")
    bring(fresh)
    return fresh


@pytest.mark.long
@EACH_KIND
def test_a_memo_that_takes_in_what_others_added_keeps_what_it_has_not_shared(
    seed: Path, tmp_path: Path, kind: MemoKind
) -> None:
    left_behind(seed, kind)
    *killed, finished = killed_everywhere("bring", seed, tmp_path / "out")

    assert len(killed) >= 30
    for folder in killed:
        assert set(known(folder, kind, "abcdxy")) >= set("abxy")
    for folder in (*killed[::EVERY], finished):
        bring(folder)
        assert known(folder, kind, "abcdxy") == "abcdxy"
        shared(folder).share()
        assert known(another_machine(folder), kind, "abcdxy") == "abcdxy"


@pytest.mark.slow
@pytest.mark.parametrize("kind", [PAID_PAIRS, QUERIES, SPARSE_TEXTS], ids=["paid pairs", "queries", "sparse texts"])
def test_pruning_in_a_bucket_keeps_what_is_reached_here_and_there(seed: Path, tmp_path: Path, kind: MemoKind) -> None:
    left_behind(seed, kind)
    release_of(seed, "acx")
    *killed, finished = killed_everywhere("prune and share", seed, tmp_path / "out")

    assert len(killed) >= 80
    for folder in (*killed, finished):
        assert set(known(folder, kind, "abcdxy")) >= set("ax")
        assert set(known(another_machine(folder), kind, "abcdxy")) >= set("ac")
    for folder in (*killed[::EVERY], finished):
        prune_and_share(folder)
        for place in (folder, another_machine(folder)):
            assert known(place, kind, "abcdxy") == "acx"
