from __future__ import annotations

import hashlib
import random
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

from nightrank.storage.errors import MachineError
from nightrank.storage.keys import digest
from nightrank.storage.lance import place as lance_place
from nightrank.storage.lance import prune as chunk_upkeep
from nightrank.storage.lance.place import LanceFolder
from nightrank.storage.lance.prune import ChunkPruning
from nightrank.storage.lance.table import ChunkTable, vectors_of
from nightrank.storage.memo import file as memo_file
from nightrank.storage.memo import prune as memo_prune
from nightrank.storage.memo.pair_scores import PAID, PairMemo
from nightrank.storage.memo.query_vectors import QueryMemo
from nightrank.storage.memo.sparse_vectors import SparseMemo
from nightrank.storage.release import prune as collect_module
from nightrank.storage.release.manifest import list_releases, read_manifest
from nightrank.storage.release.prune import Pruned, is_pruned, prune
from nightrank.storage.workspace import folder as workspace_module
from nightrank.storage.workspace.folder import FolderWorkspace
from tests.support.stored_nights import DIMENSIONS, NOW, add_night, chunk_hash, pair_score, sparse_vector, vectors_for

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from nightrank.storage.workspace.base import Workspace


@pytest.fixture
def place(tmp_path: Path) -> Workspace:
    return FolderWorkspace(tmp_path / "workspace")


def run(place: Workspace, *, keep: int = 1, thorough: bool = False, dry_run: bool = False) -> Pruned:
    return prune(place, keep=keep, now=NOW, thorough=thorough, dry_run=dry_run)


def texts_in(place: Workspace, embedder: str = "e1") -> set[str]:
    table = ChunkTable.find(place.lance, embedder=embedder)
    assert table is not None
    return set(pa.Table.from_batches(table.stream(["text"])).column("text").to_pylist()) if len(table) else set()


def release_ids(place: Workspace) -> list[str]:
    return [manifest.release_id for manifest in list_releases(place)]


