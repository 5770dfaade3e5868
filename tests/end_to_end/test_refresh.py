"""Whole nights on a small collection: what is published, and what a night does not do again."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, NoReturn

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from benchmarks.inputs.tiny_models import tiny_reranker
from nightrank.flows.night.summary import Refused
from nightrank.storage.errors import InputError
from nightrank.storage.files.parquet import read_table
from nightrank.storage.release.manifest import list_releases
from nightrank.storage.serving.cache import SearchCache
from nightrank.storage.workspace.folder import FolderWorkspace
from nightrank.tasks.bm25.retrieve import retrieve_bm25
from nightrank.tasks.evaluate.measures import STAGES
from nightrank.tasks.gates.rules import GATES
from nightrank.tasks.models.files import PACKAGED_EMBEDDER
from tests.support.collection import LOG, LONG_SENTENCES, small_collection
from tests.support.published import assert_same_rankings, check_readable, pointer, rankings, snapshot

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Command, Models
    from tests.end_to_end.conftest import Refresh
    from tests.support.collection import Collection

QUERIES = len(LOG)


def distinct_pairs(workspace: Path) -> int:
    """How many different pairs of query and text the candidates of the current release hold."""
    place = FolderWorkspace(workspace)
    table = read_table(
        place.release(place.require_current()) / "candidates.parquet", columns=["query_key", "chunk_hash"]
    )
    return int(table.group_by(["query_key", "chunk_hash"]).aggregate([]).num_rows)


def shown_in(workspace: Path) -> set[tuple[str, str]]:
    """The queries of the current release, each with the ids of the chunks that it shows."""
    return {(query, entry.chunk_id) for query, entries in rankings(workspace).items() for entry in entries}


def load_no_model(*arguments: object, **options: object) -> NoReturn:
    """Stands where a model would be loaded."""
    message = "a model was loaded"
    raise AssertionError(message)


def forbid_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing can be embedded and no pair be scored from here on."""
    monkeypatch.setattr("nightrank.tasks.embed.lazy.Embedder", load_no_model)
    monkeypatch.setattr("nightrank.tasks.rerank.lazy.Reranker", load_no_model)


@pytest.mark.long
def test_a_first_refresh_publishes_results_that_readers_get_by_the_query(
    collection: Collection, refresh: Refresh
) -> None:
    summary = refresh(collection)

    assert (summary.published, summary.changed) == (True, True)
    assert summary.counts.documents == summary.counts.documents_added == len(collection.documents)
    assert (summary.counts.documents_edited, summary.counts.documents_removed, summary.counts.documents_bad) == (
        0,
        0,
        0,
    )
    assert (summary.counts.queries, summary.counts.queries_judged) == (QUERIES, 6)
    with SearchCache.open(collection.workspace) as cache:
        assert cache.get("nobody asked this") is None
        found = cache.get("  Black INK on paper ")
        assert cache.suggest("B") == ("black ink on paper", "black tea")
    assert found is not None
    assert (found.query, found.release_id) == ("black ink on paper", summary.manifest.release_id)
    assert [result.rank for result in found.results] == list(range(1, 11))
    assert len({result.document_id for result in found.results}) == 10
    scores = [result.score for result in found.results]
    assert scores == sorted(scores, reverse=True)
    highlighted: set[str] = set()
    for result in found.results:
        document = collection.document(result.document_id)
        assert result.chunk_id.startswith(f"{result.document_id}#")
        assert result.title == document["title"]
        assert result.text in str(document["text"])
        parts = result.snippet_parts()
        assert parts
        assert "".join(part.text for part in parts) in result.text
        highlighted.update(part.text.lower() for part in parts if part.is_highlighted)
        assert result.metadata == {"letters": document["letters"]}
    assert highlighted
    assert highlighted <= {"black", "ink", "paper"}
    check_readable(collection.workspace)


