"""Queries with filters, through whole nights: equal to brute force, and to a rebuild whatever happened to metadata."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc
import pytest

from benchmarks.parts.compare_releases import compare_releases
from benchmarks.parts.plain_filters import matches
from benchmarks.parts.plain_nights import refresh_plainly
from nightrank.flows.operate.doctor import examine
from nightrank.flows.settings_file import load_settings
from nightrank.storage.bm25.index import Bm25Store
from nightrank.storage.files.parquet import read_table, write_table
from nightrank.storage.keys import query_key
from nightrank.storage.legs import LEGS
from nightrank.storage.memo.pair_scores import PairMemo
from nightrank.storage.release.manifest import read_manifest
from nightrank.storage.release.prune import prune
from nightrank.storage.serving.cache import SearchCache
from nightrank.storage.workspace.folder import FolderWorkspace
from nightrank.tasks.experiment.experiment import Experiment
from nightrank.tasks.experiment.variants import varied
from nightrank.tasks.read.account import Account
from nightrank.tasks.trec.qrels import read_judgments
from tests.end_to_end.test_nights_equal_rebuilds import change
from tests.support.collection import LOG, QRELS, Collection

if TYPE_CHECKING:
    from pathlib import Path

    from nightrank.storage.records import JsonValue
    from tests.conftest import Command, Models
    from tests.support.collection import TomlValue

NIGHTS = 3
SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 10))]
FILTERS: dict[str, JsonValue] = {
    "few": {"letters": {"lt": 7}},
    "kind": {"kind": ["food", "craft"], "not": {"shelf": {"gte": 2}}},
    "dated": {"or": [{"date": {"gte": "2024-06-02"}}, {"kind": "sky"}]},
    "bare": {"shelf": {"exists": False}},
    "nothing": {"letters": 999},
}
KINDS = ("food", "craft", "sky", "earth")


def shelve(collection: Collection, generator: np.random.Generator, *, share: float) -> None:
    """Give some documents other metadata, as a catalogue would: none of them reads differently to a model."""
    for document in collection.documents:
        document.setdefault("letters", len(str(document["title"])))
        if generator.random() < share:
            document["kind"] = str(generator.choice(KINDS))
            document["date"] = f"2024-06-0{generator.integers(1, 4)}"
            document.pop("shelf", None)
            if generator.random() < 0.6:
                document["shelf"] = int(generator.integers(0, 4))


def ask_with_filters(collection: Collection) -> None:
    """Each query of the log once more with each filter, as other queries, and judged as it is without."""
    for name, condition in FILTERS.items():
        for query_id, text, count in LOG:
            collection.log.append((f"{query_id}-{name}", text, count))
            collection.filters[f"{query_id}-{name}"] = condition
        collection.qrels += [(f"{query_id}-{name}", document_id, grade) for query_id, document_id, grade in QRELS]


def candidates_of(workspace: Path, text: str, condition: str | None) -> dict[str, list[tuple[str, float]]]:
    """The legs of a query: (chunk id, score) by rank."""
    place = FolderWorkspace(workspace)
    rows = read_table(place.release(place.require_current()) / "candidates.parquet")
    rows = rows.filter(pc.field("query_key") == query_key(text, condition))
    legs: dict[str, list[tuple[str, float]]] = {}
    for leg in LEGS:
        found = rows.filter(pc.is_valid(pc.field(f"{leg}_rank"))).sort_by(f"{leg}_rank")
        legs[leg] = list(
            zip(found.column("chunk_id").to_pylist(), found.column(f"{leg}_score").to_pylist(), strict=True)
        )
    return legs


def documents(ranking: list[tuple[str, float]]) -> list[str]:
    """Those of a ranking's chunks."""
    return [chunk_id.rpartition("#")[0] for chunk_id, _ in ranking]


def require_brute_force(collection: Collection, whole: Collection, *, depth: int) -> int:
    """Each leg of each filtered query is the whole ranking, filtered plainly and cut; how many were compared."""
    metadata = {str(document["_id"]): document for document in collection.documents}
    place = FolderWorkspace(collection.workspace)
    queries = read_table(place.release(place.require_current()) / "queries.parquet").to_pylist()
    compared = 0
    for query in queries:
        if query["filter"] is None:
            continue
        wanted = json.loads(query["filter"])
        ours = candidates_of(collection.workspace, query["text"], query["filter"])
        for leg, ranking in candidates_of(whole.workspace, query["text"], None).items():
            allowed = [entry for entry in ranking if matches(metadata[entry[0].rpartition("#")[0]], wanted)]
            expected = allowed[:depth]
            # Of documents: the chunk that stands for one is that of the leg with the better rank, and ranks are others
            # among those that a filter lets through.
            assert documents(ours[leg]) == documents(expected), (query, leg)
            scores = [score for _, score in ours[leg]]
            assert scores == pytest.approx([score for _, score in expected], abs=1e-5)  # embedded in other batches
            compared += 1
        with SearchCache.open(collection.workspace) as cache:
            found = cache.get(query["text"], filter_by=wanted)
        assert found is not None
        assert all(matches(result.metadata, wanted) for result in found.results)
    return compared


