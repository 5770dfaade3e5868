"""A small house of memos and what is done to it: a folder with the memos, a release's files, and a bucket of parts.

Texts and queries are letters. Each case is a piece of upkeep as a night does it.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from nightrank.storage.bucket.store import Remote
from nightrank.storage.files.database import connect
from nightrank.storage.files.parquet import write_table
from nightrank.storage.keys import digest
from nightrank.storage.memo.file import remove_memo
from nightrank.storage.memo.pair_scores import PAID, PairMemo
from nightrank.storage.memo.parts import SharedMemos
from nightrank.storage.memo.prune import (
    PAID_PAIRS,
    PAIRS,
    QUERIES,
    SPARSE_QUERIES,
    SPARSE_TEXTS,
    keep_reachable,
    memo_path,
    remove_leftovers,
)
from nightrank.storage.memo.query_vectors import QueryMemo
from nightrank.storage.memo.sparse_vectors import SparseMemo, SparseVectors
from nightrank.storage.release.files import ReleaseFiles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from nightrank.storage.memo.prune import MemoKind

KINDS = (PAIRS, PAID_PAIRS, QUERIES, SPARSE_TEXTS, SPARSE_QUERIES)
MODEL, PAID_MODEL = "m1", f"{PAID}m2"


def key(letter: str) -> str:
    return digest("key", letter)


def vector(letter: str) -> list[float]:
    return [float(ord(letter)), -1.0]


def sparse(letters: Iterable[str]) -> SparseVectors:
    return SparseVectors.of([(np.array([7, ord(letter)]), np.array([0.5, ord(letter)])) for letter in letters])


def remember(folder: Path, letters: Iterable[str], kind: MemoKind) -> None:
    """Commit to a memo what is known of these letters; they stay in its log, as a kill leaves them.

    The files lie in ``folder / "memo"``.
    """
    letters = list(letters)
    keys = [key(letter) for letter in letters]
    memos = folder / "memo"
    with memo_of(folder, kind) as memo:
        if isinstance(memo, QueryMemo):
            memo.append(keys, np.array([vector(letter) for letter in letters], dtype=np.float32))
        elif isinstance(memo, SparseMemo):
            memo.append(keys, sparse(letters))
        else:
            scores = np.array([ord(letter) for letter in letters], dtype=np.float32)
            memo.append(pa.table({"query_key": keys, "chunk_hash": keys}), scores)
        left = {path: path.read_bytes() for path in memos.iterdir()}
    for path, content in left.items():
        path.write_bytes(content)


def memo_of(folder: Path, kind: MemoKind) -> PairMemo | QueryMemo | SparseMemo:
    """A memo, open."""
    memos = folder / "memo"
    if kind in {SPARSE_TEXTS, SPARSE_QUERIES}:
        return SparseMemo(memos, "texts" if kind is SPARSE_TEXTS else "queries", encoder=MODEL)
    return QueryMemo(memos, embedder=MODEL) if kind is QUERIES else PairMemo(memos, reranker=model_of(kind))


def known(folder: Path, kind: MemoKind, letters: str) -> str:
    """The letters of which a memo knows what :func:`remember` told it; more than these it does not hold."""
    keys = [key(letter) for letter in letters]
    with memo_of(folder, kind) as memo:
        if isinstance(memo, QueryMemo):
            places, vectors = memo.vectors_of(keys)
            assert vectors.tolist() == [vector(letters[place]) for place in places]
        elif isinstance(memo, SparseMemo):
            places, found = memo.vectors_of(pa.array(keys))
            assert [*found.contents()] == [*sparse(letters[place] for place in places).contents()]
        else:
            places, scores = memo.scores_of(pa.table({"query_key": keys, "chunk_hash": keys}))
            assert scores.tolist() == [ord(letters[place]) for place in places]
        assert len(memo) == len(places)
    return "".join(letters[place] for place in sorted(places.tolist()))


def release_of(folder: Path, letters: str) -> None:
    """The files of a release that reaches these letters, in ``folder / "release"``."""
    release = files_of(folder)
    release.statistics.path.parent.mkdir()
    keys = pa.array([key(letter) for letter in letters], pa.string())
    write_table(release.queries.path, pa.table({"query_key": keys}))
    scores = pa.array([1.0] * len(letters), pa.float32())
    write_table(release.candidates.path, pa.table({"query_key": keys, "chunk_hash": keys, "pair_score": scores}))
    with closing(connect(release.statistics.path)) as statistics:
        statistics.register("hashes", pa.table({"chunk_hash": keys}))
        statistics.execute("CREATE TABLE chunks AS SELECT chunk_hash FROM hashes")


def files_of(folder: Path) -> ReleaseFiles:
    """The files of the release."""
    return ReleaseFiles(folder / "release")


def shared(folder: Path) -> SharedMemos:
    """The memos of the bucket in ``folder / "bucket"`` and the local ones."""
    (folder / "bucket").mkdir(exist_ok=True)
    return SharedMemos(Remote((folder / "bucket").as_uri()), folder / "memo", check=lambda: None)


def model_of(kind: MemoKind) -> str:
    return PAID_MODEL if kind is PAID_PAIRS else MODEL


def path_of(folder: Path, kind: MemoKind) -> Path:
    """The file of a memo."""
    return memo_path(folder / "memo", PAIRS if kind is PAID_PAIRS else kind, model_of(kind))


def prune(folder: Path) -> None:
    """Write the memos anew without what the release does not reach."""
    remove_leftovers(folder / "memo")
    release = files_of(folder)
    reached = (release.candidates, release.statistics, release.queries, release.statistics, release.queries)
    for kind, reaching in zip(KINDS, reached, strict=True):
        if (path := path_of(folder, kind)).is_file():
            queries = [release.queries.path]
            keep_reachable(path, kind, files=[reaching.path], queries=queries, thorough=True, dry_run=False)


def remove(folder: Path) -> None:
    """Remove the memos."""
    remove_leftovers(folder / "memo")
    for path in sorted((folder / "memo").glob("*.duckdb")):
        remove_memo(path)


def bring(folder: Path) -> None:
    """Take in what other machines have added."""
    shared(folder).bring()


def prune_and_share(folder: Path) -> None:
    """Collect, of a workspace in a bucket."""
    memos = shared(folder)
    memos.bring()
    memos.share()
    prune(folder)
    memos.put_in_order()


CASES: dict[str, Callable[[Path], None]] = {
    "prune": prune,
    "remove": remove,
    "bring": bring,
    "prune and share": prune_and_share,
}