def tree(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def assert_whole(place: Workspace, release_id: str, texts: Sequence[str], queries: Sequence[str] = ()) -> None:
    """A release has all its texts with their vectors, its pair scores and its queries' embeddings."""
    manifest = read_manifest(place, release_id)
    table = ChunkTable.of_release(place.lance, name=manifest.chunk_table.name, release_id=release_id)
    rows = table.rows(pa.array([chunk_hash(text) for text in texts]), ["text", "vector"])
    assert sorted(rows.column("text").to_pylist()) == sorted(texts)
    np.testing.assert_array_equal(vectors_of(rows, DIMENSIONS), vectors_for(rows.column("text").to_pylist()))
    pairs = [(query, text) for query in queries for text in [text for text in texts if text[0] == query[0]][:-1]]
    keys = {
        "query_key": pa.array([digest("query", query) for query, _ in pairs], pa.string()),
        "chunk_hash": pa.array([chunk_hash(text) for _, text in pairs], pa.string()),
    }
    with PairMemo(place.memo, reranker=manifest.inputs.reranker.partition(" at ")[0]) as memo:
        positions, scores = memo.scores_of(pa.table(keys))
    expected = np.array([pair_score(*pairs[row]) for row in positions], dtype=np.float32)
    assert sorted(positions.tolist()) == list(range(len(pairs)))
    np.testing.assert_array_equal(scores, expected)
    with QueryMemo(place.memo, embedder=manifest.inputs.embedder) as queries_memo:
        found, vectors = queries_memo.vectors_of([digest("query", query) for query in queries])
    assert len(found) == len(queries)
    if queries:
        np.testing.assert_array_equal(vectors, vectors_for(queries))


def test_sparse_vectors_stay_as_long_as_a_kept_release_reaches_them(place: Workspace) -> None:
    add_night(place, "n1", texts=["a1", "a2", "a3", "b1"], queries=["a", "b"], sparse="s1")
    add_night(place, "n2", texts=["a3", "b1"], queries=["b"], sparse="s1")
    assert run(place, keep=2).sparse_vectors_removed == 0
    assert run(place, keep=1).sparse_vectors_removed == 2 + 1  # of "a1", "a2", and of the query "a"
    for kind, kept, gone in (
        ("texts", [chunk_hash(text) for text in ("a3", "b1")], [chunk_hash("a1")]),
        ("queries", [digest("query", "b")], [digest("query", "a")]),
    ):
        with SparseMemo(place.memo, kind, encoder="s1") as memo:  # type: ignore[arg-type]  # a tuple widens literals
            positions, vectors = memo.vectors_of(pa.array(kept + gone))
        expected = [sparse_vector(name) for name in (("a3", "b1") if kind == "texts" else ("b",))]
        assert positions.tolist() == [*range(len(kept))]
        assert [*vectors.contents()] == [next(vector.contents()) for vector in expected]
    add_night(place, "n3", texts=["a3"], queries=["b"])  # the leg was switched off
    assert run(place, keep=1).memos_removed == ("sparse-queries-s1.duckdb", "sparse-texts-s1.duckdb")


def test_what_only_old_releases_reach_goes_and_what_kept_ones_reach_stays(place: Workspace) -> None:
    add_night(place, "n1", texts=["a1", "a2", "a3", "b1"], queries=["a", "b"])
    add_night(place, "n2", texts=["a2", "a3", "b1", "b2"], queries=["a", "b"])
    add_night(place, "n3", texts=["a3", "b1", "b2", "b3"], queries=["b"])
    pruned = run(place, keep=2)
    assert pruned.releases_removed == ("n1",)
    assert (pruned.tags_removed, pruned.rows_removed) == (1, 1)  # "a1"
    assert texts_in(place) == {"a2", "a3", "b1", "b2", "b3"}
    assert release_ids(place) == ["n2", "n3"]
    assert_whole(place, "n2", ["a2", "a3", "b1", "b2"], ["a", "b"])
    assert_whole(place, "n3", ["a3", "b1", "b2", "b3"], ["b"])
    pruned = run(place, keep=1)
    assert pruned.releases_removed == ("n2",)
    assert (pruned.tags_removed, pruned.rows_removed) == (1, 1)  # "a2"
    # Of the pairs (a, a1), (a, a2), (b, b1), (b, b2) the last two are left, of the queries the last.
    assert (pruned.pair_scores_removed, pruned.query_vectors_removed) == (1, 1)
    assert_whole(place, "n3", ["a3", "b1", "b2", "b3"], ["b"])
    assert pruned.bytes_after < pruned.bytes_before
    again = run(place, keep=1)
    assert (again.releases_removed, again.rows_removed, again.tags_removed) == ((), 0, 0)
    assert again.bytes_after == again.bytes_before


def test_models_that_no_kept_release_names_go_with_all_they_left(place: Workspace) -> None:
    add_night(place, "n1", texts=["a1", "a2"], queries=["a"], embedder="e1", reranker="r1 at 0.5")
    add_night(place, "n2", texts=["a1", "a2"], queries=["a"], embedder="e2", reranker="r2 at 0.5")
    (place.memo / "mine.duckdb").write_text("the user's")
    add_night(place, "n3", texts=["a1", "a2"], queries=["a"], embedder="e2", reranker="r2 at 1")
    pruned = run(place, keep=2)
    assert pruned.tables_removed == ("chunks_e1",)
    assert pruned.memos_removed == ("pairs-r1.duckdb", "queries-e1.duckdb")
    assert sorted(path.name for path in place.memo.iterdir()) == [
        "mine.duckdb",
        "pairs-r2.duckdb",
        "queries-e2.duckdb",
    ]
    assert ChunkTable.find(place.lance, embedder="e1") is None
    assert_whole(place, "n2", ["a1", "a2"], ["a"])
    assert_whole(place, "n3", ["a1", "a2"], ["a"])


def test_scores_that_were_paid_for_stay_as_long_as_their_texts_whoever_asked_for_them(place: Workspace) -> None:
    texts = ["a1", "a2", "a3", "b1"]
    add_night(place, "n1", texts=texts, queries=["a"], reranker=f"{PAID}r1 at 1")
    pairs = [(query, text) for query in ("tuned", "compared") for text in texts]
    columns = [[digest("query", query) for query, _ in pairs], [chunk_hash(text) for _, text in pairs]]
    asked = pa.table([pa.array(column, pa.string()) for column in columns], names=["query_key", "chunk_hash"])
    scores = np.array([pair_score(*pair) for pair in pairs], dtype=np.float32)
    for reranker in (f"{PAID}r1", f"{PAID}r2", "r3"):  # the second no release ever named; the third is not paid for
        with PairMemo(place.memo, reranker=reranker) as memo:
            memo.append(asked, scores)
    add_night(place, "n2", texts=texts, queries=["a"], reranker="none at 1")
    pruned = run(place, keep=1, thorough=True)
    assert (pruned.releases_removed, pruned.pair_scores_removed) == (("n1",), 0)
    assert pruned.memos_removed == ("pairs-r3.duckdb",)
    for reranker in (f"{PAID}r1", f"{PAID}r2"):
        with PairMemo(place.memo, reranker=reranker) as memo:
            assert memo.scores_of(asked)[1].size == len(pairs)

    add_night(place, "n3", texts=["a1", "b1"], queries=["a"], reranker="none at 1")
    assert run(place, keep=1, thorough=True).pair_scores_removed == 2 + 4 + 4  # "a2" and "a3", of "a" and of the others
    for reranker in (f"{PAID}r1", f"{PAID}r2"):
        with PairMemo(place.memo, reranker=reranker) as memo:
            positions, kept = memo.scores_of(asked)
        assert sorted(pairs[position] for position in positions) == sorted(pair for pair in pairs if pair[1] in "a1 b1")
        np.testing.assert_array_equal(kept, scores[positions])


def test_a_dry_run_says_what_would_go_and_touches_nothing(place: Workspace) -> None:
    add_night(place, "n1", texts=["a1", "a2", "a3"], queries=["a"], embedder="e0")
    add_night(place, "n2", texts=["a1", "a2", "a3"], queries=["a"])
    add_night(place, "n3", texts=["a3"], queries=["b"])
    place.staging("killed").mkdir()
    before = tree(place.root)
    said = run(place, dry_run=True)
    assert tree(place.root) == before
    assert place.staging("killed").is_dir()
    assert said.bytes_after < said.bytes_before
    done = run(place)
    assert replace(said, bytes_after=0) == replace(done, bytes_after=0)
    assert (done.staging_removed, done.rows_removed, done.pair_scores_removed) == (1, 2, 2)


@pytest.mark.parametrize("name", ["bm25.duckdb", "candidates.parquet", "queries.parquet"])
def test_where_a_kept_release_lacks_a_file_nothing_goes(place: Workspace, name: str) -> None:
    add_night(place, "n1", texts=["a1", "a2"], queries=["a"])
    add_night(place, "n2", texts=["a2", "a3"], queries=["a"])
    (place.release("n2") / name).unlink()
    before = tree(place.root)
    with pytest.raises(MachineError, match=f"n2 has no file {name}"):
        run(place)
    assert tree(place.root) == before


def test_where_the_table_lacks_a_text_of_a_kept_release_nothing_goes(place: Workspace) -> None:
    add_night(place, "n1", texts=["a1"])
    add_night(place, "n2", texts=["a2", "a3"])
    upkeep = ChunkPruning(place.lance, "chunks_e1")
    rows = upkeep.rows().read_all().to_pylist()
    lost = [row["_rowid"] for row in rows if row["chunk_hash"] == chunk_hash("a2")]
    upkeep.remove(np.array(lost, dtype=np.uint64))
    before = tree(place.root)
    with pytest.raises(MachineError, match="lacks 1 text"):
        run(place)
    assert tree(place.root) == before


def test_where_the_current_release_or_its_table_is_gone_nothing_goes(place: Workspace) -> None:
    add_night(place, "n1", texts=["a1"])
    add_night(place, "n2", texts=["a2"])
    hidden = place.release("n2").rename(place.root / "elsewhere")
    with pytest.raises(MachineError, match="current release n2 is not there"):
        run(place)
    hidden.rename(place.release("n2"))
    shutil.rmtree(place.root / "lance")
    with pytest.raises(MachineError, match="chunks_e1 is missing"):
        run(place)
    assert release_ids(place) == ["n1", "n2"]


def test_without_a_release_only_abandoned_folders_go(place: Workspace) -> None:
    table = ChunkTable.create(place.lance, embedder="e1", dimensions=DIMENSIONS)
    table.add(["h"], ["a"], [1], vectors_for(["a"]))
    with PairMemo(place.memo, reranker="r1"):
        pass
    place.staging("killed").mkdir(parents=True)
    pruned = run(place)
    assert (pruned.staging_removed, pruned.rows_removed) == (1, 0)
    assert (pruned.tables_removed, pruned.memos_removed) == ((), ())
    assert texts_in(place) == {"a"}
    assert not place.staging("killed").exists()
    assert run(FolderWorkspace(place.root / "nowhere")).bytes_before == 0


def test_little_that_is_dead_may_wait_for_another_night_and_goes_when_asked(place: Workspace) -> None:
    queries = [f"a{number}" for number in range(20)]
    add_night(place, "n1", texts=["a1", "a2"], queries=queries)
    add_night(place, "n2", texts=["a1"], queries=queries[1:])
    nightly = run(place)
    assert (nightly.rows_removed, nightly.query_vectors_removed) == (1, 0)
    asked = run(place, thorough=True)
    assert asked.query_vectors_removed == 1
    assert_whole(place, "n2", ["a1"], queries[1:])
    table = ChunkTable.find(place.lance, embedder="e1")
    assert table is not None
    versions = place.root / "lance" / "chunks_e1.lance" / "_versions"
    assert len([path for path in versions.iterdir() if path.suffix == ".manifest"]) == 1
    before = tree(place.root)
    again = run(place, thorough=True)
    assert (again.rows_removed, again.pair_scores_removed, again.query_vectors_removed) == (0, 0, 0)
    assert tree(place.root).keys() == before.keys()


def test_a_night_that_changed_nothing_writes_nothing(place: Workspace) -> None:
    add_night(place, "n1", texts=["a1", "a2"], queries=["a"])
    add_night(place, "n2", texts=["a1", "a2"], queries=["a"])
    place.make_readers_lock()
    before = {name: key for name, key in tree(place.root).items() if "n1" not in name}
    assert run(place).rows_removed == 0
    assert {name: key for name, key in tree(place.root).items() if "n1" not in name} == before


def test_what_is_left_of_other_runs_is_to_be_pruned_and_a_runs_own_folder_is_not(place: Workspace) -> None:
    add_night(place, "n1", texts=["a1"])
    own = place.staging("n9")
    own.mkdir()
    assert not is_pruned(place, keep=1)
    assert is_pruned(place, keep=1, own=own)
    place.staging("n3").mkdir()
    assert not is_pruned(place, keep=1, own=own)
    place.staging("n3").rmdir()
    add_night(place, "n2", texts=["a1"])
    assert not is_pruned(place, keep=1, own=own)


def test_while_somebody_reads_the_files_stay_until_another_time(
    place: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunk_upkeep, "DEAD_BYTES", 0)
    add_night(place, "n1", texts=["a1", "a2"], embedder="e0")
    add_night(place, "n2", texts=["a1", "a2"])
    with place.reading():
        old = ChunkTable.of_release(place.lance, name="chunks_e1", release_id="n2")
        add_night(place, "n3", texts=["a2", "a3"])
        pruned = run(place)
        assert pruned.waiting_for_readers
        assert pruned.rows_removed == 1
        assert texts_in(place) == {"a2", "a3"}
        assert texts_in(place, "e0") == {"a1", "a2"}
        assert_rows(old, ["a1", "a2"])
    pruned = run(place)
    assert not pruned.waiting_for_readers
    assert pruned.tables_removed == ("chunks_e0",)
    assert ChunkTable.find(place.lance, embedder="e0") is None
    with pytest.raises(MachineError):
        ChunkTable.open(place.lance, name=old.name, version=old.version)
    assert_whole(place, "n3", ["a2", "a3"])


def test_what_killed_processes_left_goes(place: Workspace) -> None:
    add_night(place, "n1", texts=["a1", "a2"], queries=["a"])
    left = [
        place.root / "lance" / "chunks_e1.lance" / "data" / ".tmpXvJ7CW",
        place.root / "lance" / ".removed-chunks_e0" / "data" / "1.lance",
        place.memo / ".pairs-r1.duckdb.f00d.tmp",
        place.memo / ".pairs-r1.duckdb.f00d.tmp.wal",
        place.memo / "pairs-r0.duckdb.wal",
    ]
    for path in left:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")
    run(place)
    assert [path for path in left if path.exists()] == []
    assert not (place.root / "lance" / ".removed-chunks_e0").exists()
    assert_whole(place, "n1", ["a1", "a2"], ["a"])


def test_what_a_killed_run_had_committed_to_a_memo_counts_when_it_is_written_anew(place: Workspace) -> None:
    add_night(place, "n1", texts=["a1", "a2", "a3"], queries=["a"])
    memo = place.memo / "pairs-r1.duckdb"
    memo.unlink()
    with PairMemo(place.memo, reranker="r1") as opened:
        keys = {
            "query_key": [digest("query", "a")] * 3,
            "chunk_hash": [chunk_hash(text) for text in ("a1", "a2", "gone")],
        }
        opened.append(pa.table(keys), np.array([pair_score("a", "a1"), pair_score("a", "a2"), 9], dtype=np.float32))
        killed = {path: path.read_bytes() for path in place.memo.glob("pairs-*")}
    assert len(killed) == 2  # the second is the log
    for path, content in killed.items():
        path.write_bytes(content)
    assert run(place).pair_scores_removed == 1
    assert not memo.with_name("pairs-r1.duckdb.wal").exists()
    assert_whole(place, "n1", ["a1", "a2", "a3"], ["a"])


def test_many_small_fragments_are_put_together(place: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunk_upkeep, "LOOSE_FRAGMENTS", 3)
    texts = ["a1", "a2", "a3"]
    for night, text in enumerate(["a4", "a5", "a6", "a7"]):
        texts.append(text)
        add_night(place, f"n{night}", texts=texts)
        run(place, keep=2)
        table = ChunkTable.of_release(place.lance, name="chunks_e1", release_id=f"n{night}")
        assert fragments(place) == [1, 2, 3, 1][night]
        assert table.sample(9, [], generator=np.random.default_rng(1)).num_rows == len(texts)
    assert_whole(place, "n2", texts[:-1])
    assert_whole(place, "n3", texts)


def fragments(place: Workspace) -> int:
    data = place.root / "lance" / "chunks_e1.lance" / "data"
    return len(list(data.iterdir()))


def test_rows_beyond_one_deletion_go_too(place: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunk_upkeep, "ROW_IDS_HELD", 2)
    add_night(place, "n1", texts=[f"a{number}" for number in range(9)])
    add_night(place, "n2", texts=["a3", "a8"])
    assert run(place).rows_removed == 7
    assert texts_in(place) == {"a3", "a8"}
    table = ChunkTable.of_release(place.lance, name="chunks_e1", release_id="n2")
    assert table.sample(5, ["text"], generator=np.random.default_rng(1)).sort_by("text").column("text").to_pylist() == [
        "a3",
        "a8",
    ]
    assert_whole(place, "n2", ["a3", "a8"])


def assert_rows(table: ChunkTable, texts: Sequence[str]) -> None:
    found = table.rows(pa.array([chunk_hash(text) for text in texts]), ["text", "vector"])
    assert sorted(found.column("text").to_pylist()) == sorted(texts)


STEPS = [
    (lance_place, "remove_folder"),
    (workspace_module, "remove_folder"),
    (memo_file, "replacing"),
    (LanceFolder, "remove_table"),
    (LanceFolder, "remove_leftovers"),
    (memo_prune, "remove_leftovers"),
    (collect_module, "remove_memo"),
    (memo_prune, "keep_reachable"),
    (ChunkPruning, "remove"),
    (ChunkPruning, "move_tags"),
    (ChunkPruning, "put_together"),
    (ChunkPruning, "remove_old_versions"),
]


@pytest.fixture(scope="module")
def four_nights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which every step of a collection that keeps two releases has something to do."""
    place = FolderWorkspace(tmp_path_factory.mktemp("four") / "workspace")
    add_night(place, "n1", texts=["a1", "a2", "a3"], queries=["a"], embedder="e0", reranker="r0")
    add_night(place, "n2", texts=["a1", "a2", "a3", "a4"], queries=["a", "b"])
    add_night(place, "n3", texts=["a3", "a4", "b1", "b2"], queries=["b"])
    add_night(place, "n4", texts=["a4", "b1", "b2"], queries=["b"])
    return place.root


@pytest.mark.long
@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("owner", "name"), STEPS)
def test_wherever_a_collection_ends_kept_releases_are_whole_and_the_next_one_finishes(
    place: Workspace, four_nights: Path, monkeypatch: pytest.MonkeyPatch, owner: object, name: str, late: bool
) -> None:
    monkeypatch.setattr(chunk_upkeep, "DEAD_BYTES", 0)
    shutil.copytree(four_nights, place.root)
    step = getattr(owner, name)

    def killed(*arguments: object, **keywords: object) -> None:
        if late:
            step(*arguments, **keywords)
        raise InterruptedError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, killed)
        with pytest.raises(InterruptedError, match="killed"):
            run(place, keep=2)
    assert_whole(place, "n3", ["a3", "a4", "b1", "b2"], ["b"])
    assert_whole(place, "n4", ["a4", "b1", "b2"], ["b"])
    run(place, keep=2)
    assert_whole(place, "n3", ["a3", "a4", "b1", "b2"], ["b"])
    assert release_ids(place) == ["n3", "n4"]
    assert texts_in(place) == {"a3", "a4", "b1", "b2"}
    assert place.lance.table_names() == ["chunks_e1"]
    assert [path.name for path in (place.root / "lance").iterdir() if path.name.startswith(".removed")] == []
    assert sorted(path.name for path in place.releases.iterdir()) == ["n3", "n4"]
    assert sorted(path.name for path in place.memo.iterdir()) == ["pairs-r1.duckdb", "queries-e1.duckdb"]


@pytest.mark.long
def test_thirty_nights_take_little_more_room_than_the_last_of_them_alone(tmp_path: Path) -> None:
    generator = random.Random(1)
    grown, fresh = FolderWorkspace(tmp_path / "grown"), FolderWorkspace(tmp_path / "fresh")
    letters = "abcdefgh"
    texts = [f"{letters[number % 8]} {number}" for number in range(4000)]
    queries = [f"{letters[number % 8]}? {number}" for number in range(16)]
    for night in range(30):
        for place in generator.sample(range(4000), 200):
            texts[place] = f"{letters[place % 8]} {place} of night {night}"
        queries[generator.randrange(16)] = f"{letters[night % 8]}? of night {night}"
        add_night(grown, f"n{night:02d}", texts=texts, queries=queries)
        last = run(grown)
        assert last.bytes_after <= last.bytes_before
    add_night(fresh, "n29", texts=texts, queries=queries)
    run(fresh)
    assert_whole(grown, "n29", texts, queries)
    assert last.bytes_after <= 1.5 * sum(path.stat().st_size for path in fresh.root.rglob("*") if path.is_file())