@pytest.mark.long
@pytest.mark.parametrize("seed", SEEDS)
def test_any_history_of_texts_and_metadata_ends_where_a_rebuild_and_brute_force_end(
    seed: int, collection: Collection, models: Models, tmp_path: Path
) -> None:
    generator = np.random.default_rng(seed)
    depth = 4
    collection.settings["retrieval"] = {"candidate_depth": depth, "legs": [*LEGS]}
    collection.settings["sparse"] = {"model": str(models.splade)}
    collection.settings["gates"]["max_empty"] = "none"
    shelve(collection, generator, share=1.0)
    ask_with_filters(collection)
    collection.write()
    refresh_plainly(collection.settings_file)
    for night in range(NIGHTS):
        if night:  # the first time metadata alone
            change(collection, generator)
        shelve(collection, generator, share=0.3)
        collection.write()

        summary = refresh_plainly(collection.settings_file)

        assert summary.changed
        assert summary.dropped == ()
        rebuild = Collection(
            tmp_path / f"rebuild-{night}",
            collection.settings,
            collection.documents,
            collection.log,
            collection.qrels,
            collection.filters,
        )
        rebuild.write()
        refresh_plainly(rebuild.settings_file)
        comparison = compare_releases(FolderWorkspace(collection.workspace), FolderWorkspace(rebuild.workspace))
        assert comparison.is_exact, (night, comparison.first)
        shutil.rmtree(rebuild.folder)
    retrieval: dict[str, TomlValue] = {"candidate_depth": 1000, "legs": [*LEGS]}
    whole: dict[str, dict[str, TomlValue]] = {**collection.settings, "retrieval": retrieval}
    plain = Collection(tmp_path / "whole", whole, collection.documents, list(LOG))
    plain.write()
    refresh_plainly(plain.settings_file)
    most = len(LEGS) * len(LOG) * len(FILTERS)
    assert most - len(LEGS) * NIGHTS <= require_brute_force(collection, plain, depth=depth) <= most
    assert examine(FolderWorkspace(collection.workspace), release_id=None).healthy


@pytest.mark.long
def test_an_evaluation_gives_filtered_queries_what_the_release_holds(collection: Collection) -> None:
    shelve(collection, np.random.default_rng(3), share=1.0)
    ask_with_filters(collection)
    collection.settings["retrieval"] = {"candidate_depth": 3}
    collection.settings["gates"]["max_empty"] = "none"
    collection.write()
    summary = refresh_plainly(collection.settings_file)
    configuration = load_settings(collection.settings_file)
    place = configuration.workspace
    release = place.release(place.require_current())
    judgments = read_judgments(collection.folder / "qrels.tsv", name="qrels", account=Account())

    with Experiment.open(
        place, configuration.settings, judgments, base=configuration.base, now=summary.manifest.created_at
    ) as experiment:
        outcome = experiment.evaluate(experiment.settings)
        deeper = experiment.evaluate(varied(experiment.settings, {"retrieval.candidate_depth": 200}))

    stored = read_table(release / "candidates.parquet")
    keys = pc.unique(outcome.candidates.column("query_key"))
    assert len(keys) > len(LOG)
    assert outcome.candidates.equals(stored.filter(pc.is_in(stored.column("query_key"), value_set=keys)))
    assert deeper.candidates.num_rows > outcome.candidates.num_rows
    metadata = {str(document["_id"]): document for document in collection.documents}
    conditions = {row["query_key"]: row["filter"] for row in read_table(release / "queries.parquet").to_pylist()}
    for row in deeper.candidates.to_pylist():
        condition = conditions[row["query_key"]]
        assert condition is None or matches(metadata[row["document_id"]], json.loads(condition))


@pytest.mark.long
def test_a_candidate_that_its_filter_does_not_let_through_is_found_by_the_doctor(collection: Collection) -> None:
    collection.log.append(("few", "black tea", 1))
    collection.filters["few"] = FILTERS["few"]
    collection.write()
    refresh_plainly(collection.settings_file)
    place = FolderWorkspace(collection.workspace)
    assert examine(place, release_id=None).healthy
    path = place.release(place.require_current()) / "queries.parquet"
    rows = read_table(path)
    wrong = pc.if_else(pc.is_valid(rows.column("filter")), '{"letters":{"lt":4}}', rows.column("filter"))
    write_table(path, rows.set_column(rows.schema.get_field_index("filter"), rows.schema.field("filter"), wrong))

    reported = json.dumps(examine(place, release_id=None).as_json())

    assert "candidates that their query's filter does not let through" in reported


