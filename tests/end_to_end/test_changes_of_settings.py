"""Another model or setting: what depends on it is made anew, and nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from benchmarks.inputs.tiny_models import tiny_embedder, tiny_reranker
from nightrank.flows.evaluate.inputs import evaluation_context
from nightrank.flows.settings_file import load_settings
from nightrank.storage.lance.table import ChunkTable
from nightrank.storage.release.manifest import read_manifest
from nightrank.storage.workspace.folder import FolderWorkspace
from nightrank.tasks.experiment.variants import varied
from nightrank.tasks.rank.learned import LearnedOrder
from nightrank.tasks.rank.order_file import order_file, read_order
from tests.support.collection import Collection
from tests.support.published import assert_same_rankings, check_readable, rankings

if TYPE_CHECKING:
    from pathlib import Path

    from nightrank.storage.release.manifest import Counts
    from tests.conftest import Models
    from tests.end_to_end.conftest import Refresh


NOW = datetime(2026, 1, 2, tzinfo=UTC)


def work(counts: Counts) -> dict[str, bool]:
    """Which kinds of work a run did at all."""
    return {
        "chunks": counts.chunks_embedded > 0,
        "queries": counts.queries_embedded > 0,
        "scans": counts.queries_scanned > 0,
        "postings": counts.postings_written > 0,
        "pairs": counts.pairs_scored > 0,
    }


def did(*kinds: str) -> dict[str, bool]:
    return {kind: kind in kinds for kind in ("chunks", "queries", "scans", "postings", "pairs")}


def assert_as_a_rebuild(collection: Collection, refresh: Refresh, folder: Path) -> None:
    """A workspace made from nothing with the same settings holds the same."""
    anew = Collection(folder, collection.settings, collection.documents, collection.log, collection.qrels)
    refresh(anew)
    assert_same_rankings(rankings(collection.workspace), rankings(anew.workspace))


@pytest.mark.long
@pytest.mark.parametrize(
    ("section", "values", "kinds"),
    [
        ("bm25", {"k1": 0.6}, []),
        ("bm25", {"variant": "bm25plus"}, []),
        ("bm25.fields", {"title": 3.0, "headings": 1.5}, ["postings"]),
        ("bm25", {"language": "none"}, ["postings", "pairs"]),  # another chunk of a document may be its best
        ("retrieval", {"fusion": "minmax"}, []),
        ("retrieval", {"candidate_depth": 99}, []),
        ("results", {"depth": 3}, []),
        ("results", {"mmr_lambda": 0.5}, []),
        ("reranker", {"weight": 0.25}, []),
        # Chunks move, and with them everything that is made of texts, but no query reads otherwise.
        ("chunking", {"max_tokens": 60}, ["chunks", "postings", "pairs"]),
        ("queries", {"budget": 4}, []),
        ("embedder", {"query_prompt": "find: "}, ["chunks", "queries", "scans", "pairs"]),
        ("reranker", {"max_tokens": 40}, ["pairs"]),
    ],
)
def test_a_setting_recomputes_what_depends_on_it_alone(
    section: str,
    values: dict[str, str | float],
    kinds: list[str],
    collection: Collection,
    refresh: Refresh,
    tmp_path: Path,
) -> None:
    first = refresh(collection)
    before = rankings(collection.workspace)
    collection.settings.setdefault(section, {}).update(values)

    second = refresh(collection)

    assert second.changed
    assert work(second.counts) == did(*kinds)
    check_readable(collection.workspace, first.manifest.release_id)
    assert_same_rankings(before, rankings(collection.workspace, first.manifest.release_id))
    assert_as_a_rebuild(collection, refresh, tmp_path / "rebuild")


@pytest.mark.long
def test_another_learned_order_orders_anew_and_the_same_under_another_name_does_not(
    collection: Collection, refresh: Refresh, tmp_path: Path
) -> None:
    first = refresh(collection)
    packaged = read_order()
    gates = {name: replace(gate, bias=-9.0 if name == "bm25" else 0.0) for name, gate in packaged.gates.items()}
    own = LearnedOrder.of(gates, packaged.reranker, grams=packaged.grams)
    (collection.folder / "order-a.json").write_text(order_file(own, {}), encoding="utf-8")
    collection.settings["results"] = {"order_model": "order-a.json"}

    second = refresh(collection)

    assert second.changed
    assert work(second.counts) == did()
    assert (first.manifest.inputs.order, second.manifest.inputs.order) == (packaged.fingerprint, own.fingerprint)
    anew = Collection(tmp_path / "rebuild", collection.settings, collection.documents, collection.log, collection.qrels)
    anew.folder.mkdir()
    (anew.folder / "order-a.json").write_text(order_file(own, {"made_by": "hand"}), encoding="utf-8")
    refresh(anew)
    assert_same_rankings(rankings(collection.workspace), rankings(anew.workspace))

    # A variant over the release before is worth what the night with it was measured at.
    context = evaluation_context(
        load_settings(collection.settings_file, anew=True), measures=["nDCG@10"], qrels=None, now=NOW, seed=0
    )
    with context.experiment(first.manifest.release_id) as experiment:
        variant = experiment.evaluate(varied(experiment.settings, {"results.order_model": "order-a.json"}))
        unchanged = experiment.evaluate(varied(experiment.settings, {"results.order_model": None}))
    for outcome, summary in ((variant, second), (unchanged, first)):
        assert outcome.means["reranked"]["nDCG@10"] == pytest.approx(summary.manifest.measures["reranked"]["nDCG@10"])

    (collection.folder / "order-a.json").rename(collection.folder / "order-b.json")
    collection.settings["results"] = {"order_model": "order-b.json"}
    assert not refresh(collection).changed


@pytest.mark.long
def test_another_embedder_has_a_table_of_its_own_and_leaves_words_and_scores_alone(
    collection: Collection, refresh: Refresh, tmp_path: Path
) -> None:
    first = refresh(collection)
    collection.settings["embedder"]["model"] = str(tiny_embedder(tmp_path / "another", seed=8))

    second = refresh(collection)

    # The same texts, so the same words and pair scores; another chunk of a document may be its best, and is scored.
    assert work(second.counts) == did("chunks", "queries", "scans", "pairs")
    assert second.counts.pairs_scored < second.counts.pairs / 2
    assert second.counts.chunks_embedded == first.counts.chunks_embedded
    workspace = FolderWorkspace(collection.workspace)
    tables = {read_manifest(workspace, summary.manifest.release_id).chunk_table.name for summary in (first, second)}
    assert len(tables) == 2
    for name, summary in zip(sorted(tables), (first, second), strict=True):
        table = ChunkTable.of_release(
            workspace.lance, name=summary.manifest.chunk_table.name, release_id=summary.manifest.release_id
        )
        assert len(table) == summary.counts.texts, name
    check_readable(collection.workspace, first.manifest.release_id)
    assert_as_a_rebuild(collection, refresh, tmp_path / "rebuild")


@pytest.mark.long
def test_a_night_of_edits_and_another_reranker_at_once_equals_a_rebuild(
    collection: Collection, refresh: Refresh, tmp_path: Path
) -> None:
    refresh(collection)
    collection.settings["reranker"]["model"] = str(tiny_reranker(tmp_path / "another", seed=12))
    collection.document("tea")["text"] = "Black tea is left to wilt."
    collection.remove("bees")

    summary = refresh(collection)

    assert work(summary.counts) == did("chunks", "postings", "pairs")
    assert summary.counts.pairs_scored == summary.counts.pairs
    assert_as_a_rebuild(collection, refresh, tmp_path / "rebuild")


@pytest.mark.long
@pytest.mark.parametrize("damage", ["missing", "cut short"])
@pytest.mark.parametrize(
    "name",
    [
        *("documents.parquet", "bm25.duckdb", "dense.parquet", "queries.parquet"),
        pytest.param("snippets.parquet", marks=pytest.mark.slow),
    ],
)
def test_what_is_damaged_of_the_release_before_is_made_again_without_a_model(
    name: str, damage: str, collection: Collection, refresh: Refresh, tmp_path: Path
) -> None:
    live = refresh(collection).manifest.release_id
    path = collection.workspace / "releases" / live / name
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-100])
    collection.remove("bees")

    summary = refresh(collection)

    assert (summary.counts.chunks_embedded, summary.counts.queries_embedded, summary.counts.pairs_scored) == (0, 0, 0)
    assert_as_a_rebuild(collection, refresh, tmp_path / "rebuild")


@pytest.mark.long
@pytest.mark.parametrize("damage", [False, True])
def test_a_budget_in_seconds_keeps_what_is_answered_under_another_reranker(
    damage: bool, collection: Collection, refresh: Refresh, tmp_path: Path
) -> None:
    first = refresh(collection)
    collection.settings["queries"] |= {"budget_seconds": 1.0, "always_judged": False, "pairs_per_second": 100.0}
    collection.settings["reranker"]["model"] = str(tiny_reranker(tmp_path / "another", seed=12))
    if damage:  # then nothing is known, and one second buys less than the log
        queries = collection.workspace / "releases" / first.manifest.release_id / "queries.parquet"
        queries.write_bytes(queries.read_bytes()[:-100])
    second = refresh(collection)
    assert (second.counts.queries < first.counts.queries) == damage


@pytest.mark.long
def test_a_log_of_which_the_drop_list_took_most_is_warned_of(collection: Collection, refresh: Refresh) -> None:
    most = [text for _, text, _ in collection.log[:-1]]
    (collection.folder / "drop.jsonl").write_text("".join(json.dumps({"query": text}) + "\n" for text in most))
    collection.settings["queries"] |= {"drop_list": "drop.jsonl"}
    for _ in range(2):  # a run that finds nothing to do says it too
        warnings = [warning for warning in refresh(collection).warnings if "of the log's traffic" in warning]
        assert len(warnings) == 1
        assert "[queries].max_per_minute" in warnings[0]


@pytest.mark.long
def test_a_damaged_older_release_holds_up_no_night(collection: Collection, refresh: Refresh) -> None:
    old = refresh(collection).manifest.release_id
    collection.remove("bees")
    assert [warning.partition(" is not")[0] for warning in refresh(collection).warnings] == ["1 judged document"]
    statistics = collection.workspace / "releases" / old / "bm25.duckdb"
    statistics.write_bytes(statistics.read_bytes()[:5000])
    collection.remove("tea")

    summary = refresh(collection)

    assert summary.published
    assert [warning.startswith("The collection was not finished. ") for warning in summary.warnings[-1:]] == [True]
    check_readable(collection.workspace)


@pytest.mark.long
def test_what_a_night_did_not_come_to_remove_the_next_one_removes_which_has_nothing_else_to_do(
    collection: Collection, refresh: Refresh, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection.settings["retention"] = {"keep": 1}
    refresh(collection)
    collection.remove("bees")
    with monkeypatch.context() as killed:
        killed.setattr("nightrank.tasks.stages.publish.prune", lambda *_, **__: None)
        last = refresh(collection).manifest.release_id
    releases = collection.workspace / "releases"
    (releases / ".staging-a-part").mkdir()
    assert len([path for path in releases.iterdir() if path.is_dir()]) == 3

    assert not refresh(collection).changed

    assert [path.name for path in releases.iterdir() if path.is_dir()] == [last]
    check_readable(collection.workspace)
    called: list[object] = []
    monkeypatch.setattr("nightrank.tasks.stages.publish.prune", lambda *_, **__: called.append(_))
    assert not refresh(collection).changed
    assert not called  # nothing was left


@pytest.mark.long
def test_a_release_that_is_not_there_any_more_is_made_again_from_the_same_input(
    collection: Collection, refresh: Refresh
) -> None:
    first = refresh(collection).manifest.release_id
    before = rankings(collection.workspace)
    (collection.workspace / "releases" / first / "results.sqlite").unlink()

    second = refresh(collection)

    assert (second.changed, second.counts.chunks_embedded, second.counts.pairs_scored) == (True, 0, 0)
    assert_same_rankings(before, rankings(collection.workspace))


@pytest.mark.long
def test_a_release_whose_results_an_earlier_version_made_is_made_again_from_the_same_input(
    collection: Collection, refresh: Refresh
) -> None:
    first = refresh(collection).manifest.release_id
    before = rankings(collection.workspace)
    folder = collection.workspace / "releases" / first
    (folder / "results.sqlite").rename(folder / "results.duckdb")
    manifest = folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace("results.sqlite", "results.duckdb"))

    second = refresh(collection)

    assert (second.published, second.counts.chunks_embedded, second.counts.pairs_scored) == (True, 0, 0)
    reason = f"the results of the current release {first} were made by an earlier version"
    assert f"The release was not compared with the live one: {reason}." in second.warnings
    assert_same_rankings(before, rankings(collection.workspace))
    assert refresh(collection).changed is False


@pytest.mark.long
def test_new_queries_meet_the_whole_collection_and_known_ones_only_what_is_new(
    collection: Collection, refresh: Refresh, tmp_path: Path
) -> None:
    refresh(collection)
    collection.log.append(("q-new", "how is glass made", 1))

    summary = refresh(collection)

    assert (summary.counts.queries_embedded, summary.counts.queries_scanned) == (1, 1)
    assert work(summary.counts) == did("queries", "scans", "pairs")
    assert_as_a_rebuild(collection, refresh, tmp_path / "rebuild")


@pytest.mark.long
def test_stored_values_that_the_model_no_longer_gives_stop_the_run(
    collection: Collection, refresh: Refresh, models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nightrank.storage.errors import MachineError
    from nightrank.tasks.embed.encoder import Embedder

    refresh(collection)
    live = check_readable(collection.workspace).release_id

    class Drifted(Embedder):
        def _embed(self, *arguments: object) -> object:  # type: ignore[override]
            vectors = super()._embed(*arguments)  # type: ignore[arg-type]
            return -vectors

    monkeypatch.setattr("nightrank.tasks.embed.lazy.Embedder", Drifted)
    collection.document("tea")["text"] = "Black tea is left to wilt."

    with pytest.raises(MachineError, match="stored embeddings"):
        refresh(collection)

    assert check_readable(collection.workspace).release_id == live
    monkeypatch.undo()
    assert refresh(collection).counts.vectors_checked == 30