@pytest.mark.long
def test_every_stage_is_measured_on_the_judged_queries(collection: Collection, refresh: Refresh) -> None:
    summary = refresh(collection)

    assert list(summary.manifest.measures) == [stage for stage in STAGES if stage not in {"static", "sparse"}]
    for values in summary.manifest.measures.values():
        assert set(values) >= {"nDCG@10", "RR@10", "R@100"}
        assert all(0.0 <= value <= 1.0 for value in values.values())
    # Every query shares a word with the best document of its judgments: BM25 finds them all.
    assert summary.manifest.measures["bm25"]["R@100"] > 0.9
    off = {"source_age", "near_error", "known_items"}
    assert [gate.name for gate in summary.manifest.gates] == [name for name in GATES if name not in off]
    assert all(gate.passed for gate in summary.manifest.gates)


@pytest.mark.long
def test_a_second_refresh_on_the_same_input_loads_no_model_and_changes_nothing(
    collection: Collection, refresh: Refresh, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = refresh(collection)
    before = snapshot(collection.workspace)
    forbid_models(monkeypatch)

    second = refresh(collection)

    assert (second.published, second.changed) == (False, False)
    assert second.manifest.release_id == first.manifest.release_id
    assert (second.counts.chunks_embedded, second.counts.pairs_scored, second.counts.documents_added) == (0, 0, 0)
    assert second.counts.documents == first.counts.documents
    assert snapshot(collection.workspace) == before


@pytest.mark.long
def test_the_order_and_the_files_that_documents_come_in_change_nothing(
    collection: Collection, refresh: Refresh, monkeypatch: pytest.MonkeyPatch
) -> None:
    refresh(collection)
    forbid_models(monkeypatch)
    collection.documents.reverse()

    assert not refresh(collection).changed

    folder = collection.folder / "parts"
    folder.mkdir()
    for number, part in enumerate((collection.documents[:7], collection.documents[7:])):
        lines = [json.dumps(document) + "\n" for document in part]
        (folder / f"{number}.jsonl").write_text("".join(lines), encoding="utf-8")
    collection.settings["documents"]["source"] = "parts"

    assert not refresh(collection).changed


@pytest.mark.long
def test_an_edited_document_embeds_its_own_new_chunks_and_scores_their_pairs_alone(
    collection: Collection, refresh: Refresh
) -> None:
    first = refresh(collection)
    before = shown_in(collection.workspace)
    collection.document("tea")["text"] = "Leaves of one bush make green and black tea, as everybody can tell."

    summary = refresh(collection)

    # One short document is one chunk, and every query has every document among its 100 candidates.
    assert (summary.counts.documents_edited, summary.counts.documents_added) == (1, 0)
    assert (summary.counts.chunks_embedded, summary.counts.pairs_scored) == (1, QUERIES)
    with SearchCache.open(collection.workspace) as cache:
        found = cache.get("black tea")
    assert found is not None
    assert not [result for result in found.results if "wilt" in result.text]
    shown = shown_in(collection.workspace)
    assert first.counts.snippets_made == len(before)
    made = {(query, chunk_id) for query, chunk_id in shown if chunk_id == "tea#0" or (query, chunk_id) not in before}
    assert summary.counts.snippets_made == len(made) < len(shown)


@pytest.mark.long
def test_an_edit_of_one_sentence_of_a_long_document_leaves_its_other_chunks_alone(
    collection: Collection, refresh: Refresh
) -> None:
    first = refresh(collection)
    garden = first.counts.chunks - (len(collection.documents) - 1)
    assert garden >= 6
    edited = [*LONG_SENTENCES[:4], LONG_SENTENCES[4].replace("In summer", "In August"), *LONG_SENTENCES[5:]]
    collection.document("garden")["text"] = " ".join(edited)

    summary = refresh(collection)

    assert 1 <= summary.counts.chunks_embedded <= 2
    assert summary.counts.pairs_scored <= QUERIES * summary.counts.chunks_embedded  # where they stand for the document


@pytest.mark.long
def test_an_edit_of_metadata_is_published_and_embeds_and_scores_nothing(
    collection: Collection, refresh: Refresh, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = refresh(collection)
    before = rankings(collection.workspace)
    collection.document("tea")["shelf"] = 3
    forbid_models(monkeypatch)

    summary = refresh(collection)

    assert summary.published
    assert summary.manifest.release_id != first.manifest.release_id
    assert (summary.counts.documents_edited, summary.counts.documents_metadata) == (0, 1)
    counts = summary.counts
    assert (counts.chunks_embedded, counts.pairs_scored, counts.snippets_made) == (0, 0, 0)
    assert_same_rankings(before, rankings(collection.workspace))
    with SearchCache.open(collection.workspace) as cache:
        found = cache.get("black tea")
    assert found is not None
    assert [result.metadata for result in found.results if result.document_id == "tea"] == [{"letters": 3, "shelf": 3}]


@pytest.mark.long
def test_a_removed_document_is_in_no_result_and_what_stays_is_as_if_it_had_never_been(
    collection: Collection, refresh: Refresh, models: Models, tmp_path: Path
) -> None:
    refresh(collection)
    assert any(entry.document_id == "sourdough" for entry in rankings(collection.workspace)["wild yeast and flour"])
    collection.remove("sourdough")

    summary = refresh(collection)

    assert (summary.counts.documents_removed, summary.counts.chunks_embedded, summary.counts.pairs_scored) == (1, 0, 0)
    incremental = rankings(collection.workspace)
    assert not [entry for entries in incremental.values() for entry in entries if entry.document_id == "sourdough"]
    anew = small_collection(tmp_path / "anew", embedder=models.embedder, reranker=models.reranker)
    anew.remove("sourdough")
    refresh(anew)
    assert_same_rankings(incremental, rankings(anew.workspace))


@pytest.mark.long
def test_earlier_releases_stay_as_they_were(collection: Collection, refresh: Refresh) -> None:
    first = refresh(collection).manifest.release_id
    before = rankings(collection.workspace)
    reader = SearchCache.open(collection.workspace)
    collection.document("tea")["text"] = "Something else altogether."
    collection.remove("bees")

    second = refresh(collection).manifest.release_id

    assert [manifest.release_id for manifest in list_releases(FolderWorkspace(collection.workspace))] == [first, second]
    check_readable(collection.workspace, first)
    check_readable(collection.workspace, second)
    assert_same_rankings(before, rankings(collection.workspace, first))
    assert reader.get("how do bees make honey") is not None  # an open reader keeps its release
    assert reader.release_id == first
    reader.close()


@pytest.mark.long
def test_a_document_that_comes_back_is_neither_embedded_nor_scored_again(
    collection: Collection, refresh: Refresh, monkeypatch: pytest.MonkeyPatch
) -> None:
    refresh(collection)
    before = rankings(collection.workspace)
    bees = collection.document("bees")
    collection.remove("bees")
    refresh(collection)
    collection.documents.append(bees)
    forbid_models(monkeypatch)

    summary = refresh(collection)

    assert (summary.counts.documents_added, summary.counts.chunks_embedded, summary.counts.pairs_scored) == (1, 0, 0)
    assert_same_rankings(before, rankings(collection.workspace))


@pytest.mark.long
def test_where_a_run_works_does_not_decide_what_it_computes(
    collection: Collection, refresh: Refresh, models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refresh(collection)
    other = small_collection(tmp_path / "other", embedder=models.embedder, reranker=models.reranker)
    other.settings["execution"] |= {"batch_tokens": 256, "threads": 2}
    other.settings[""]["workspace"] = "elsewhere"

    refresh(other)

    assert_same_rankings(rankings(collection.workspace), rankings(other.folder / "elsewhere"))
    forbid_models(monkeypatch)
    collection.settings["execution"] |= {"batch_tokens": 128}
    assert not refresh(collection).changed


@pytest.mark.long
def test_another_reranker_scores_every_pair_anew_and_the_first_one_is_remembered(
    collection: Collection, refresh: Refresh, models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = refresh(collection)
    before = rankings(collection.workspace)
    collection.settings["reranker"]["model"] = str(tiny_reranker(tmp_path / "another", seed=12))

    second = refresh(collection)

    assert second.counts.pairs_scored == first.counts.pairs_scored > 0
    assert second.counts.chunks_embedded == 0
    forbid_models(monkeypatch)
    collection.settings["reranker"]["model"] = str(models.reranker)
    assert refresh(collection).counts.pairs_scored == 0
    assert_same_rankings(before, rankings(collection.workspace))


def test_without_a_reranker_and_with_plain_weights_the_fused_order_is_kept(
    collection: Collection, refresh: Refresh
) -> None:
    collection.settings["reranker"]["model"] = "none"
    collection.settings["results"] = {"order": "weighted"}

    summary = refresh(collection)

    assert (summary.counts.pairs, summary.counts.pairs_scored) == (0, 0)
    assert summary.manifest.measures["results"] == summary.manifest.measures["fused"]
    place = FolderWorkspace(collection.workspace)
    candidates = read_table(place.release(place.require_current()) / "candidates.parquet")
    assert candidates.column("rank").to_pylist() == candidates.column("fused_rank").to_pylist()


@pytest.mark.long
def test_with_chunks_as_the_unit_a_document_may_come_more_than_once(collection: Collection, refresh: Refresh) -> None:
    collection.settings["results"] = {"unit": "chunk", "depth": 100}

    summary = refresh(collection)

    for entries in rankings(collection.workspace).values():
        assert len({entry.chunk_id for entry in entries}) == len(entries) == summary.counts.chunks
        assert len([entry for entry in entries if entry.document_id == "garden"]) >= 6


@pytest.mark.long
def test_the_same_text_under_two_ids_is_two_results_with_one_embedding_and_one_pair_score(
    collection: Collection, refresh: Refresh
) -> None:
    before = refresh(collection)
    collection.documents.append({**collection.document("tea"), "_id": "tea-again"})

    summary = refresh(collection)

    assert summary.counts.chunks == before.counts.chunks + 1
    assert (summary.counts.chunks_embedded, summary.counts.pairs_scored) == (0, 0)
    assert summary.counts.pairs == before.counts.pairs == distinct_pairs(collection.workspace)
    for entries in rankings(collection.workspace).values():
        scores = {entry.document_id: entry.score for entry in entries if entry.document_id.startswith("tea")}
        places = [entry.document_id for entry in entries if entry.document_id.startswith("tea")]
        if len(places) == 2:
            assert places == ["tea-again", "tea"]  # a tie: document id descending, as in trec_eval
            assert scores["tea"] == scores["tea-again"]
    with SearchCache.open(collection.workspace) as cache:
        found = cache.get("black tea")
    assert found is not None


@pytest.mark.long
def test_two_spellings_of_a_query_are_one_query_that_both_find(collection: Collection, refresh: Refresh) -> None:
    collection.log = [("a", "Black Tea", 3), ("b", " black   TEA ", 4), ("c", "sun and salt", 5)]
    collection.qrels = [("a", "tea", 1), ("b", "tea", 1)]

    summary = refresh(collection)

    assert (summary.counts.queries, summary.counts.queries_judged) == (2, 2)
    with SearchCache.open(collection.workspace) as cache:
        assert len(cache) == 2
        assert cache.get("Black Tea") == cache.get(" black   TEA ") is not None
    place = FolderWorkspace(collection.workspace)
    queries = read_table(place.release(place.require_current()) / "queries.parquet").to_pylist()
    assert [(row["text"], row["count"], row["query_ids"]) for row in queries] == [
        ("black tea", 7, ["a", "b"]),
        ("sun and salt", 5, ["c"]),
    ]


@pytest.mark.long
def test_near_identical_queries_are_one_and_each_form_is_found_and_judged(
    collection: Collection, refresh: Refresh, nightrank: Command
) -> None:
    collection.log = [("a", "black-tea?", 3), ("b", "Black tea", 4), ("c", "sun and salt", 5)]
    collection.qrels = [("a", "tea", 1), ("b", "tea", 1)]

    summary = refresh(collection)

    assert (summary.counts.queries, summary.counts.queries_judged) == (2, 2)
    with SearchCache.open(collection.workspace) as cache:
        found = cache.get("black tea")
        assert found is not None
        assert cache.get("black-tea?") == found
        assert cache.get("black-tea") is None  # nobody asked like this
    folder = FolderWorkspace(collection.workspace).release(summary.manifest.release_id)
    values = read_table(folder / "evaluation.parquet").to_pylist()
    by_id = [[row["value"] for row in values if row["query_id"] == query_id] for query_id in ("a", "b")]
    assert by_id[0] == by_id[1] != []
    assert nightrank("doctor", "-c", collection.settings_file).code == 0

    with closing(sqlite3.connect(folder / "results.sqlite")) as connection, connection:
        connection.execute("DELETE FROM aliases")

    damaged = nightrank("doctor", "-c", collection.settings_file, "--json")
    results = next(check for check in damaged.json["checks"] if check["name"] == "results")
    assert results["faults"] == [{"what": "queries without an answer", "count": 1, "examples": ["black-tea?"]}]


def test_a_refresh_tells_its_coverage_and_what_of_the_log_it_dropped(
    collection: Collection, refresh: Refresh, nightrank: Command
) -> None:
    collection.log = [("a", "black tea", 6), ("b", "mail jane@example.org", 2), ("c", "sun and salt", 4)]
    collection.qrels = [("a", "tea", 1)]
    collection.settings["queries"]["budget"] = 1

    reported = refresh(collection).as_json()

    assert reported["coverage"] == 0.5
    dropped = {"personal data": {"rows": 1, "traffic": 2}, "over the budget": {"rows": 1, "traffic": 4}}
    assert reported["dropped"] == dropped
    again = nightrank("refresh", "-c", collection.settings_file, "--json").json
    assert (again["changed"], again["coverage"], again["dropped"]) == (False, 0.5, dropped)


@pytest.mark.long
def test_the_budget_keeps_the_most_frequent_queries(collection: Collection, refresh: Refresh) -> None:
    collection.settings["queries"] |= {"budget": 3, "always_judged": False}

    summary = refresh(collection)

    assert summary.counts.queries == 3
    assert list(rankings(collection.workspace)) == [text for _, text, _ in LOG[:3]]
    # Six queries are judged and three of them answered; the others count as 0, they are not dropped.
    assert summary.counts.queries_judged == 3
    [warning] = summary.warnings
    assert warning.startswith("3 judged queries are not")
    assert summary.manifest.measures["bm25"]["R@100"] <= 0.5


@pytest.mark.long
def test_bad_rows_are_set_aside_and_named(collection: Collection, refresh: Refresh) -> None:
    collection.settings["documents"]["max_bad_row_share"] = 0.5
    collection.documents.append({"_id": "", "title": "", "text": "Without an id."})
    collection.documents.append({**collection.document("tea"), "title": "Tea again"})

    summary = refresh(collection)

    assert (summary.published, summary.counts.documents_bad) == (True, 2)
    bad = read_table(FolderWorkspace(collection.workspace).release(summary.manifest.release_id) / "bad_rows.parquet")
    rows = {(row["file"], row["row"]): row["reason"] for row in bad.to_pylist()}
    assert set(rows) == {("corpus.jsonl", 24), ("corpus.jsonl", 25)}
    assert "the id is empty" in rows["corpus.jsonl", 24]
    assert "'tea' was used before, in corpus.jsonl, row 20" in rows["corpus.jsonl", 25]


@pytest.mark.long
def test_a_wrong_bm25_score_is_refused_and_what_was_live_stays_live(
    collection: Collection, refresh: Refresh, monkeypatch: pytest.MonkeyPatch, nightrank: Command
) -> None:
    first = refresh(collection).manifest.release_id
    before = pointer(collection.workspace)

    def wrong(*arguments: object, **options: object) -> pa.Table:
        leg = retrieve_bm25(*arguments, **options)  # type: ignore[arg-type]  # handed on as they came
        scores = pc.multiply(leg.column("score"), pa.scalar(1.01, pa.float32()))
        return leg.set_column(leg.schema.get_field_index("score"), leg.schema.field("score"), scores)

    monkeypatch.setattr("nightrank.tasks.stages.retrieve.retrieve_bm25", wrong)
    collection.document("tea")["text"] = "Leaves of one bush make black tea."

    with pytest.raises(Refused, match="bm25_audit") as refused:
        refresh(collection)

    summary = refused.value.summary
    rejected = summary.manifest.release_id
    assert not summary.published
    assert [gate.name for gate in summary.refused] == ["bm25_audit"]
    assert pointer(collection.workspace) == before
    statuses = {
        manifest.release_id: manifest.status for manifest in list_releases(FolderWorkspace(collection.workspace))
    }
    assert statuses == {first: "accepted", rejected: "rejected"}
    check_readable(collection.workspace, rejected)

    ended = nightrank("refresh", "-c", collection.settings_file, "--json")

    assert ended.code == 3
    assert ended.json["published"] is False
    assert [gate["name"] for gate in ended.json["gates"] if not gate["passed"]] == ["bm25_audit"]
    assert "bm25_audit" in ended.err
    assert "Traceback" not in ended.err
    words = " ".join(ended.err.split())
    assert f"nightrank report --release {ended.json['release_id']}" in words
    assert "--accept" not in words
    assert pointer(collection.workspace) == before

    monkeypatch.undo()
    assert refresh(collection).published


@pytest.mark.long
def test_a_chunk_without_a_vector_is_refused(
    collection: Collection, refresh: Refresh, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nightrank.tasks.stages.gate.ask.texts_without_row", lambda *_: 1)

    with pytest.raises(Refused, match="1 texts without a vector"):
        refresh(collection)

    assert not (collection.workspace / "current.json").exists()


@pytest.mark.long
def test_a_second_run_beside_the_first_ends_at_once_and_says_who_holds_the_workspace(
    collection: Collection, refresh: Refresh, nightrank: Command
) -> None:
    now = refresh(collection).manifest.created_at

    with FolderWorkspace(collection.workspace).writing(now=now):
        ended = nightrank("refresh", "-c", collection.settings_file)

    assert ended.code == 1
    assert "Another process holds the workspace" in ended.err
    assert "pid" in ended.err


def test_an_id_of_a_log_used_for_two_texts_is_the_users_mistake(collection: Collection, refresh: Refresh) -> None:
    collection.log = [("a", "black tea", 1), ("a", "green tea", 1)]

    with pytest.raises(InputError, match=r"queries.jsonl, rows 1 and 2: the query_id 'a' stands for two"):
        refresh(collection)


@pytest.mark.long
def test_the_packaged_embedder_answers_a_query_by_its_meaning(collection: Collection, refresh: Refresh) -> None:
    collection.settings["embedder"] = {"model": PACKAGED_EMBEDDER}
    collection.settings["reranker"]["model"] = "none"
    collection.log.append(("q-dairy", "dairy food", 1))  # no document has one of these words

    summary = refresh(collection)

    assert summary.manifest.measures["dense"]["nDCG@10"] > 0.9
    assert rankings(collection.workspace)["dairy food"][0].document_id == "cheese"


@pytest.mark.long
def test_the_packaged_reranker_is_found_by_its_name(collection: Collection, refresh: Refresh) -> None:
    collection.settings["embedder"] = {"model": PACKAGED_EMBEDDER}
    del collection.settings["reranker"]

    summary = refresh(collection)

    assert summary.counts.pairs_scored == summary.counts.pairs > 0
    assert summary.manifest.measures["reranker"]["nDCG@10"] > 0.8
    assert summary.manifest.measures["results"]["nDCG@10"] > 0.9


@pytest.mark.long
def test_names_of_folders_are_no_data(tmp_path: Path, models: Models, refresh: Refresh) -> None:
    folder = tmp_path / "title=evil" / "text=abc" / "metadata={}" / "date=2026-11-29" / "jürgen's 100% #[1] *"
    collection = small_collection(folder, embedder=models.embedder, reranker=models.reranker)
    refresh(collection)
    collection.document("ink")["text"] = "Black ink, made anew."
    assert refresh(collection).counts.documents_edited == 1

    with SearchCache.open(collection.workspace) as cache:
        found = cache.get("black ink on paper")
    assert found is not None
    for result in found.results:
        document = collection.document(result.document_id)
        assert (result.title, result.metadata) == (document["title"], {"letters": document["letters"]})
        assert result.text in str(document["text"])
    check_readable(collection.workspace)
    for parent in (folder, *folder.parents[:4]):
        assert [path.name for path in parent.parent.iterdir()] == [parent.name]