@pytest.mark.long
def test_a_change_of_metadata_moves_no_model_and_scans_nothing(collection: Collection) -> None:
    generator = np.random.default_rng(5)
    shelve(collection, generator, share=1.0)
    ask_with_filters(collection)
    collection.settings["gates"]["max_empty"] = "none"
    collection.write()
    first = refresh_plainly(collection.settings_file)
    assert first.counts.queries_embedded == len(LOG)  # a text is embedded once, whatever its filters
    document = collection.document("tea")
    document["kind"], document["shelf"] = "craft", 0
    collection.write()

    summary = refresh_plainly(collection.settings_file)

    counts = summary.counts
    assert (counts.chunks_embedded, counts.queries_embedded, counts.queries_scanned) == (0, 0, 0)
    assert counts.pairs_scored == 0  # each text and chunk had been scored without a filter
    with SearchCache.open(collection.workspace) as cache:
        found = cache.get("black tea", filter_by=FILTERS["kind"])
    assert found is not None
    assert "tea" in {result.document_id for result in found.results}


def test_what_models_said_of_filtered_queries_is_kept_and_shared(collection: Collection, tmp_path: Path) -> None:
    collection.log = [("plain", "black tea", 2), ("few", "black tea", 1), ("alone", "wild yeast", 1)]
    collection.qrels = []
    collection.settings["judgments"] = {"known_items": "none"}
    collection.filters = {"few": FILTERS["few"], "alone": FILTERS["few"]}
    collection.write()
    summary = refresh_plainly(collection.settings_file)
    place = FolderWorkspace(collection.workspace)

    pruned = prune(place, keep=1, now=summary.manifest.created_at, thorough=True)

    assert (pruned.pair_scores_removed, pruned.query_vectors_removed) == (0, 0)
    manifest = read_manifest(place, place.require_current())
    with (
        Bm25Store.open(place.release(manifest.release_id) / "bm25.duckdb") as store,
        PairMemo(place.memo, reranker=manifest.inputs.reranker_fingerprint) as memo,
    ):
        documents = len(store.chunks(["document_id"]).column(0).unique())  # each by its best chunk
        few = sum(len(str(document["title"])) < 7 for document in collection.documents)
        assert few < documents
        assert len(memo) == documents + few


@pytest.mark.long
def test_a_filter_that_documents_do_not_bear_out_sets_its_queries_aside_and_the_night_goes_on(
    collection: Collection,
) -> None:
    conditions: tuple[JsonValue, ...] = ({"colour": "red"}, {"letters": "many"}, {"letters": {"lt": 9}})
    for number, condition in enumerate(conditions * 4):
        collection.log.append((f"f{number}", f"query {number}", 3))
        collection.filters[f"f{number}"] = condition
    collection.write()

    summary = refresh_plainly(collection.settings_file)

    [drop] = summary.dropped
    assert (drop.reason, drop.rows, drop.traffic) == ("filter that cannot be applied", 8, 24)
    assert summary.published
    assert summary.counts.queries == len(LOG) + 4
    assert summary.counts.queries_bad == 8
    place = FolderWorkspace(collection.workspace)
    rows = read_table(place.release(place.require_current()) / "bad_rows.parquet").to_pylist()
    assert {(row["file"], row["reason"]) for row in rows} == {
        ("queries.jsonl", "no document has the field 'colour'; there are 'letters'"),
        ("queries.jsonl", "the field 'letters' holds numbers, and is compared with texts"),
    }
    assert sorted(row["row"] for row in rows) == [8, 9, 11, 12, 14, 15, 17, 18]
    assert refresh_plainly(collection.settings_file).changed is False


@pytest.mark.long
def test_the_command_line_takes_a_filter_into_account(collection: Collection, nightrank: Command) -> None:
    collection.log.append(("few", "black tea", 1))
    collection.filters["few"] = FILTERS["few"]
    collection.write()
    refresh_plainly(collection.settings_file)
    config = ("-c", collection.settings_file)
    condition = json.dumps(FILTERS["few"])

    def ids(*arguments: str) -> list[str]:
        ended = nightrank("search", *config, "black tea", "--json", *arguments)
        assert ended.code == 0, ended.err
        return [result["document_id"] for result in ended.json["results"]]

    cached = ids("--filter", condition)
    assert cached
    assert all(len(str(collection.document(document_id)["title"])) < 7 for document_id in cached)
    assert cached != ids()
    assert ids("--filter", '{"letters": {"$lt": 7.0}}', "--live") == cached
    ended = nightrank("search", *config, "black tea", "--json", "--filter", condition)
    assert ended.json["filter"] == FILTERS["few"]
    reported = nightrank("search", *config, "black tea", "--cached", "--filter", '{"letters": 3}')
    assert (reported.code, "no results for 'black tea' with this filter" in reported.err) == (2, True)
    wrong: list[tuple[Any, str]] = [
        (("--filter", "letters < 7"), "no JSON"),
        (("--live", "--filter", '{"colour": 1}'), "no document has the field 'colour'"),
    ]
    for arguments, reason in wrong:
        ended = nightrank("search", *config, "black tea", *arguments)
        assert (ended.code, reason in ended.err) == (2, True), ended.err
